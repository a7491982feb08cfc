// The innermost product: a tile of the result, held in registers while it is summed.
#pragma once

#include "vector.h"

// Loops over the rows and vectors of a tile are written out by the compiler, or the sums would live in memory.
#define UNROLLED _Pragma("GCC unroll 16")

namespace {

// A left factor, A(m, k) = data[m · row + k · step], k < depth.
template <class Real>
struct Left {
    const Real* data;
    long row, step, depth;
};

// Rows of a right factor, a strip of one or two vectors' width: data[k · row + n].
template <class Real>
struct Right {
    const Real* data;
    long row;
};

// A product of two, and what will be needed after it: ``ahead`` bytes of that are fetched with every k.
template <class Real>
struct Term {
    Left<Real> left;
    Right<Real> right;
    const Real* next;
    long ahead = 0;
};

template <class Real>
constexpr Term<Real> NOTHING{};

// Where a product goes: C(m, n) = data[m · row + n], n < columns; to it comes plus[m · plus_row + n] unless null, of
// whole vectors unless it is C itself, to which then is added.
template <class Real>
struct Result {
    Real* data;
    long row, columns;
    const Real* plus;
    long plus_row;
};

// The widest strip. Two vectors wide and many rows high, a tile takes few bytes of it per product, so the second cache
// can feed it. A panel is a strip that is dense and ends in whole vectors, zero behind the last column.
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
        UNROLLED for (int p = 0; p < POINTERS; p++) {
            at[p] = a.data + 3 * p * a.row;
            __asm__("" : "+r"(at[p]));  // hides that the pointers have to do with each other
        }
    }
    Real operator[](int m) const { return at[m / 3][m % 3 * row]; }
    void advance(long step) {
        UNROLLED for (int p = 0; p < POINTERS; p++) at[p] += step;
    }
};

// The sums of a tile go to their place, with what is to be added; rows of less than a panel's width take the long way.
template <class Real, int ROWS, int VECTORS>
inline void finish(Vector<Real> (&sum)[ROWS][VECTORS], const Result<Real>& c) {
    constexpr long lanes = LANES<Real>, width = VECTORS * lanes;
    if (c.columns >= width) {
        UNROLLED for (int m = 0; m < ROWS; m++)
            UNROLLED for (int v = 0; v < VECTORS; v++) {
                const Vector<Real> total = c.plus ? load(c.plus + m * c.plus_row + v * lanes) + sum[m][v] : sum[m][v];
                store(c.data + m * c.row + v * lanes, total);
            }
        return;
    }
    Real whole[ROWS][width];
    UNROLLED for (int m = 0; m < ROWS; m++)
        UNROLLED for (int v = 0; v < VECTORS; v++) store(whole[m] + v * lanes, sum[m][v]);
#pragma GCC unroll 1
    for (int m = 0; m < ROWS; m++)
#pragma GCC unroll 1
        for (long n = 0; n < c.columns; n++)
            c.data[m * c.row + n] = c.plus ? c.plus[m * c.plus_row + n] + whole[m][n] : whole[m][n];
}

// C = a + b for ROWS rows. While it runs, what is to be added comes into the second cache.
template <class Real, int ROWS, int VECTORS>
void tile(const Term<Real>& a, const Term<Real>& b, const Result<Real>& c) {
    using V = Vector<Real>;
    constexpr long lanes = LANES<Real>;
    // Each sum waits for the one before it: with fewer than eight sums under way, k is cut into several series.
    constexpr int SERIES = ROWS * VECTORS >= 8 ? 1 : ROWS * VECTORS >= 4 ? 2 : 4;
    V sum[SERIES][ROWS][VECTORS];
    UNROLLED for (int series = 0; series < SERIES; series++)
        UNROLLED for (int m = 0; m < ROWS; m++)
            UNROLLED for (int v = 0; v < VECTORS; v++) sum[series][m][v] = V{};
    if (c.plus)
        UNROLLED for (int m = 0; m < ROWS; m++)
            UNROLLED for (int v = 0; v < VECTORS; v++) __builtin_prefetch(c.plus + m * c.plus_row + v * lanes, 0, 2);
    const Term<Real>* const terms[] = {&a, &b};
    for (const Term<Real>* term : terms) {
        const long depth = term->left.depth, step = term->left.step, row = term->right.row, ahead = term->ahead;
        LeftRows<Real, ROWS> left(term->left);
        const Real* from = term->right.data;
        const char* next = reinterpret_cast<const char*>(term->next);
        const auto multiply = [&](int series) __attribute__((always_inline)) {
            V right[VECTORS];
            UNROLLED for (int v = 0; v < VECTORS; v++) right[v] = load(from + v * lanes);
            UNROLLED for (int m = 0; m < ROWS; m++)
                UNROLLED for (int v = 0; v < VECTORS; v++) sum[series][m][v] += left[m] * right[v];
            left.advance(step);
            from += row;
            if constexpr (ROWS > TILE_ROWS / 2 + 1) {  // fewer rows have no time to spare
                __builtin_prefetch(next, 0, 2);
                next += ahead;
            }
        };
        long k = 0;
        for (; k + SERIES <= depth; k += SERIES)
            UNROLLED for (int series = 0; series < SERIES; series++) multiply(series);
        for (; k < depth; k++) multiply(0);
    }
    UNROLLED for (int m = 0; m < ROWS; m++)
        UNROLLED for (int v = 0; v < VECTORS; v++)
            UNROLLED for (int series = 1; series < SERIES; series++) sum[0][m][v] += sum[series][m][v];
    finish(sum[0], c);
}

template <class Real>
using Tile = void (*)(const Term<Real>&, const Term<Real>&, const Result<Real>&);

// The tiles of 1, 2, ... TILE_ROWS rows.
template <class Real, int VECTORS, int... ROWS>
struct TilesOf {
    static constexpr Tile<Real> of[] = {tile<Real, ROWS, VECTORS>...};
};
template <class Real, int VECTORS, int LEFT = TILE_ROWS, int... ROWS>
struct AllTiles : AllTiles<Real, VECTORS, LEFT - 1, LEFT, ROWS...> {};
template <class Real, int VECTORS, int... ROWS>
struct AllTiles<Real, VECTORS, 0, ROWS...> : TilesOf<Real, VECTORS, ROWS...> {};

// C = a + b for any number of rows and strips of ``width``, cut into tiles as even as can be. Each tile fetches its
// share of what comes next, as all of it at once, when its first tile needs it, is more than memory gives.
template <class Real>
void strip(long rows, Term<Real> a, Term<Real> b, long width, Result<Real> c) {
    const Tile<Real>* tiles = width == PANEL<Real> ? AllTiles<Real, 2>::of : AllTiles<Real, 1>::of;
    const long count = (rows + TILE_ROWS - 1) / TILE_ROWS;
    a.ahead = b.ahead = width * long(sizeof(Real)) / count;
    for (long left = count; left > 0; left--) {
        const long now = (rows + left - 1) / left;
        tiles[now - 1](a, b, c);
        a.left.data += now * a.left.row;
        b.left.data += now * b.left.row;
        a.next += a.left.depth * width / count;
        b.next += b.left.depth * width / count;
        c.data += now * c.row;
        c.plus += c.plus ? now * c.plus_row : 0;
        rows -= now;
    }
}

}  // namespace
