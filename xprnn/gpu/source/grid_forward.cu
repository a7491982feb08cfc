// A recurrent layer over a whole sequence in one launch on all of a GPU: each block owns UNITS units, and its columns
// of Wh stay on the chip. In round n all give the state before step n, as the product with Wh sees it.
//
// The arrays are those of recurrent.cu. A launch takes the rows of the batch from ``first`` on, at most ROWS.
#include "cells.cuh"
#include "grid.cuh"

typedef Slab<Cell::recurrents * UNITS, UNITS> Weights;
static_assert(UNITS * ROWS <= THREADS, "a thread owns one unit of one row");

// The weights (blocks, 8 tiles, LENGTH) as the blocks load them, and the rooms and flags of all launches, zero; a
// thread for each word.
extern "C" __global__ void grid_begin(Index H, Index blocks, const Real* Wh, unsigned* packed, Index words,
                                      unsigned* rooms, Index waits, unsigned* flags, Index* lost) {
    const Index i = thread(), row = i / LENGTH, k = i % LENGTH * (NUMBERS / WORDS), block = row / (Weights::tiles * 8);
    if (i < words) rooms[i] = 0;
    if (i < waits) flags[i] = 0, lost[i] = 0;
    if (block >= blocks) return;
    const Index output = row % (Weights::tiles * 8), unit = block * UNITS + output % UNITS, from = output / UNITS;
    const auto weight = [&](Index k) {
        const bool there = from < Cell::recurrents && unit < H && k < H;
        return there ? Wh[(k * Cell::recurrents + from) * H + unit] : Real(0);
    };
    packed[i] = word_of(weight(k), weight(k + 1));
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
grid_forward(Index T, Index B, Index first, Index H, Index reverse, const unsigned* packed, unsigned* rooms,
             unsigned* flags, Index* lost, Index limit, Index keeps, Stored* saved, const Real* bx, const Real* bh,
             const Real* Wc, const Real* keep, const bool* mask, Index mask_step, Index mask_row, Real* h, Real* c,
             Stored* seen, Real* y) {
    const Exchange all{rooms, flags, lost, limit};
    const int rows = static_cast<int>(B - first < ROWS ? B - first : ROWS), local = threadIdx.x / UNITS;
    const int within = threadIdx.x % UNITS;
    const Index unit = static_cast<Index>(blockIdx.x) * UNITS + within, row = first + local;
    const bool owns = local < rows && unit < H;
    const Index i = row * H + unit, states = B * H;
    Weights weights;
    weights.load(packed);

    Unit q{};
    Real bias[Cell::columns] = {}, factor = 1;
    const Index begin = keeps && reverse ? T : 0;
    if (owns) {
        q.h = h[begin * states + i];
        q.c = Cell::memory ? c[begin * states + i] : Real(0);
        if (keep) factor = keep[i];
        for (int k = 0; k < 3; ++k) q.peephole[k] = Cell::peepholes ? Wc[k * H + unit] : Real(0);
        for (int k = 0; k < SUMS; ++k) {
            const int from = Cell::recurrent(k);
            bias[k] = bx && k >= Cell::first_drive ? bx[(k - Cell::first_drive) * H + unit] : Real(0);
            if (bh && from >= 0) bias[k] += bh[from * H + unit];
        }
        all.put(0, local, unit, q.h * factor);
    }
    all.give(0);
    for (Index n = 0; n < T; ++n) {
        const Index t = reverse ? T - 1 - n : n, after = reverse ? t : t + 1;
        Stored* mine = saved + (t * B + row) * Cell::columns * H + unit;
        const bool real = owns && (!mask || mask[t * mask_step + row * mask_row]);
        Real drive[Cell::columns] = {};  // read now, and not looked at before the product is there
        if (owns)
            for (int k = Cell::first_drive; k < Cell::columns; ++k) drive[k] = load(mine[k * H]);
        if (!weights.multiply(all, n, rows)) return;
        if (real) {
            for (int k = 0; k < Cell::columns; ++k) {
                const int from = Cell::recurrent(k);
                q.z[k] = drive[k] + bias[k] + (from >= 0 ? weights.sum(local, from * UNITS + within) : Real(0));
            }
            Cell::forward(q);
        }
        if (owns) all.put(n + 1, local, unit, q.h * factor);
        all.give(n + 1);
        if (owns && (keeps || n == T - 1)) {
            const Index now = (keeps ? after : 0) * states + i;
            h[now] = q.h;
            if (Cell::memory) c[now] = q.c;
            if (seen) seen[now] = store(q.h * factor);
        }
        if (real && keeps && Cell::saves)
            for (int k = 0; k < Cell::columns; ++k) mine[k * H] = store(q.z[k]);
        if (owns && y) y[t * states + i] = real ? q.h : Real(0);
    }
}
