// The walk over time for one row of the batch: products that sweep over the weights, then the gates of the units.
#pragma once

#include "cells.h"
#include "sweep.h"

namespace {

using native::Forward;

// The weights of some units, for all rows. For a few steps they stay as they are: to lay them out costs as much.
template <class Cell, class Real>
struct RowWeights {
    static constexpr int gates = Cell::recurrents, at_once = gates - Cell::two_steps;
    static constexpr long FEW_STEPS = 4;

    const long first, units, row;  // the units from ``first`` on; how long a row of Wx and of Wh is
    const bool packed;
    const long padded;             // units, up to whole vectors
    Panels<Real> xs;               // Wx for the inputs of many steps, where packed
    const Ribbons<Real> x;         // Wx for the input of one step, where not
    const Ribbons<Real> h, gated;  // Wh for h; its last gate for r ⊙ h, of a cell in two steps
    Buffer<Real> bias;             // (gates · padded), of xs
    Buffer<Real> constants;        // (constants · padded)

    explicit RowWeights(const Forward<Real>& f) : RowWeights(f, 0, f.hidden) {}

    // Some of the units are for many steps only.
    RowWeights(const Forward<Real>& f, long first, long units)
        : first(first), units(units), row(gates * f.hidden), packed(f.hidden < LANES<Real> || f.steps > FEW_STEPS),
          padded(rounded_up(units, LANES<Real>)), xs(packed ? f.features : 0, gates, units),
          x(false, f.Wx, row, f.bx, f.features, gates, f.hidden, f.hidden),
          h(packed, f.Wh + first, row, from(f.bh, 0), f.hidden, at_once, units, f.hidden),
          gated(packed && Cell::two_steps, f.Wh + at_once * f.hidden + first, row, from(f.bh, at_once * f.hidden),
                f.hidden, 1, units, f.hidden),
          bias(packed ? gates * padded : 0), constants(Cell::constants * padded) {
        for (int gate = 0; packed && gate < gates; gate++) {
            xs.pack(f.Wx + gate * f.hidden + first, row, f.features, gate, {0, 1});
            fill(bias + gate * padded, from(f.bx, gate * f.hidden));
        }
        for (int one = 0; one < Cell::constants; one++) fill(constants + one * padded, f.Wc + one * f.hidden + first);
    }

    // These units' numbers of one gate.
    const Real* from(const Real* array, long gate) const { return array ? array + gate + first : nullptr; }

    // The units' numbers, or zeros where there are none, and zeros behind them up to whole vectors.
    void fill(Real* to, const Real* from) const {
        for (long unit = 0; unit < padded; unit += LANES<Real>)
            store(to + unit, from ? load_some(from + unit, units - unit) : Vector<Real>{});
    }
};

// The steps of some units of a row: all of them, or those that one of several threads sees to.
template <class Cell, class Real>
class RowWalk {
  public:
    RowWalk(const Forward<Real>& f, const RowWeights<Cell, Real>& w, long b)
        : f(f), w(w), b(b), D(f.features), H(f.hidden), padded(w.padded), whole(rounded_up(H, LANES<Real>)),
          gap(w.packed ? padded : H), u_row(w.packed ? spread<Real>(w.gates * padded) : w.x.room()),
          chunk(w.packed ? smaller(smaller(f.steps, CHUNK), CHUNK_BYTES / (w.gates * whole * sizeof(Real)) + 1) : 1),
          x_row(spread<Real>(D)),
          memory(w.packed * chunk * x_row + chunk * u_row + w.h.room() + w.gated.room() + 4 * padded + 3 * whole),
          x(memory), u(x + w.packed * chunk * x_row), z(u + chunk * u_row), h(z + w.h.room() + w.gated.room()),
          c(h + 2 * whole), reset(c + padded), seen(reset + 3 * padded) {}

    void run() {
        begin();
        for (long n = 0; n < f.steps; n++) step(n), give(n);
        end();
    }

    // Before the first step, and after the last one.
    void begin() {
        w.fill(h + w.first, f.h + b * H + w.first);
        if (Cell::memory) w.fill(c, f.c + b * H + w.first);
        if (f.states) put(f.states + (f.reverse ? f.steps : 0) * f.batch * H, h);
    }
    void end() const {
        put(f.h_end, state(f.steps));
        if (Cell::memory) put(f.c_end, c - w.first);
    }

    // Whether u is yet to be made for the n-th step.
    bool between(long n) const { return n == driven; }

    // h after n steps, of all units: who sees to some of them has to be told that of the others.
    Real* state(long n) const { return h + n % 2 * whole; }

    // Before the n-th step: let another go on, with h of these units, and c of those that both see to.
    void hand_over(RowWalk& other, long n) const {
        __builtin_memcpy(other.state(n) + w.first, state(n) + w.first, padded * sizeof(Real));
        if (!Cell::memory) return;
        const long from = w.first > other.w.first ? w.first : other.w.first;
        const long end = smaller(w.first + w.units, other.w.first + other.w.units);
        __builtin_memcpy(other.c + from - other.w.first, c + from - w.first, (end - from) * sizeof(Real));
    }
    void go_on(long n) { driven = n; }

    // The n-th step of the walk, from state(n), which has to be whole.
    __attribute__((always_inline)) void step(long n) {
        if (n == driven) drive();
        const long t = time_of(n);
        if (is_real(t))
            multiply_and_activate(t, u + (t - start) * u_row, n % 2, state(n), state(n + 1));
        else
            __builtin_memcpy(state(n + 1) + w.first, state(n) + w.first, padded * sizeof(Real));
    }

    // Give out what the n-th step made.
    void give(long n) const {
        const long t = time_of(n), place = t * f.batch * H;
        const Real* after = state(n + 1);
        if (f.ys && is_real(t)) put(f.ys + place, after);
        else if (f.ys) __builtin_memset(f.ys + place + b * H + w.first, 0, w.units * sizeof(Real));
        if (f.states) put(f.states + place + (f.reverse ? 0 : f.batch * H), after);
    }

  private:
    // u is made for many steps at once, of about so many bytes, and at most so many: where that is done again is where
    // two threads may meet. The gates of so many vectors are under way at a time.
    static constexpr long CHUNK_BYTES = 64 * 1024, CHUNK = 28, UNDER_WAY = 4;

    // Where the n-th step of the walk is in time, and whether this row has it.
    long time_of(long n) const { return f.reverse ? f.steps - 1 - n : n; }
    bool is_real(long t) const { return !f.mask || f.mask[t * f.mask_step + b * f.mask_row]; }

    // These units in this row of an array (B, H).
    void put(Real* to, const Real* from) const {
        __builtin_memcpy(to + b * H + w.first, from + w.first, w.units * sizeof(Real));
    }

    // u = x Wx + b for the steps that come next, as many as there is room for.
    void drive() {
        const long steps = smaller(chunk, f.steps - driven);
        start = f.reverse ? f.steps - driven - steps : driven;
        driven += steps;
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

    // Step t, with u as its drive.
    void multiply_and_activate(long t, const Real* u, bool down, const Real* before, Real* after) {
        const Real* into_product = f.keep ? drop(before) : before;
        w.h.times(into_product, down, z);
        if constexpr (Cell::two_steps) {
            for (long unit = 0; unit < padded; unit += LANES<Real>) make_reset(unit, u, before, into_product);
            w.gated.times(reset, down, z + w.at_once * w.units);
        }
        for (long unit = 0; unit < padded; unit += UNDER_WAY * LANES<Real>) activate(unit, t, u, before, after);
    }

    // h ⊙ keep
    const Real* drop(const Real* h) {
        for (long unit = 0; unit < H; unit++) seen[unit] = h[unit] * f.keep[b * H + unit];
        return seen;
    }

    // What is known of a vector of units before its gates. Behind the last unit it is numbers of other gates, for
    // nobody.
    Unit<Real> unit_at(long unit, const Real* u, const Real* before) const {
        Unit<Real> q;
        for (int place = 0; place < Cell::columns; place++) {
            const Real* from_x = u + (place - Cell::first_drive) * gap + unit;
            const Real* from_h = z + Cell::recurrent_gate(place) * w.units + unit;
            q.z[place] = place < Cell::first_drive ? load(from_h)
                         : place < Cell::recurrents ? load(from_x) + load(from_h) : load(from_x);
        }
        for (int one = 0; one < Cell::constants; one++) q.constant[one] = load(w.constants + one * padded + unit);
        for (int one = 0; Cell::two_steps && one < 2; one++) q.saved[one] = load(reset + (1 + one) * padded + unit);
        q.h = load(before + w.first + unit);
        q.c = Cell::memory ? load(c + unit) : q.h;
        return q;
    }

    // The first part of a step of a cell in two: r ⊙ h for the product of the second, and r and s for later.
    void make_reset(long unit, const Real* u, const Real* before, const Real* into_product) {
        Unit<Real> q = unit_at(unit, u, before);
        q.h = load(into_product + unit);
        if constexpr (Cell::two_steps) Cell::reset(q);
        store(reset + unit, q.h);
        for (int one = 0; one < 2; one++) store(reset + (1 + one) * padded + unit, q.saved[one]);
    }

    // The gates and the new state of the units from ``start`` on, of UNDER_WAY vectors or what is left.
    void activate(long start, long t, const Real* u, const Real* before, Real* after) {
        const long count = smaller(UNDER_WAY, (padded - start) / LANES<Real>);
        Unit<Real> units[UNDER_WAY];
        for (long one = 0; one < count; one++) {
            units[one] = unit_at(start + one * LANES<Real>, u, before);
            Cell::gates(units[one]);
        }
        for (long one = 0; one < count; one++) {
            Cell::output(units[one]);
            put_unit(units[one], start + one * LANES<Real>, t, after);
        }
    }

    void put_unit(const Unit<Real>& q, long unit, long t, Real* after) {
        store(after + w.first + unit, q.h);
        if (Cell::memory) store(c + unit, q.c);
        if (!f.saved) return;
        Real* to = f.saved + saved_place<Cell, Real>(t, w.first + unit, b, f.batch, whole);
        for (int one = 0; one < Cell::saved; one++) store(to + one * LANES<Real>, q.saved[one]);
    }

    const Forward<Real>& f;
    const RowWeights<Cell, Real>& w;
    const long b, D, H, padded, whole;  // padded: these units up to whole vectors; whole: all units
    const long gap, u_row, chunk, x_row;
    Buffer<Real> memory;           // of all that follows: to ask for each alone takes longer than a step
    Real* const x;                 // (chunk, x_row), where packed
    Real* const u;                 // (chunk, u_row), gate g from g · gap on
    Real* const z;                 // the same of h for one step, gate g from g · units on
    Real* const h;                 // (2, whole), the state's before a step and after it, by turns
    Real* const c;                 // (padded), the state's
    Real* const reset;             // (3 · padded), r ⊙ h, r and s of a cell in two steps
    Real* const seen;              // (whole), h ⊙ keep
    long start = 0, driven = 0;    // the step that u begins with, and how many steps of the walk have had theirs made
};

}  // namespace
