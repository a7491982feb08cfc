// The weights of a layer as the walk over time wants them, for some rows of the batch.
#pragma once

#include "cells.h"
#include "panels.h"

namespace {

using native::Forward;

// What all rows share, laid out once. For a step or two, the weights stay as they are: to lay them out costs as much.
// Units that fill no vector are ``rest``, if all their gates side by side take fewer vectors than each gate by itself:
// their columns then come last, as those of one gate. Only where x and h drive all gates: 0 · ∞ is not 0.
template <class Cell, class Real>
struct Weights {
    const Forward<Real>& f;
    const bool packed;
    const long padded, row;     // H, up to whole vectors; how long a row of Wx and of Wh is
    const long rest, whole;     // the units of the rest, and the others, or ``padded``
    const long rest_columns;    // up to whole vectors
    Panels<Real> Wx, Wh;        // (D, columns · whole), (H, columns · whole), each gate in its place
    Panels<Real> x_rest, h_rest;
    Buffer<Real> bias;          // (columns · padded), as in ``column``
    Buffer<Real> constants;     // (constants · padded)

    explicit Weights(const Forward<Real>& f)
        : f(f), packed(f.hidden % LANES<Real> != 0 || f.steps * (f.batch / TILE_ROWS + 1) > 2),
          padded(rounded_up(f.hidden, LANES<Real>)), row(native::gates_of(f.kind) * f.hidden), rest(rest_of(f.hidden)),
          whole(rest ? f.hidden - rest : padded), rest_columns(rounded_up(Cell::columns * rest, LANES<Real>)),
          Wx(packed ? f.features : 0, Cell::columns, f.hidden - rest),
          Wh(packed ? f.hidden : 0, Cell::columns, f.hidden - rest), x_rest(f.features, 1, Cell::columns * rest),
          h_rest(f.hidden, 1, Cell::columns * rest), bias(Cell::columns * padded), constants(Cell::constants * padded) {
        bias.clear();
        constants.clear();
        for (int place = 0; place < Cell::columns; place++)
            for (long unit = 0; unit < f.hidden; unit++) {
                Real& sum = bias[column(place, unit)];
                if (driven(place) && f.bx) sum += f.bx[gate_x(place) * f.hidden + unit];
                if (recurrent(place) && f.bh) sum += f.bh[Cell::recurrent_gate(place) * f.hidden + unit];
            }
        for (int one = 0; one < Cell::constants; one++)
            __builtin_memcpy(constants + one * padded, f.Wc + one * f.hidden, f.hidden * sizeof(Real));
    }

    // Lay out a part of the weights.
    void pack(Part part) const {
        for (int place = 0; packed && place < Cell::columns; place++) {
            if (driven(place)) Wx.pack(f.Wx + gate_x(place) * f.hidden, row, f.features, place, part);
            if (recurrent(place)) Wh.pack(f.Wh + Cell::recurrent_gate(place) * f.hidden, row, f.hidden, place, part);
        }
        if (!rest || part.which) return;
        Buffer<Real> columns((f.features + f.hidden) * rest_columns);
        columns.clear();
        Real *x = columns, *h = x + f.features * rest_columns;
        for (int place = 0; place < Cell::columns; place++) {
            gather(f.Wx + gate_x(place) * f.hidden, f.features, place, x);
            gather(f.Wh + Cell::recurrent_gate(place) * f.hidden, f.hidden, place, h);
        }
        x_rest.pack(x, rest_columns, f.features, 0, {0, 1});
        h_rest.pack(h, rest_columns, f.hidden, 0, {0, 1});
    }

    static long rest_of(long hidden) {
        constexpr bool all = Cell::recurrents == Cell::columns && !Cell::first_drive && !Cell::two_steps;
        const long rest = hidden % LANES<Real>;
        return all && Cell::columns * rest <= (Cell::columns - 1) * LANES<Real> ? rest : 0;
    }

    // The rest's columns of one place's weights W (depth, row) side by side with those of the others.
    void gather(const Real* W, long depth, int place, Real* to) const {
        for (long k = 0; k < depth; k++)
            __builtin_memcpy(to + k * rest_columns + place * rest, W + k * row + whole, rest * sizeof(Real));
    }

    // Where a unit's sum of one place is in a row that has all of them.
    long column(int place, long unit) const {
        return unit < whole ? place * whole + unit : Cell::columns * whole + place * rest + unit - whole;
    }

    // Where the units end whose gates are made at once, if they begin at ``start``.
    long end(long start) const { return start < whole ? smaller(start + PANEL<Real>, whole) : padded; }

    static bool driven(int place) { return place >= Cell::first_drive; }
    static long gate_x(int place) { return place - Cell::first_drive; }
    static bool recurrent(int place) { return place < Cell::recurrents; }

    // The product of a left factor with the weights of one place's units from ``start`` on; after those of all gates of
    // these units come those of the next.
    Term<Real> times_x(const Left<Real>& left, long start, int place) const {
        return term(left, Wx, f.Wx + gate_x(place) * f.hidden, start, place);
    }
    Term<Real> times_h(const Left<Real>& left, long start, int place) const {
        return term(left, Wh, f.Wh + Cell::recurrent_gate(place) * f.hidden, start, place);
    }
    Term<Real> term(const Left<Real>& left, const Panels<Real>& panels, const Real* W, long start, int place) const {
        if (!packed) return {left, {W + start, row}, W + start};
        const Real* panel = panels.panel(start, place);
        return {left, {panel, panels.width(start)}, panel + left.depth * panels.width(start)};
    }

    // The same for the rest's columns from ``column`` on.
    Term<Real> times_rest(const Left<Real>& left, const Panels<Real>& panels, long column) const {
        const long width = panels.width(column);
        return {left, {panels.panel(column, 0), width}, panels.panel(column, 0) + left.depth * width};
    }
};

}  // namespace
