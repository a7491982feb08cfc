// The innermost product: a tile of the result, held in registers while it is summed.
#pragma once

#include "vector.h"

namespace {

// A left factor, A(m, k) = data[m · row + k · step], k < depth.
template <class Real>
struct Left {
    const Real* data;
    long row, step, depth;
};

// No factor at all, for a product with one.
template <class Real>
constexpr Left<Real> NOTHING{nullptr, 0, 0, 0};

// Where a product goes: C(m, n) = data[m · row + n], n < columns; to it comes plus[m · plus_row + n] unless null, of
// whole vectors unless it is C itself, to which then is added.
template <class Real>
struct Result {
    Real* data;
    long row, columns;
    const Real* plus;
    long plus_row;
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
    if (c.columns >= width) {
        for (int m = 0; m < ROWS; m++)
            for (int v = 0; v < VECTORS; v++) {
                const Vector<Real> total = c.plus ? load(c.plus + m * c.plus_row + v * lanes) + sum[m][v] : sum[m][v];
                store(c.data + m * c.row + v * lanes, total);
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
            c.data[m * c.row + n] = c.plus ? c.plus[m * c.plus_row + n] + whole[m][n] : whole[m][n];
}

// C = A · panel + B · (what follows in the panel), for ROWS rows. While it runs, what is to be added comes into the cache.
template <class Real, int ROWS, int VECTORS>
void tile(const Left<Real>& a, const Left<Real>& b, const Real* panel, const Result<Real>& c) {
    using V = Vector<Real>;
    constexpr long lanes = LANES<Real>, width = VECTORS * lanes;
    // Each sum waits for the one before it: with fewer than eight sums under way, k is cut into several series.
    constexpr int SERIES = ROWS * VECTORS >= 8 ? 1 : ROWS * VECTORS >= 4 ? 2 : 4;
    V sum[SERIES][ROWS][VECTORS] = {};
    if (c.plus)
        for (int m = 0; m < ROWS; m++) __builtin_prefetch(c.plus + m * c.plus_row);
    const Left<Real>* const factors[] = {&a, &b};
    for (const Left<Real>* factor : factors) {
        LeftRows<Real, ROWS> left(*factor);
        const auto multiply = [&](int series) __attribute__((always_inline)) {
            V right[VECTORS];
            for (int v = 0; v < VECTORS; v++) right[v] = load(panel + v * lanes);
            for (int m = 0; m < ROWS; m++)
                for (int v = 0; v < VECTORS; v++) sum[series][m][v] += left[m] * right[v];
            left.advance(factor->step);
            panel += width;
        };
        long k = 0;
        for (; k + SERIES <= factor->depth; k += SERIES)
            for (int series = 0; series < SERIES; series++) multiply(series);
        for (; k < factor->depth; k++) multiply(0);
    }
    for (int m = 0; m < ROWS; m++)
        for (int v = 0; v < VECTORS; v++)
            for (int series = 1; series < SERIES; series++) sum[0][m][v] += sum[series][m][v];
    finish(sum[0], c);
}

template <class Real>
using Tile = void (*)(const Left<Real>&, const Left<Real>&, const Real*, const Result<Real>&);

// The tiles of 1, 2, ... TILE_ROWS rows.
template <class Real, int VECTORS, int... ROWS>
struct TilesOf {
    static constexpr Tile<Real> of[] = {tile<Real, ROWS, VECTORS>...};
};
template <class Real, int VECTORS, int LEFT = TILE_ROWS, int... ROWS>
struct AllTiles : AllTiles<Real, VECTORS, LEFT - 1, LEFT, ROWS...> {};
template <class Real, int VECTORS, int... ROWS>
struct AllTiles<Real, VECTORS, 0, ROWS...> : TilesOf<Real, VECTORS, ROWS...> {};

// C = A · panel + B · (what follows) for any number of rows, cut into tiles as even as can be.
template <class Real>
void strip(long rows, Left<Real> a, Left<Real> b, const Real* panel, long width, Result<Real> c) {
    const Tile<Real>* tiles = width == PANEL<Real> ? AllTiles<Real, 2>::of : AllTiles<Real, 1>::of;
    for (long left = (rows + TILE_ROWS - 1) / TILE_ROWS; left > 0; left--) {
        const long now = (rows + left - 1) / left;
        tiles[now - 1](a, b, panel, c);
        a.data += now * a.row;
        b.data += now * b.row;
        c.data += now * c.row;
        c.plus += c.plus ? now * c.plus_row : 0;
        rows -= now;
    }
}

}  // namespace
