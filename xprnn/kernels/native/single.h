// The walk over time for one row of the batch: products that sweep over the weights, then the gates of all units.
#pragma once

#include "cells.h"
#include "sweep.h"

namespace {

using native::Forward;

// What all rows share. For a few steps the weights stay as they are: to lay them out costs as much.
template <class Cell, class Real>
struct RowWeights {
    static constexpr int gates = Cell::recurrents, together = gates - Cell::two_steps;
    static constexpr long FEW_STEPS = 4;

    const long row;  // how long a row of Wx and of Wh is
    const bool packed;
    const long padded;             // H, up to whole vectors
    Panels<Real> xs;               // Wx for the inputs of many steps, where packed
    const Ribbons<Real> x;         // Wx for the input of one step, where not
    const Ribbons<Real> h, gated;  // Wh for h; its last gate for r ⊙ h, of a cell in two steps
    Buffer<Real> bias;             // (gates · padded), of xs
    Buffer<Real> constants;        // (constants · padded)

    explicit RowWeights(const Forward<Real>& f)
        : row(gates * f.hidden), packed(f.hidden < LANES<Real> || f.steps > FEW_STEPS),
          padded(rounded_up(f.hidden, LANES<Real>)), xs(packed ? f.features : 0, gates, f.hidden),
          x(false, f.Wx, row, f.bx, f.features, gates, f.hidden),
          h(packed, f.Wh, row, f.bh, f.hidden, together, f.hidden),
          gated(packed && Cell::two_steps, f.Wh + together * f.hidden, row,
                f.bh ? f.bh + together * f.hidden : nullptr, f.hidden, 1, f.hidden),
          bias(packed ? gates * padded : 0), constants(Cell::constants * padded) {
        for (int gate = 0; packed && gate < gates; gate++) {
            xs.pack(f.Wx + gate * f.hidden, row, f.features, gate, {0, 1});
            fill(bias + gate * padded, f.bx ? f.bx + gate * f.hidden : nullptr, f.hidden);
        }
        for (int one = 0; one < Cell::constants; one++)
            fill(constants + one * padded, f.Wc + one * f.hidden, f.hidden);
    }

    // ``count`` numbers, or zeros where there are none, and zeros behind them up to whole vectors.
    void fill(Real* to, const Real* from, long count) const {
        for (long unit = 0; unit < padded; unit += LANES<Real>)
            store(to + unit, from ? load_some(from + unit, count - unit) : Vector<Real>{});
    }
};

template <class Cell, class Real>
class ForwardRow {
  public:
    ForwardRow(const Forward<Real>& f, const RowWeights<Cell, Real>& w, long b)
        : f(f), w(w), b(b), D(f.features), H(f.hidden), padded(w.padded), gap(w.packed ? padded : H),
          u_row(w.packed ? spread<Real>(w.gates * padded) : w.x.room()),
          chunk(w.packed ? smaller(f.steps, CHUNK_BYTES / (u_row * sizeof(Real)) + 1) : 1), x_row(spread<Real>(D)),
          memory(w.packed * chunk * x_row + chunk * u_row + w.h.room() + w.gated.room() + 6 * padded), x(memory),
          u(x + w.packed * chunk * x_row), z(u + chunk * u_row), h(z + w.h.room() + w.gated.room()), c(h + padded),
          seen(c + padded), reset(seen + padded) {}

    void run() {
        w.fill(h, f.h + b * H, H);
        if (Cell::memory) w.fill(c, f.c + b * H, H);
        if (f.states) put(f.states + (f.reverse ? f.steps : 0) * f.batch * H, h);
        for (long done = 0; done < f.steps; done += chunk) {
            const long now = smaller(chunk, f.steps - done), start = f.reverse ? f.steps - done - now : done;
            drive(start, now);
            for (long step = 0; step < now; step++) {
                const long at = f.reverse ? now - 1 - step : step;
                walk(start + at, u + at * u_row, (done + step) % 2);
            }
        }
        put(f.h_end, h);
        if (Cell::memory) put(f.c_end, c);
    }

  private:
    // u is made for many steps at once, of about so many bytes. The gates of so many vectors are under way at a time.
    static constexpr long CHUNK_BYTES = 64 * 1024, UNDER_WAY = 4;

    // This row of an array (B, H).
    void put(Real* to, const Real* from) const { __builtin_memcpy(to + b * H, from, H * sizeof(Real)); }

    // u = x Wx + b for ``steps`` steps from ``start``.
    void drive(long start, long steps) {
        const Real* from = f.x + start * f.x_step + b * f.x_row;
        if (!w.packed) return w.x.times(from, false, u);
        for (long step = 0; step < steps; step++)
            __builtin_memcpy(x + step * x_row, from + step * f.x_step, D * sizeof(Real));
        for (long unit = 0; unit < padded; unit += PANEL<Real>)
            for (int gate = 0; gate < w.gates; gate++) {
                const long column = gate * padded + unit, width = w.xs.width(unit);
                const Real* panel = w.xs.panel(unit, gate);
                const Term<Real> term{{x, x_row, 1, D}, {panel, width}, panel + D * width};
                strip(steps, term, NOTHING<Real>, width, {u + column, u_row, width, w.bias + column, 0});
            }
    }

    // Step t, with u as its drive; where the mask is 0 the state stays.
    void walk(long t, const Real* u, bool down) {
        const bool real = !f.mask || f.mask[t * f.mask_step + b * f.mask_row];
        if (real) step(t, u, down);
        Real* y = f.ys ? f.ys + (t * f.batch + b) * H : nullptr;
        if (y && real) __builtin_memcpy(y, h, H * sizeof(Real));
        if (y && !real) __builtin_memset(y, 0, H * sizeof(Real));
        if (f.states) put(f.states + (t + !f.reverse) * f.batch * H, h);
    }

    void step(long t, const Real* u, bool down) {
        const Real* into_product = f.keep ? drop() : h;
        w.h.times(into_product, down, z);
        if constexpr (Cell::two_steps) {
            for (long unit = 0; unit < padded; unit += LANES<Real>) make_reset(unit, u, into_product);
            w.gated.times(reset, down, z + w.together * H);
        }
        for (long unit = 0; unit < padded; unit += UNDER_WAY * LANES<Real>) activate(unit, t, u);
    }

    // h ⊙ keep
    const Real* drop() {
        for (long unit = 0; unit < H; unit++) seen[unit] = h[unit] * f.keep[b * H + unit];
        return seen;
    }

    // What is known of a vector of units before its gates.
    Unit<Real> unit_at(long unit, const Real* u) const {
        Unit<Real> q;
        for (int place = 0; place < Cell::columns; place++) {
            const Real* from_x = u + (place - Cell::first_drive) * gap + unit;
            const Real* from_h = z + Cell::recurrent_gate(place) * H + unit;
            q.z[place] = place < Cell::first_drive ? load(from_h)
                         : place < Cell::recurrents ? load(from_x) + load(from_h) : load(from_x);
        }
        for (int one = 0; one < Cell::constants; one++) q.constant[one] = load(w.constants + one * padded + unit);
        for (int one = 0; Cell::two_steps && one < 2; one++) q.saved[one] = load(reset + (1 + one) * padded + unit);
        q.h = load(h + unit);
        q.c = Cell::memory ? load(c + unit) : q.h;
        return q;
    }

    // The first part of a step of a cell in two: r ⊙ h for the product of the second, and r and s for later.
    void make_reset(long unit, const Real* u, const Real* into_product) {
        Unit<Real> q = unit_at(unit, u);
        q.h = load(into_product + unit);
        if constexpr (Cell::two_steps) Cell::reset(q);
        store(reset + unit, q.h);
        for (int one = 0; one < 2; one++) store(reset + (1 + one) * padded + unit, q.saved[one]);
    }

    // The gates and the new state of the units from ``start`` on, of UNDER_WAY vectors or what is left.
    void activate(long start, long t, const Real* u) {
        const long count = smaller(UNDER_WAY, (padded - start) / LANES<Real>);
        Unit<Real> units[UNDER_WAY];
        for (long one = 0; one < count; one++) {
            units[one] = unit_at(start + one * LANES<Real>, u);
            Cell::gates(units[one]);
        }
        for (long one = 0; one < count; one++) {
            Cell::output(units[one]);
            put_unit(units[one], start + one * LANES<Real>, t);
        }
    }

    void put_unit(const Unit<Real>& q, long unit, long t) {
        store(h + unit, q.h);
        if (Cell::memory) store(c + unit, q.c);
        if (!f.saved) return;
        Real* to = f.saved + saved_place<Cell, Real>(t, unit, b, f.batch, padded);
        for (int one = 0; one < Cell::saved; one++) store(to + one * LANES<Real>, q.saved[one]);
    }

    const Forward<Real>& f;
    const RowWeights<Cell, Real>& w;
    const long b, D, H, padded, gap, u_row, chunk, x_row;
    Buffer<Real> memory;      // of all that follows: to ask for each alone takes longer than a step
    Real* const x;            // (chunk, x_row), where packed
    Real* const u;            // (chunk, u_row), gate g from g · gap on
    Real* const z;            // the same of h for one step, gate g from g · H on
    Real *const h, *const c;  // (padded), the state
    Real* const seen;         // (padded), h ⊙ keep
    Real* const reset;        // (3 · padded), r ⊙ h, r and s of a cell in two steps
};

}  // namespace
