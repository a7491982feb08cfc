// The walk over time, for some rows of the batch.
#pragma once

#include "weights.h"

namespace {

template <class Cell, class Real>
class ForwardRows {
  public:
    ForwardRows(const Forward<Real>& f, const Weights<Cell, Real>& w, long first, long rows)
        : f(f), w(w), first(first), rows(rows), D(f.features), H(f.hidden), padded(w.padded),
          chunk(chunk_of(f, w, rows)), x_row(spread<Real>(D)), u_row(spread<Real>(Cell::columns * padded)),
          h_row(spread<Real>(padded)), x((chunk ? chunk : 1) * rows * x_row), u(chunk * rows * u_row), z(rows * Z_ROW),
          one_h(rows * h_row), other_h(rows * h_row), seen(f.keep ? rows * h_row : 0),
          gated(Cell::two_steps ? 3 * rows * h_row : 0), c(Cell::memory ? rows * padded : 0), old_h(one_h),
          new_h(other_h) {}

    void run() {
        begin();
        const long most = chunk ? chunk : f.steps;
        for (long done = 0; done < f.steps; done += most) {
            const long now = smaller(most, f.steps - done), start = f.reverse ? f.steps - done - now : done;
            if (chunk) drive(start, now);
            for (long step = 0; step < now; step++) {
                const long at = f.reverse ? now - 1 - step : step;
                walk(start + at, u + at * rows * u_row);
            }
        }
        end();
    }

  private:
    // From so many rows on, x takes part in the product of each step; for fewer, the products of x are better made for
    // many steps at once, into u, of so many bytes that it stays in the second cache.
    static constexpr long ROWS_ENOUGH = 4, CHUNK_BYTES = 256 * 1024;
    static constexpr long Z_ROW = Cell::columns * PANEL<Real>;

    // For how many steps u is made at once; 0 where it is not made.
    static long chunk_of(const Forward<Real>& f, const Weights<Cell, Real>& w, long rows) {
        const long bytes = rows * Cell::columns * w.padded * long(sizeof(Real));
        return rows >= ROWS_ENOUGH ? 0 : smaller(f.steps, CHUNK_BYTES / bytes + 1);
    }

    void begin() {
        for (long row = 0; row < rows; row++) {
            fill(old_h + row * h_row, f.h + (first + row) * H);
            if (Cell::memory) fill(c + row * padded, f.c + (first + row) * H);
        }
        if (f.states) copy_rows(f.states + (f.reverse ? f.steps : 0) * f.batch * H, old_h, h_row);
    }

    void end() const {
        copy_rows(f.h_end, old_h, h_row);
        if (Cell::memory) copy_rows(f.c_end, c, padded);
    }

    void fill(Real* to, const Real* from) const {
        for (long unit = 0; unit < padded; unit += LANES<Real>) store(to + unit, load_some(from + unit, H - unit));
    }

    // These rows of an array (B, H).
    void copy_rows(Real* to, const Real* from, long from_row) const {
        for (long row = 0; row < rows; row++)
            __builtin_memcpy(to + (first + row) * H, from + row * from_row, H * sizeof(Real));
    }

    // x (steps · rows, x_row) of ``steps`` steps from ``start``.
    void gather(long start, long steps) {
        for (long step = 0; step < steps; step++)
            for (long row = 0; row < rows; row++)
                __builtin_memcpy(x + (step * rows + row) * x_row,
                                 f.x + (start + step) * f.x_step + (first + row) * f.x_row, D * sizeof(Real));
    }

    // u = x Wx + b for ``steps`` steps from ``start``.
    void drive(long start, long steps) {
        gather(start, steps);
        const Left<Real> left{x, x_row, 1, D};
        const auto make = [&](const Term<Real>& term, long column, long width) {
            strip(steps * rows, term, NOTHING<Real>, width, {u + column, u_row, width, w.bias + column, 0});
        };
        for (long unit = 0; unit < w.whole; unit += PANEL<Real>)
            for (int place = Cell::first_drive; place < Cell::columns; place++)
                make(w.times_x(left, unit, place), w.column(place, unit), w.Wx.width(unit));
        for (long column = 0; column < w.rest_columns; column += PANEL<Real>)
            make(w.times_rest(left, w.x_rest, column), w.column(0, w.whole) + column, w.x_rest.width(column));
    }

    // Step t; u (rows, u_row) is its drive, where it was made. A few units at a time: all their gates' products, then
    // the gates themselves while z is still at hand.
    void walk(long t, const Real* u) {
        const Real* into_product = f.keep ? seen : old_h;
        if (f.keep) drop();
        if (!chunk) gather(t, 1);
        for (long start = 0; start < padded; start = w.end(start)) {
            if constexpr (Cell::two_steps) {
                multiply(into_product, start, 0, Cell::recurrents - 1, u);
                reset(start, into_product);
            } else {
                multiply(into_product, start, 0, Cell::columns, u);
                activate(start, t);
            }
        }
        if constexpr (Cell::two_steps)
            for (long start = 0; start < padded; start = w.end(start)) {
                multiply(gated, start, Cell::recurrents - 1, Cell::columns, u);
                activate(start, t);
            }
        Real* next = new_h;
        new_h = old_h, old_h = next;
    }

    // seen = h ⊙ keep
    void drop() {
        for (long row = 0; row < rows; row++)
            for (long unit = 0; unit < H; unit++)
                seen[row * h_row + unit] = old_h[row * h_row + unit] * f.keep[(first + row) * H + unit];
    }

    // z = x Wx + h Wh + b for the units of one panel, for the gates in the places from ``place`` up to ``end``.
    void multiply(const Real* h, long start, int place, int end, const Real* u) {
        const Left<Real> from_x{x, x_row, 1, D}, from_h{h, h_row, 1, H};
        const auto make = [&](const Term<Real>& term_x, const Term<Real>& term_h, bool ready, long to, long column,
                              long width) {
            const Real* plus = (ready ? u : w.bias) + column;
            strip(rows, term_x, term_h, width, {z + to, Z_ROW, width, plus, ready ? u_row : 0});
        };
        for (long column = 0; start == w.whole && column < w.rest_columns; column += PANEL<Real>)
            make(chunk ? NOTHING<Real> : w.times_rest(from_x, w.x_rest, column), w.times_rest(from_h, w.h_rest, column),
                 chunk, column, w.column(0, start) + column, w.h_rest.width(column));
        for (; start < w.whole && place < end; place++) {
            const bool with_x = w.driven(place) && !chunk, ready = w.driven(place) && chunk;
            const Term<Real> term_x = with_x ? w.times_x(from_x, start, place) : NOTHING<Real>;
            const Term<Real> term_h = w.recurrent(place) ? w.times_h(from_h, start, place) : NOTHING<Real>;
            make(term_x, term_h, ready, place * PANEL<Real>, w.column(place, start), w.Wh.width(start));
        }
    }

    template <class Visit>
    void each_vector(long start, Visit visit) {
        for (long unit = start; unit < w.end(start); unit += LANES<Real>)
            for (long row = 0; row < rows; row++) visit(unit, row);
    }

    Unit<Real> unit_at(long start, long unit, long row) const {
        Unit<Real> q;
        for (int place = 0; place < Cell::columns; place++)
            q.z[place] = load(z + row * Z_ROW + place * (start < w.whole ? PANEL<Real> : w.rest) + unit - start);
        for (int one = 0; one < Cell::constants; one++) q.constant[one] = load(w.constants + one * padded + unit);
        q.h = load(old_h + row * h_row + unit);
        q.c = Cell::memory ? load(c + row * padded + unit) : q.h;
        return q;
    }

    // r and s of a vector of units, between the two parts of a step.
    Real* gate_of_reset(int gate, long unit, long row) const {
        return gated + ((1 + gate) * rows + row) * h_row + unit;
    }

    // The first part of a step of a cell in two: r ⊙ h for the product of the second, and r and s for later.
    void reset(long start, const Real* into_product) {
        each_vector(start, [&](long unit, long row) {
            Unit<Real> q = unit_at(start, unit, row);
            q.h = load(into_product + row * h_row + unit);
            if constexpr (Cell::two_steps) Cell::reset(q);
            store(gated + row * h_row + unit, q.h);
            for (int gate = 0; gate < 2; gate++) store(gate_of_reset(gate, unit, row), q.saved[gate]);
        });
    }

    // The gates and the new state, from z.
    void activate(long start, long t) {
        each_vector(start, [&](long unit, long row) {
            Unit<Real> q = unit_at(start, unit, row);
            const Vector<Real> h = q.h, memory = q.c;
            for (int gate = 0; Cell::two_steps && gate < 2; gate++)
                q.saved[gate] = load(gate_of_reset(gate, unit, row));
            Cell::gates(q);
            Cell::output(q);
            const long place = t * f.batch + first + row;
            if (f.saved) {
                Real* to = f.saved + saved_place<Cell, Real>(t, unit, first + row, f.batch, padded);
                for (int one = 0; one < Cell::saved; one++) store(to + one * LANES<Real>, q.saved[one]);
            }
            Vector<Real> y = q.h;
            if (f.mask && !f.mask[t * f.mask_step + (first + row) * f.mask_row])
                q.h = h, q.c = memory, y = Vector<Real>{};
            store(new_h + row * h_row + unit, q.h);
            if (Cell::memory) store(c + row * padded + unit, q.c);
            const long after = place + (f.reverse ? 0 : f.batch);
            if (f.states) store_some(f.states + after * H + unit, q.h, H - unit);
            if (f.ys) store_some(f.ys + place * H + unit, y, H - unit);
        });
    }

    const Forward<Real>& f;
    const Weights<Cell, Real>& w;
    const long first, rows, D, H, padded, chunk, x_row, u_row, h_row;
    Buffer<Real> x;               // (chunk · rows, x_row), or for one step
    Buffer<Real> u;               // (chunk · rows, u_row)
    Buffer<Real> z;               // (rows, Z_ROW), of one panel's units
    Buffer<Real> one_h, other_h;  // (rows, h_row)
    Buffer<Real> seen;            // (rows, h_row), h ⊙ keep
    Buffer<Real> gated;           // (3 · rows, h_row), r ⊙ h, r and s of a cell in two steps
    Buffer<Real> c;               // (rows, padded)
    Real *old_h, *new_h;          // the state before and after the step
};

}  // namespace
