// One step of a stream, products and all, in one launch: a block of 256 threads makes 32 units of ROWS rows.
//
// The 8 warps of a block share the terms of the sums among them, and the sums are put together in a fixed order. What
// one block writes no other block reads. All arrays are dense, but for the distance of the rows of x.
#include "cells.cuh"

#ifndef ROWS
#define ROWS 1
#endif

// Where a block is, and how many rows it has.
struct Part {
    Index row, unit, rows;
    bool inside;
    int slice, lane;

    __device__ Part(Index B, Index H) {
        const Index wide = (H + 31) / 32;
        lane = threadIdx.x % 32, slice = threadIdx.x / 32;
        row = blockIdx.x / wide * ROWS;
        rows = B - row < ROWS ? B - row : ROWS;
        unit = blockIdx.x % wide * 32 + lane;
        inside = unit < H;
        if (!inside) unit = H - 1;
    }
};

// Adds this thread's terms of a W to the sums of blocks ``first`` to ``last``. a, and factor if there is one, begin
// with the block's first row.
template <int first, int last, bool recurrent>
__device__ void add_terms(Real (&z)[ROWS][4], const Part& at, Index H, const Real* a, Index a_row, const Real* factor,
                          Index terms, const Real* W, Index width) {
    for (Index n = at.slice; n < terms; n += 8) {
        Real values[ROWS];
        for (int r = 0; r < ROWS; ++r)
            values[r] = r < at.rows ? a[r * a_row + n] * (factor ? factor[r * terms + n] : Real(1)) : Real(0);
        for (int k = first; k < last; ++k) {
            const int block = recurrent ? Cell::recurrent(k) : k - Cell::first_drive;
            if (block < 0) continue;
            const Real w = W[n * width + block * H + at.unit];
            for (int r = 0; r < ROWS; ++r) z[r][k] += values[r] * w;
        }
    }
}

// Blocks ``first`` to ``last`` of the sums that a step bends, of row number ``slice`` of the block, into z[0].
template <int first, int last>
__device__ void sum_all(Real (&z)[ROWS][4], const Part& at, Index H, const Real* bx, const Real* bh) {
    __shared__ Real parts[8][ROWS][4][32];
    for (int r = 0; r < ROWS; ++r)
        for (int k = first; k < last; ++k) parts[at.slice][r][k][at.lane] = z[r][k];
    __syncthreads();
    if (at.slice >= ROWS) return;
    for (int k = first; k < last; ++k) {
        const int from = Cell::recurrent(k);
        Real sum = 0;
        for (int part = 0; part < 8; ++part) sum += parts[part][at.slice][k][at.lane];
        if (bx && k >= Cell::first_drive) sum += bx[(k - Cell::first_drive) * H + at.unit];
        if (bh && from >= 0) sum += bh[from * H + at.unit];
        z[0][k] = sum;
    }
}

// The first half where the reset comes before the product: r h, as the other product sees it, and s.
extern "C" __global__ void stream_reset(Index B, Index D, Index H, const Real* x, Index x_row, const Real* Wx,
                                        const Real* Wh, const Real* bx, const Real* bh, const Real* keep,
                                        const Real* h, Real* reset, Real* update) {
    const Part at(B, H);
    const Real* seen = h + at.row * H;
    const Real* kept = keep ? keep + at.row * H : nullptr;
    Real z[ROWS][4] = {};
    add_terms<0, Cell::late, false>(z, at, H, x + at.row * x_row, x_row, nullptr, D, Wx, SUMS * H);
    add_terms<0, Cell::late, true>(z, at, H, seen, H, kept, H, Wh, Cell::recurrents * H);
    sum_all<0, Cell::late>(z, at, H, bx, bh);
    if (!at.inside || at.slice >= at.rows) return;
    const Index i = at.slice * H + at.unit, place = at.row * H + i;
    reset[place] = sigmoid(z[0][0]) * (kept ? seen[i] * kept[i] : seen[i]);
    update[place] = sigmoid(z[0][1]);
}

// The step; ``reset`` is null, or what stream_reset has left there, with s in new_h. Without y only the state is
// written.
extern "C" __global__ void stream_step(Index B, Index D, Index H, const Real* x, Index x_row, const Real* Wx,
                                       const Real* Wh, const Real* bx, const Real* bh, const Real* Wc,
                                       const Real* keep, const Real* h, const Real* c, const Real* reset, Real* y,
                                       Real* new_h, Real* new_c) {
    const Part at(B, H);
    const Real* seen = (Cell::late ? reset : h) + at.row * H;
    const Real* kept = keep && !Cell::late ? keep + at.row * H : nullptr;
    Real z[ROWS][4] = {};
    add_terms<Cell::late, SUMS, false>(z, at, H, x + at.row * x_row, x_row, nullptr, D, Wx,
                                       (SUMS - Cell::first_drive) * H);
    add_terms<Cell::late, SUMS, true>(z, at, H, seen, H, kept, H, Wh, Cell::recurrents * H);
    sum_all<Cell::late, SUMS>(z, at, H, bx, bh);
    if (!at.inside || at.slice >= at.rows) return;
    const Index place = (at.row + at.slice) * H + at.unit;
    Unit q;
    for (int k = 0; k < SUMS; ++k) q.z[k] = z[0][k];
    for (int k = 0; k < Cell::zones; ++k) q.z[SUMS + k] = x[(at.row + at.slice) * x_row + D + k * H + at.unit];
    if (Cell::late) q.z[1] = new_h[place];
    for (int k = 0; k < 3; ++k) q.peephole[k] = Cell::peepholes ? Wc[k * H + at.unit] : Real(0);
    q.h = h[place];
    q.c = Cell::memory ? c[place] : Real(0);
    Cell::forward(q);
    new_h[place] = q.h;
    if (Cell::memory) new_c[place] = q.c;
    if (y) y[place] = q.h;
}
