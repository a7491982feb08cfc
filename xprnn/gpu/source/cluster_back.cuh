// What the way back of the cluster walk has for all cells: who has which unit of which row, what a thread reads of it
// from step to step, and how what comes through the product goes to whom it concerns.
//
// A block multiplies the cotangents of its units' gates with its share of Wh, the columns of these units, which stays
// on the chip. That gives a part of the cotangent of h before the step for all units; each goes to the block that has
// the unit, which adds the parts in the order of the blocks. So a step exchanges HIDDEN numbers a row, not those of all
// gates.
//
// T steps, B rows, H units, as in recurrent.cu; units and rows beyond these are there to fill up and stay 0.
#pragma once
#include "cells.cuh"
#include "cluster_tile.cuh"

constexpr int HIDDEN = CLUSTER * UNITS, OURS = UNITS * ROWS;
typedef Product<HIDDEN, Cell::recurrents * UNITS> Through;
static_assert(Through::PACKED == PACKED_WORDS, "the host packs other weights");
static_assert(OURS <= THREADS, "a thread has one unit of one row");

extern "C" __global__ void pack_backward(Index H, const Real* Wh, unsigned* packed) {
    pack<Through>(reinterpret_cast<Words*>(packed), [=](int rank, int output, int term) {
        const int block = term / UNITS, unit = rank * UNITS + term % UNITS;
        const bool there = block < Cell::recurrents && unit < H && output < H;
        return there ? Wh[(output * Cell::recurrents + Cell::recurrent(block)) * H + unit] : Real(0);
    });
}

// The layer as recurrent.cu has it: the states and what the steps have left, and the cotangents, of the last state in
// dh and dc, of the first one in new_dh and new_dc.
struct Layer {
    Index T, B, H, reverse;
    const Real *saved, *Wc, *keep;
    const bool* mask;
    Index mask_step, mask_row;
    const Real *h, *c, *dy;
    Index dy_step, dy_row;
    const Real *dh, *dc;
    Real *d, *new_dh, *new_dc;

    // The n-th step of the way back.
    __device__ Index step(Index n) const { return reverse ? n : T - 1 - n; }
};

// What a thread has of its unit of a row from step to step. What it has read is of the next one: that is asked for
// before the wait for what comes through the product, which is longer than the way to memory.
struct Own {
    int row, unit;
    Index b, j;
    bool there, real;
    Real keep, dy;
    Back q;

    __device__ Own(const Layer& all, int rank, Index first)
        : row(threadIdx.x / UNITS), unit(threadIdx.x % UNITS), b(first + row), j(rank * UNITS + unit),
          there(row < ROWS && b < all.B && j < all.H), real(false), keep(1), dy(0), q() {
        if (!there) return;
        const Index i = b * all.H + j, state = (all.reverse ? 0 : all.T) * all.B * all.H + i;
        q.carry = all.dh[i];
        q.before = all.h[state];
        if (Cell::memory) q.dc = all.dc[i], q.c_before = all.c[state];
        if (all.keep) keep = all.keep[i];
        for (int k = 0; k < 3 && Cell::peepholes; ++k) q.peephole[k] = all.Wc[k * all.H + j];
        read(all, all.step(0));
    }

    // What was before the step that was read last is after step t.
    __device__ void read(const Layer& all, Index t) {
        if (!there) return;
        const Index state = ((t + (all.reverse != 0)) * all.B + b) * all.H + j;
        real = !all.mask || all.mask[t * all.mask_step + b * all.mask_row];
        q.after = q.before;
        q.before = all.h[state];
        if (Cell::memory) q.c_after = q.c_before, q.c_before = all.c[state];
        if (all.dy) dy = all.dy[t * all.dy_step + b * all.dy_row + j];
#pragma unroll
        for (int k = 0; k < Cell::columns && Cell::saves; ++k)
            q.z[k] = all.saved[((t * all.B + b) * Cell::columns + k) * all.H + j];
    }

    // What came through the product in the step after this one: a part from each block.
    __device__ Real sum(const Real (&parts)[CLUSTER][OURS]) const {
        Real sum = 0;
#pragma unroll
        for (int rank = 0; rank < CLUSTER; ++rank) sum += parts[rank][threadIdx.x];
        return sum;
    }

    // The cotangents of the gates, which the product is made with.
    __device__ void give(const Real* d, unsigned* gates) const {
#pragma unroll
        for (int k = 0; k < Cell::recurrents; ++k) {
            const int term = k * UNITS + unit;
            unsigned* word = gates + row * Through::PITCH + term / IN_WORD;
            const unsigned one = operand(d[k], 0);
            if (IN_WORD == 1)
                *word = one;
            else
                reinterpret_cast<unsigned short*>(word)[term % IN_WORD] = static_cast<unsigned short>(one);
        }
    }

    __device__ void end(const Layer& all, Real through) const {
        if (!there) return;
        all.new_dh[b * all.H + j] = q.carry + through * keep;
        if (Cell::memory) all.new_dc[b * all.H + j] = q.dc;
    }
};

// This block's part for every unit to the block that has the unit, four units of a row at a time.
__device__ inline void spread(const Real* partial, int rank, Real (&parts)[CLUSTER][OURS], Barrier* arrived) {
    for (int n = threadIdx.x; n < HIDDEN / 4 * ROWS; n += THREADS) {
        const int row = n / (HIDDEN / 4), unit = n % (HIDDEN / 4) * 4;
        unsigned word[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) word[i] = __float_as_uint(Through::sum(partial, row, unit + i));
        push16(&parts[rank][row * UNITS + unit % UNITS], arrived, unit / UNITS, word[0], word[1], word[2], word[3]);
    }
}
