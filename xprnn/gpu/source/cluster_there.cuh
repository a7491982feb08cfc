// What the way there of the cluster walk has for all cells: who has which unit of which row, what a thread keeps from
// step to step, and how h comes to all blocks.
//
// T steps, B rows, H units, as in recurrent.cu; units and rows beyond these are there to fill up and stay 0.
#pragma once
#include "cells.cuh"
#include "cluster_tile.cuh"

constexpr int HIDDEN = CLUSTER * UNITS, OURS = UNITS * ROWS, ALL = divided_up(OURS, 32) * 32;
typedef Product<Cell::recurrents * UNITS, HIDDEN> Recurrent;
static_assert(Recurrent::PACKED == PACKED_WORDS, "the host packs other weights");
static_assert(ALL <= THREADS, "a thread has one unit of one row");

extern "C" __global__ void pack_forward(Index H, const Real* Wh, unsigned* packed) {
    pack<Recurrent>(reinterpret_cast<Words*>(packed), [=](int rank, int output, int term) {
        const int block = output / UNITS, unit = rank * UNITS + output % UNITS;
        const bool there = block < Cell::recurrents && unit < H && term < H;
        return there ? Wh[(term * Cell::recurrents + block) * H + unit] : Real(0);
    });
}

// The layer as recurrent.cu has it.
struct Layer {
    Index T, B, H, reverse, keeps;
    Real* saved;
    const Real *bx, *bh, *Wc, *keep;
    const bool* mask;
    Index mask_step, mask_row;
    Real *h, *c, *seen, *y;

    __device__ Index step(Index n) const { return reverse ? T - 1 - n : n; }
    // Where the state after step t is; the one before it where ``before``.
    __device__ Index state(Index t, bool before) const { return keeps ? (t + (before == (reverse != 0))) * B * H : 0; }
};

// A thread's unit and row: among those of its block and its slice, and among all. A warp that the units of all rows do
// not fill does some of them again.
struct Place {
    int unit, row, j, b;
    bool there;

    __device__ Place(const Layer& all, int rank, int first)
        : unit(threadIdx.x % UNITS), row(threadIdx.x < OURS ? threadIdx.x / UNITS : 0), j(rank * UNITS + unit),
          b(first + row), there(j < all.H && b < all.B && threadIdx.x < OURS) {}
    // Among the numbers of a state.
    __device__ Index of(const Layer& all) const { return b * all.H + j; }
};

// What the thread has of its own from step to step. ``drive`` and ``real`` are of the next step: they are asked for
// before the wait for its h, which is longer than the way to memory.
struct Own {
    Real h, c, kept, drive[Cell::columns];
    bool real;

    __device__ Own(const Layer& all, const Place& at) : h(0), c(0), kept(1), real(false) {
        for (int k = 0; k < Cell::columns; ++k) drive[k] = 0;
        if (!at.there) return;
        const Index i = all.state(all.step(0), true) + at.of(all);
        h = all.h[i];
        if (Cell::memory) c = all.c[i];
        if (all.keep) kept = all.keep[at.of(all)];
        ask(all, at, all.step(0));
    }

    __device__ void ask(const Layer& all, const Place& at, Index t) {
        if (!at.there) return;
        real = !all.mask || all.mask[t * all.mask_step + at.b * all.mask_row];
#pragma unroll
        for (int k = Cell::first_drive; k < Cell::columns; ++k)
            drive[k] = all.saved[((t * all.B + at.b) * Cell::columns + k) * all.H + at.j];
    }

    // The state that a step has made, where the mask has one.
    __device__ void keep(const Unit& q) {
        h = real ? q.h : h;
        c = real ? q.c : c;
    }

    __device__ void leave(const Layer& all, const Place& at, const Unit& q, Index t, bool last) const {
        if (!at.there) return;
        const Index i = at.of(all), now = all.state(t, false) + i;
        if (all.keeps || last) {
            all.h[now] = h;
            if (Cell::memory) all.c[now] = c;
            if (all.seen) all.seen[now] = h * kept;
        }
        if (all.y) all.y[t * all.B * all.H + i] = real ? h : Real(0);
        if (all.keeps && Cell::saves && real)
            for (int k = 0; k < SUMS; ++k)
                all.saved[((t * all.B + at.b) * Cell::columns + k) * all.H + at.j] = q.z[k];
    }
};

// h as the product sees it, to all blocks, this one too. Lanes side by side, whose units fill 16 bytes, share them and
// then divide the blocks among themselves.
__device__ inline void spread(Real seen, const Place& at, int rank, unsigned* there, Barrier* arrived) {
    constexpr int SHARING = 4 * IN_WORD;
    const int lane = threadIdx.x % 32, mine = lane % SHARING;
    const unsigned one = operand(seen, IN_WORD == 2 ? __shfl_xor_sync(0xffffffffu, seen, 1) : Real(0));
    unsigned word[4];
#pragma unroll
    for (int n = 0; n < 4; ++n) word[n] = __shfl_sync(0xffffffffu, one, lane - mine + n * IN_WORD);
    if (threadIdx.x >= OURS) return;
    unsigned* place = there + at.row * Recurrent::PITCH + (rank * UNITS + at.unit - mine) / IN_WORD;
    for (int to = mine; to < CLUSTER; to += SHARING) push16(place, arrived, to, word[0], word[1], word[2], word[3]);
}

// The first state as the product sees it, where exchange -1 would have left it, and zeros wherever no exchange writes.
__device__ inline void begin(const Layer& all, int first, unsigned (&seen)[2][ROWS * Recurrent::PITCH]) {
    const Index before = all.state(all.step(0), true);
    auto one = [&](int row, int unit) {
        const Index i = (first + row) * all.H + unit;
        return first + row < all.B && unit < all.H ? all.h[before + i] * (all.keep ? all.keep[i] : Real(1)) : Real(0);
    };
    for (int n = threadIdx.x; n < ROWS * Recurrent::PITCH; n += THREADS) {
        const int row = n / Recurrent::PITCH, unit = n % Recurrent::PITCH * IN_WORD;
        seen[0][n] = 0;
        seen[1][n] = operand(one(row, unit), one(row, unit + 1));
    }
}
