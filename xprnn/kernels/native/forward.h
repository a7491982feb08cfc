// The walk over time, for some rows of the batch.
#pragma once

#include "cells.h"
#include "panels.h"

namespace {

using native::Forward;

// What all rows share, laid out once: the weights in panels, the biases and constants filled up to whole vectors.
template <class Cell, class Real>
struct Weights {
    long padded;  // H, up to whole vectors
    Panels<Real> Wx, Wh;
    Buffer<Real> bias;       // (drives · padded)
    Buffer<Real> constants;  // (constants · padded): peepholes, or the bias that r multiplies

    explicit Weights(const Forward<Real>& f)
        : padded(rounded_up(f.hidden, LANES<Real>)),
          Wx(f.features, Cell::drives, f.hidden),
          Wh(f.hidden, Cell::recurrents, f.hidden),
          bias(Cell::drives * padded),
          constants(Cell::constants * padded) {
        Wx.pack(f.Wx, same_gate);
        Wh.pack(f.Wh, Cell::recurrent_gate);
        bias.clear();
        constants.clear();
        for (int gate = 0; gate < Cell::drives; gate++) {
            const bool split = Cell::splits_bias && gate == Cell::drives - 1;
            add(f.bx, gate, f.hidden, bias + gate * padded);
            add(f.bh, gate, f.hidden, split ? constants + 0 : bias + gate * padded);
        }
        if (!Cell::splits_bias)
            for (int place = 0; place < Cell::constants; place++) add(f.Wc, place, f.hidden, constants + place * padded);
    }

    static void add(const Real* from, int gate, long units, Real* to) {
        for (long unit = 0; from && unit < units; unit++) to[unit] += from[gate * units + unit];
    }
};

template <class Cell, class Real>
class ForwardRows {
  public:
    ForwardRows(const Forward<Real>& f, const Weights<Cell, Real>& w, long first, long rows)
        : f(f), w(w), first(first), rows(rows), H(f.hidden), padded(w.padded),
          chunk(smaller(f.steps, CHUNK_ROWS / rows + 1)),
          x_row(spread<Real>(f.features)), u_row(spread<Real>(Cell::drives * padded)), h_row(spread<Real>(padded)),
          gathered(evenly_spaced() ? 0 : chunk * rows * x_row), u(chunk * rows * u_row),
          z(rows * Z_ROW), one_h(rows * h_row), other_h(rows * h_row), seen(f.keep ? rows * h_row : 0),
          gated(Cell::two_steps ? rows * h_row : 0), c(Cell::memory ? rows * padded : 0), old_h(one_h), new_h(other_h) {}

    void run() {
        begin();
        for (long done = 0; done < f.steps; done += chunk) {
            const long now = smaller(chunk, f.steps - done), start = f.reverse ? f.steps - done - now : done;
            drive(start, now);
            for (long step = 0; step < now; step++) {
                const long at = f.reverse ? now - 1 - step : step;
                this->step(start + at, u + at * rows * u_row);
            }
        }
        end();
    }

  private:
    // So many rows of u are made at once: enough that each weight is read for many, few enough that u stays in a cache.
    static constexpr long CHUNK_ROWS = 128;
    static constexpr long Z_ROW = Cell::recurrents * PANEL<Real>;

    // Whether rows (step, row) of x follow each other at one distance.
    bool evenly_spaced() const { return f.steps == 1 || f.x_step == rows * f.x_row; }

    void begin() {
        for (long row = 0; row < rows; row++) {
            fill(old_h + row * h_row, f.h + (first + row) * H);
            if (Cell::memory) fill(c + row * padded, f.c + (first + row) * H);
        }
        if (f.states) record_state(f.reverse ? f.steps : 0);
    }

    void fill(Real* to, const Real* from) const {
        for (long unit = 0; unit < padded; unit += LANES<Real>) store(to + unit, load_some(from + unit, H - unit));
    }

    void record_state(long slot) const {
        for (long row = 0; row < rows; row++)
            __builtin_memcpy(f.states + (slot * f.batch + first + row) * H, old_h + row * h_row, H * sizeof(Real));
    }

    void end() {
        for (long row = 0; row < rows; row++) {
            __builtin_memcpy(f.h_end + (first + row) * H, old_h + row * h_row, H * sizeof(Real));
            if (Cell::memory) __builtin_memcpy(f.c_end + (first + row) * H, c + row * padded, H * sizeof(Real));
        }
    }

    // u = x Wx + b for ``steps`` steps from ``start``.
    void drive(long start, long steps) {
        Left<Real> left{f.x + start * f.x_step + first * f.x_row, f.x_row, 1};
        if (!evenly_spaced()) {
            for (long row = 0; row < steps * rows; row++)
                __builtin_memcpy(gathered + row * x_row, left.data + row / rows * f.x_step + row % rows * f.x_row,
                                 f.features * sizeof(Real));
            left = {gathered, x_row, 1};
        }
        for (int gate = 0; gate < Cell::drives; gate++)
            product(steps * rows, left, w.Wx, gate, {u + gate * padded, u_row, padded, false, w.bias + gate * padded});
    }

    // One step for all units; u (rows, u_row) is its drive. A few units at a time: all their gates' products, then the
    // gates themselves while z is still at hand.
    void step(long t, Real* u) {
        const Real* into_product = old_h;
        if (f.keep) {
            drop();
            into_product = seen;
        }
        for (long start = 0; start < padded; start += PANEL<Real>) {
            multiply(into_product, start, 0, Cell::two_steps ? Cell::recurrents - 1 : Cell::recurrents);
            if constexpr (Cell::two_steps)
                reset(start, u, into_product);
            else
                activate(start, t, u);
        }
        if constexpr (Cell::two_steps)
            for (long start = 0; start < padded; start += PANEL<Real>) {
                multiply(gated, start, Cell::recurrents - 1, Cell::recurrents);
                activate(start, t, u);
            }
        swap();
    }

    // seen = h ⊙ keep
    void drop() {
        for (long row = 0; row < rows; row++)
            for (long unit = 0; unit < H; unit++)
                seen[row * h_row + unit] = old_h[row * h_row + unit] * f.keep[(first + row) * H + unit];
    }

    void swap() {
        Real* next = new_h;
        new_h = old_h;
        old_h = next;
    }

    // z = left Wh for the units of one panel, for gates from ``gate`` up to ``end``.
    void multiply(const Real* left, long start, int gate, int end) {
        for (; gate < end; gate++)
            strip(rows, {left, h_row, 1}, w.Wh.panel(start, gate), w.Wh.width(start), H,
                  {z + gate * PANEL<Real>, Z_ROW, PANEL<Real>, false, nullptr});
    }

    template <class Visit>
    void each_vector(long start, Visit visit) {
        for (long unit = start; unit < smaller(start + PANEL<Real>, padded); unit += LANES<Real>)
            for (long row = 0; row < rows; row++) visit(unit, row);
    }

    Unit<Real> unit_at(long start, long unit, long row, const Real* u) const {
        Unit<Real> q;
        for (int gate = 0; gate < Cell::recurrents; gate++)
            q.z[gate] = load(z + row * Z_ROW + gate * PANEL<Real> + unit - start);
        for (int gate = 0; gate < Cell::drives; gate++) q.u[gate] = load(u + row * u_row + gate * padded + unit);
        for (int place = 0; place < Cell::constants; place++)
            q.constant[place] = load(w.constants + place * padded + unit);
        q.h = load(old_h + row * h_row + unit);
        if (Cell::memory) q.c = load(c + row * padded + unit);
        return q;
    }

    void reset(long start, Real* u, const Real* into_product) {
        each_vector(start, [&](long unit, long row) {
            Unit<Real> q = unit_at(start, unit, row, u);
            q.h = load(into_product + row * h_row + unit);
            Cell::reset(q);
            for (int gate = 0; gate < 2; gate++) store(u + row * u_row + gate * padded + unit, q.u[gate]);
            store(gated + row * h_row + unit, q.h);
        });
    }

    void activate(long start, long t, const Real* u) {
        const long after = f.reverse ? t : t + 1;
        each_vector(start, [&](long unit, long row) {
            Unit<Real> q = unit_at(start, unit, row, u);
            const Vector<Real> h = q.h, memory = Cell::memory ? q.c : q.h;
            Cell::forward(q);
            const long place = t * f.batch + first + row, real = smaller(LANES<Real>, H - unit);
            if (f.saved)
                for (int gate = 0; gate < Cell::saved; gate++)
                    store(f.saved + (place * Cell::saved + gate) * padded + unit, q.saved[gate]);
            Vector<Real> y = q.h;
            if (f.mask && !f.mask[t * f.mask_step + (first + row) * f.mask_row])
                q.h = h, q.c = memory, y = Vector<Real>{};
            store(new_h + row * h_row + unit, q.h);
            if (Cell::memory) store(c + row * padded + unit, q.c);
            if (f.states) store_some(f.states + (after * f.batch + first + row) * H + unit, q.h, real);
            if (f.ys) store_some(f.ys + place * H + unit, y, real);
        });
    }

    const Forward<Real>& f;
    const Weights<Cell, Real>& w;
    const long first, rows, H, padded, chunk, x_row, u_row, h_row;
    Buffer<Real> gathered;           // (chunk · rows, x_row), x where its rows are not evenly spaced
    Buffer<Real> u;                  // (chunk · rows, u_row)
    Buffer<Real> z;                  // (rows, Z_ROW), of one panel's units
    Buffer<Real> one_h, other_h;     // (rows, h_row)
    Buffer<Real> seen;               // (rows, h_row), h ⊙ keep
    Buffer<Real> gated;              // (rows, h_row), r ⊙ h of a cell in two steps
    Buffer<Real> c;                  // (rows, padded)
    Real *old_h, *new_h;             // the state before and after the step
};

}  // namespace
