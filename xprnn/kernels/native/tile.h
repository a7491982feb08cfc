// The innermost product: a tile of the result, held in registers while it is summed.
#pragma once

#include "vector.h"

namespace {

// The left factor, A(m, k) = data[m · row + k · step].
template <class Real>
struct Left {
    const Real* data;
    long row, step;
};

// Where a product goes: C(m, n) = data[m · row + n], n < columns; written, or added to what is there.
template <class Real>
struct Result {
    Real* data;
    long row, columns;
    bool add;
    const Real* bias;  // (columns, filled up to whole vectors) added to every row, or null
};

// A panel of the right factor is a strip of one or two vectors' width: panel[k · width + n], zero behind the last column.
// Two vectors wide and many rows high, a tile takes few bytes of the panel per product, so the second cache feeds it.
template <class Real>
constexpr long PANEL = 2 * LANES<Real>;

// The rows of the left factor, three to a pointer: what x86 can address with one register for the distance, where the
// compiler by itself would want a register for each row.
template <class Real, int ROWS>
struct LeftRows {
    static constexpr int POINTERS = (ROWS + 2) / 3;
    const Real* at[POINTERS];
    long row;

    explicit LeftRows(Left<Real> a) : row(a.row) {
        for (int p = 0; p < POINTERS; p++) {
            at[p] = a.data + 3 * p * a.row;
            __asm__("" : "+r"(at[p]));  // hides that the pointers have to do with each other
        }
    }
    Real operator[](int m) const { return at[m / 3][m % 3 * row]; }
    void advance(long step) {
        for (int p = 0; p < POINTERS; p++) at[p] += step;
    }
};

// The sums of a tile go to their place, with what is to be added; rows of less than a panel's width take the long way.
template <class Real, int ROWS, int VECTORS>
inline void finish(Vector<Real> (&sum)[ROWS][VECTORS], const Result<Real>& c) {
    constexpr long lanes = LANES<Real>, width = VECTORS * lanes;
    if (c.bias)
        for (int m = 0; m < ROWS; m++)
            for (int v = 0; v < VECTORS; v++) sum[m][v] += load(c.bias + v * lanes);
    if (c.columns >= width) {
        for (int m = 0; m < ROWS; m++)
            for (int v = 0; v < VECTORS; v++) {
                Real* to = c.data + m * c.row + v * lanes;
                store(to, c.add ? load(to) + sum[m][v] : sum[m][v]);
            }
        return;
    }
    Real whole[ROWS][width];
    for (int m = 0; m < ROWS; m++)
        for (int v = 0; v < VECTORS; v++) store(whole[m] + v * lanes, sum[m][v]);
#pragma GCC unroll 1
    for (int m = 0; m < ROWS; m++)
#pragma GCC unroll 1
        for (long n = 0; n < c.columns; n++)
            c.data[m * c.row + n] = c.add ? c.data[m * c.row + n] + whole[m][n] : whole[m][n];
}

// C = A · panel for ROWS rows, over ``depth`` values of k. While it runs, the result's lines come into the cache.
template <class Real, int ROWS, int VECTORS>
__attribute__((noinline)) void tile(Left<Real> a, const Real* panel, long depth, Result<Real> c) {
    using V = Vector<Real>;
    constexpr long lanes = LANES<Real>, width = VECTORS * lanes;
    // Each sum waits for the one before it: with fewer than eight sums under way, k is cut into several series.
    constexpr int SERIES = ROWS * VECTORS >= 8 ? 1 : ROWS * VECTORS >= 4 ? 2 : 4;
    V sum[SERIES][ROWS][VECTORS] = {};
    LeftRows<Real, ROWS> left(a);
    if (c.add)
        for (int m = 0; m < ROWS; m++) __builtin_prefetch(c.data + m * c.row);
    const auto multiply = [&](int series) __attribute__((always_inline)) {
        V right[VECTORS];
        for (int v = 0; v < VECTORS; v++) right[v] = load(panel + v * lanes);
        for (int m = 0; m < ROWS; m++)
            for (int v = 0; v < VECTORS; v++) sum[series][m][v] += left[m] * right[v];
        left.advance(a.step);
        panel += width;
    };
    long k = 0;
    for (; k + SERIES <= depth; k += SERIES)
        for (int series = 0; series < SERIES; series++) multiply(series);
    for (; k < depth; k++) multiply(0);
    for (int m = 0; m < ROWS; m++)
        for (int v = 0; v < VECTORS; v++)
            for (int series = 1; series < SERIES; series++) sum[0][m][v] += sum[series][m][v];
    finish(sum[0], c);
}

// tile for a number of rows that is known only now.
template <class Real, int VECTORS, int ROWS = TILE_ROWS>
inline void tile_of(long rows, Left<Real> a, const Real* panel, long depth, const Result<Real>& c) {
    if constexpr (ROWS > 0) {
        if (rows == ROWS) return tile<Real, ROWS, VECTORS>(a, panel, depth, c);
        tile_of<Real, VECTORS, ROWS - 1>(rows, a, panel, depth, c);
    }
}

// C = A · panel for any number of rows, cut into tiles as even as can be.
template <class Real>
__attribute__((noinline)) void strip(long rows, Left<Real> a, const Real* panel, long width, long depth, Result<Real> c) {
    const long tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
    for (long left = tiles, done = 0; left > 0; left--) {
        const long now = (rows - done + left - 1) / left;
        if (width == PANEL<Real>)
            tile_of<Real, 2>(now, a, panel, depth, c);
        else
            tile_of<Real, 1>(now, a, panel, depth, c);
        a.data += now * a.row;
        c.data += now * c.row;
        done += now;
    }
}

}  // namespace
