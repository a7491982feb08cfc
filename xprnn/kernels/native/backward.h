// The walk back, for some rows of the batch: first through time, then all weight gradients of a chunk of it at once.
#pragma once

#include "cells.h"
#include "sweep.h"

namespace {

using native::Backward;

// What all rows share: the weights transposed, in panels, and the constants filled up to whole vectors.
template <class Cell, class Real>
struct Transposed {
    long padded;  // H, up to whole vectors
    Panels<Real> Wx, Wh, Wlast;
    Buffer<Real> constants;  // (constants · padded)

    // The products with Wh that d takes part in: all its gates at once, or the last one before the others.
    static constexpr int together = Cell::two_steps ? Cell::recurrents - 1 : Cell::recurrents;

    explicit Transposed(const Backward<Real>& b)
        : padded(rounded_up(b.hidden, LANES<Real>)),
          Wx(b.dx ? (Cell::columns - Cell::first_drive) * padded : 0, 1, b.features),
          Wh(together * padded, 1, b.hidden), Wlast(Cell::two_steps ? padded : 0, 1, b.hidden),
          constants(Cell::constants * padded) {
        constants.clear();
        for (int place = 0; b.Wc && place < Cell::constants; place++)
            __builtin_memcpy(constants + place * padded, b.Wc + place * b.hidden, b.hidden * sizeof(Real));
    }

    // Lay out a part of the weights.
    void pack(const Backward<Real>& b, Part part) const {
        const long H = b.hidden, row = native::gates_of(b.kind) * H;
        for (int gate = 0; b.dx && gate < Cell::columns - Cell::first_drive; gate++)
            Wx.pack_transposed(b.Wx + gate * H, row, H, gate * padded, part);
        for (int place = 0; place < together; place++)
            Wh.pack_transposed(b.Wh + Cell::recurrent_gate(place) * H, row, H, place * padded, part);
        if (Cell::two_steps) Wlast.pack_transposed(b.Wh + together * H, row, H, 0, part);
    }
};

// Sums over rows and steps: one for each parameter, laid out as the parameters are.
template <class Real>
struct Sums {
    Real *dWx, *dWh;  // (D, G·H), (H, G·H)
    Real *dbx, *dbh;  // (G·H)
    Real* dWc;        // (3·H) or null
};

template <class Cell, class Real>
class BackwardRows {
  public:
    BackwardRows(const Backward<Real>& b, const Transposed<Cell, Real>& w, Sums<Real> sums, long first, long rows)
        : b(b), w(w), sums(sums), first(first), rows(rows), H(b.hidden), padded(w.padded),
          chunk(smaller(b.steps, CHUNK_ROWS / rows + 1)), d_row(spread<Real>(Cell::columns * padded)),
          h_row(spread<Real>(padded)), x_row(spread<Real>(b.features)), d(chunk * rows * d_row),
          dh(rows * h_row), dc(Cell::memory ? rows * padded : 0),
          through(apart() ? rows * h_row : 0), dgated(Cell::two_steps ? rows * h_row : 0),
          gated(Cell::two_steps ? chunk * rows * H : 0),
          scattered(b.dx && !evenly_spaced() ? chunk * rows * x_row : 0), panel(chunk * rows * PANEL<Real>),
          x_tiles(b.features, chunk * rows), h_tiles(H, chunk * rows),
          gated_tiles(Cell::two_steps ? H : 0, chunk * rows), db(Cell::columns * padded),
          dconstants(Cell::constants * padded) {}

    void run() {
        begin();
        for (long done = 0; done < b.steps; done += chunk) {
            const long now = smaller(chunk, b.steps - done), start = b.reverse ? done : b.steps - done - now;
            for (long step = 0; step < now; step++) {
                const long at = b.reverse ? step : now - 1 - step;
                this->step(start + at, at);
            }
            if (b.dx) input_gradient(start, now);
            weight_gradients(start, now, done > 0);
        }
        end();
    }

  private:
    // So many rows of d are made before they are summed up: enough to be worth a visit to each weight gradient.
    static constexpr long CHUNK_ROWS = 640;

    bool evenly_spaced() const { return rows == b.batch; }
    // Whether what comes through the product with Wh is made on its own, and then added to dh.
    bool apart() const { return b.keep || b.mask || Cell::two_steps; }
    bool real(long t, long row) const { return !b.mask || b.mask[t * b.mask_step + (first + row) * b.mask_row]; }
    // h (rows, H) on one side of step t: before it as the walk there went, or after it.
    const Real* state(long t, bool after) const {
        return b.states + ((t + (after != b.reverse)) * b.batch + first) * H;
    }

    void begin() {
        for (long row = 0; row < rows; row++)
            for (long unit = 0; unit < padded; unit += LANES<Real>) {
                const long from = (first + row) * H + unit, count = H - unit;
                store(dh + row * h_row + unit, load_some(b.dh_end + from, count));
                if (Cell::memory) store(dc + row * padded + unit, load_some(b.dc_end + from, count));
            }
        db.clear();
        dconstants.clear();
    }

    void end() {
        for (long row = 0; row < rows; row++) {
            __builtin_memcpy(b.dh + (first + row) * H, dh + row * h_row, H * sizeof(Real));
            if (Cell::memory) __builtin_memcpy(b.dc + (first + row) * H, dc + row * padded, H * sizeof(Real));
        }
        for (int gate = 0; gate < Cell::columns - Cell::first_drive; gate++)
            __builtin_memcpy(sums.dbx + gate * H, db + (Cell::first_drive + gate) * padded, H * sizeof(Real));
        for (int place = 0; place < Cell::recurrents; place++)
            __builtin_memcpy(sums.dbh + Cell::recurrent_gate(place) * H, db + place * padded, H * sizeof(Real));
        for (int place = 0; sums.dWc && place < Cell::constants; place++)
            __builtin_memcpy(sums.dWc + place * H, dconstants + place * padded, H * sizeof(Real));
    }

    template <class Visit>
    void each_vector(Visit visit) {
        for (long unit = 0; unit < padded; unit += LANES<Real>)
            for (long row = 0; row < rows; row++) visit(unit, row);
    }

    // One step back; at is its place in the chunk. dh and dc become those of the state before it.
    void step(long t, long at) {
        Real* d_here = d + at * rows * d_row;
        activate(t, d_here);
        if constexpr (Cell::two_steps) {
            multiply(d_here + w.together * padded, w.Wlast, at % 2, dgated, false);
            reset(t, at, d_here);
        }
        if (apart()) {
            multiply(d_here, w.Wh, at % 2, through, Cell::two_steps);
            each_vector([&](long unit, long row) {
                if (!real(t, row)) return;  // d is zero, but zero times an infinite weight is not
                Vector<Real> v = load(through + row * h_row + unit);
                if (b.keep) v *= load_some(b.keep + (first + row) * H + unit, H - unit);
                store(dh + row * h_row + unit, load(dh + row * h_row + unit) + v);
            });
        } else {
            multiply(d_here, w.Wh, at % 2, dh, Cell::carries);
        }
    }

    // to (rows, h_row) (+)= d times the panels. A row alone goes over them upward and downward by turns, and so begins
    // with what the step before has left in the first cache.
    void multiply(const Real* d, const Panels<Real>& right, bool down, Real* to, bool add) const {
        const Real* plus = add ? to : nullptr;
        if (rows == 1) return row_product(d, right, down, plus, to);
        product(rows, {d, d_row, 1, right.depth}, right, {to, h_row, padded, plus, h_row});
    }

    // What is known of one vector of units; before is h ⊙ keep where ``as_seen``.
    Back<Real> back_at(long t, long unit, long row, bool as_seen) const {
        Back<Real> q;
        const long count = H - unit;
        const Real* saved = b.saved + saved_place<Cell, Real>(t, unit, first + row, b.batch, padded);
        for (int one = 0; one < Cell::saved; one++) q.saved[one] = load(saved + one * LANES<Real>);
        for (int one = 0; one < Cell::constants; one++) q.constant[one] = load(w.constants + one * padded + unit);
        q.before = Cell::carries ? load_some(state(t, false) + row * H + unit, count) : Vector<Real>{};
        if (as_seen && b.keep) q.before *= load_some(b.keep + (first + row) * H + unit, count);
        q.after = Cell::saved ? Vector<Real>{} : load_some(state(t, true) + row * H + unit, count);
        if (Cell::memory) q.dc = load(dc + row * padded + unit);
        q.carry = Vector<Real>{};
        return q;
    }

    // The gates' cotangents d (rows, d_row) from dh and dc; their sums over the rows go to the biases.
    void activate(long t, Real* d) {
        for (long unit = 0; unit < padded; unit += LANES<Real>) {
            Back<Real> total{};
            for (long row = 0; row < rows; row++) {
                Real* dh_here = dh + row * h_row + unit;
                if (!real(t, row)) {
                    for (int gate = 0; gate < Cell::columns; gate++)
                        store(d + row * d_row + gate * padded + unit, Vector<Real>{});
                    continue;  // the state was not touched: dh and dc pass by
                }
                Back<Real> q = back_at(t, unit, row, false);
                q.dh = load(dh_here);
                if (b.dys) q.dh += load_some(b.dys + t * b.dys_step + (first + row) * b.dys_row + unit, H - unit);
                Cell::backward(q);
                for (int gate = Cell::two_steps ? 1 : 0; gate < Cell::columns; gate++) {
                    // The padding of a panel is zero, and zero times infinity is not: it must not come back here.
                    q.d[gate] = first_of(q.d[gate], unit);
                    store(d + row * d_row + gate * padded + unit, q.d[gate]);
                    total.d[gate] += q.d[gate];
                }
                for (int one = 0; one < Cell::constants; one++) total.dconstant[one] += q.dconstant[one];
                if (Cell::memory) store(dc + row * padded + unit, q.dc);
                store(dh_here, q.carry);
            }
            add_sums(total, unit, Cell::two_steps ? 1 : 0, Cell::columns);
        }
    }

    static void add_to(Real* to, Vector<Real> v) { store(to, load(to) + v); }

    Vector<Real> first_of(Vector<Real> v, long unit) const {
        return unit + LANES<Real> <= H ? v : ::first<Real>(v, H - unit);
    }

    void add_sums(const Back<Real>& total, long unit, int gate, int end) {
        for (; gate < end; gate++) add_to(db + gate * padded + unit, total.d[gate]);
        for (int one = 0; one < Cell::constants; one++) add_to(dconstants + one * padded + unit, total.dconstant[one]);
    }

    // The rest of a step of a cell in two: the gate r, from the cotangent of r ⊙ h.
    void reset(long t, long at, Real* d) {
        for (long unit = 0; unit < padded; unit += LANES<Real>) {
            Back<Real> total{};
            for (long row = 0; row < rows; row++) {
                Back<Real> q = back_at(t, unit, row, true);
                q.dh = load(dgated + row * h_row + unit);
                if constexpr (Cell::two_steps) Cell::backward_reset(q);
                if (!real(t, row)) q.d[0] = q.carry = q.after = Vector<Real>{};  // nothing was saved
                q.d[0] = first_of(q.d[0], unit);
                store(d + row * d_row + unit, q.d[0]);
                store(through + row * h_row + unit, q.carry);
                store_some(gated + (at * rows + row) * H + unit, q.after, H - unit);
                total.d[0] += q.d[0];
            }
            add_to(db + unit, total.d[0]);
        }
    }

    // dx = d Wxᵀ for ``steps`` steps from ``start``.
    void input_gradient(long start, long steps) {
        const long D = b.features;
        const Left<Real> left{d + Cell::first_drive * padded, d_row, 1, w.Wx.depth};
        Real* dx = b.dx + (start * b.batch + first) * D;
        if (evenly_spaced()) return product(steps * rows, left, w.Wx, {dx, D, D, nullptr, 0});
        product(steps * rows, left, w.Wx, {scattered, x_row, D, nullptr, 0});
        for (long row = 0; row < steps * rows; row++)
            __builtin_memcpy(dx + (row / rows * b.batch + row % rows) * D, scattered + row * x_row, D * sizeof(Real));
    }

    // dWx (+)= xᵀ d and dWh (+)= hᵀ d over ``steps`` steps from ``start``.
    void weight_gradients(long start, long steps, bool add) {
        const long row = native::gates_of(b.kind) * H;
        const Real* keep = b.keep ? b.keep + first * H : nullptr;
        x_tiles.pack({b.x + start * b.x_step + first * b.x_row, b.x_step, b.x_row}, steps, rows, nullptr);
        h_tiles.pack({state(start, false), b.batch * H, H}, steps, rows, keep);
        if (Cell::two_steps) gated_tiles.pack({gated, rows * H, H}, steps, rows, nullptr);
        for (int place = 0; place < Cell::columns; place++)
            for (long unit = 0; unit < padded; unit += PANEL<Real>) {
                const long width = smaller(PANEL<Real>, padded - unit), count = H - unit;
                pack_panel(place * padded + unit, width, steps * rows);
                if (place >= Cell::first_drive)
                    add_product(x_tiles, width, sums.dWx + (place - Cell::first_drive) * H + unit, row, count, add);
                if (place >= Cell::recurrents) continue;
                const bool last = Cell::two_steps && place == Cell::recurrents - 1;
                Real* dWh = sums.dWh + Cell::recurrent_gate(place) * H + unit;
                add_product(last ? gated_tiles : h_tiles, width, dWh, row, count, add);
            }
    }

    void add_product(const Tiles<Real>& tiles, long width, Real* to, long row, long count, bool add) const {
        tiles.times(panel, width, {to, row, count, add ? to : nullptr, row});
    }

    // The panel of d's columns from ``column`` on.
    void pack_panel(long column, long width, long depth) {
        for (long k = 0; k < depth; k++)
            for (long lane = 0; lane < width; lane += LANES<Real>)
                store(panel + k * width + lane, load(d + k * d_row + column + lane));
    }

    const Backward<Real>& b;
    const Transposed<Cell, Real>& w;
    const Sums<Real> sums;
    const long first, rows, H, padded, chunk, d_row, h_row, x_row;
    Buffer<Real> d;           // (chunk · rows, d_row), the cotangents of the gates
    Buffer<Real> dh, dc;      // (rows, h_row), (rows, padded)
    Buffer<Real> through;     // (rows, h_row), what of dh comes through the product, where it is made apart
    Buffer<Real> dgated;      // (rows, h_row), of r ⊙ h of a cell in two steps
    Buffer<Real> gated;       // (chunk · rows, H), r ⊙ h
    Buffer<Real> scattered;   // (chunk · rows, x_row), dx where its rows are not evenly spaced
    Buffer<Real> panel;       // (chunk · rows, PANEL)
    Tiles<Real> x_tiles, h_tiles, gated_tiles;
    Buffer<Real> db, dconstants;  // (columns · padded), (constants · padded)
};

}  // namespace
