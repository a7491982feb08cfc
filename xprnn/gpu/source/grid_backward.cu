// The way back of a recurrent layer over a whole sequence in one launch on all of a GPU: each block owns UNITS units,
// and its rows of Wh stay on the chip. In round n all give the cotangents of the sums of step n, counted from the last.
//
// The arrays are those of recurrent.cu. A launch takes the rows of the batch from ``first`` on, at most ROWS.
#include "cells.cuh"
#include "grid.cuh"

constexpr int SHARE = Cell::recurrents * UNITS;
typedef Slab<UNITS, SHARE> Weights;
static_assert(UNITS * ROWS <= THREADS, "a thread owns one unit of one row");

// As grid_begin in grid_forward.cu.
extern "C" __global__ void grid_begin(Index H, Index blocks, const Real* Wh, unsigned* packed, Index words,
                                      unsigned* rooms, Index waits, unsigned* flags, Index* lost) {
    const Index i = thread(), row = i / LENGTH, k = i % LENGTH * (NUMBERS / WORDS), block = row / (Weights::tiles * 8);
    if (i < words) rooms[i] = 0;
    if (i < waits) flags[i] = 0, lost[i] = 0;
    if (block >= blocks) return;
    const Index output = row % (Weights::tiles * 8), unit = block * UNITS + output;
    const auto weight = [&](Index k) {
        const Index other = k / SHARE * UNITS + k % UNITS, from = k % SHARE / UNITS;
        const bool there = output < UNITS && unit < H && other < H;
        return there ? Wh[(unit * Cell::recurrents + from) * H + other] : Real(0);
    };
    packed[i] = word_of(weight(k), weight(k + 1));
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
grid_backward(Index T, Index B, Index first, Index H, Index reverse, const unsigned* packed, unsigned* rooms,
              unsigned* flags, Index* lost, Index limit, const Stored* saved, const Real* Wc, const Real* keep,
              const bool* mask, Index mask_step, Index mask_row, const Real* h, const Real* c, const Real* dy,
              Index dy_step, Index dy_row, const Real* dh, const Real* dc, Real* new_dh, Real* new_dc, Stored* d) {
    const Exchange all{rooms, flags, lost, limit};
    const int rows = static_cast<int>(B - first < ROWS ? B - first : ROWS), local = threadIdx.x / UNITS;
    const int within = threadIdx.x % UNITS;
    const Index unit = static_cast<Index>(blockIdx.x) * UNITS + within, row = first + local;
    const bool owns = local < rows && unit < H;
    const Index i = row * H + unit, states = B * H;
    Weights weights;
    weights.load(packed);

    Back q{};
    Real factor = 1, carry = 0;
    if (owns) {
        carry = dh[i];
        q.dc = Cell::memory ? dc[i] : Real(0);
        if (keep) factor = keep[i];
        for (int k = 0; k < 3; ++k) q.peephole[k] = Cell::peepholes ? Wc[k * H + unit] : Real(0);
    }
    for (Index n = 0; n < T; ++n) {
        const Index t = reverse ? n : T - 1 - n, before = reverse ? t + 1 : t, after = reverse ? t : t + 1;
        const Index place = (t * B + row) * Cell::columns * H + unit;
        const bool real = owns && (!mask || mask[t * mask_step + row * mask_row]);
        Real above = 0;
        if (owns) {  // read now, and not looked at before the product is there
            if (dy) above = dy[t * dy_step + row * dy_row + unit];
            for (int k = 0; k < Cell::columns; ++k) q.z[k] = Cell::saves ? load(saved[place + k * H]) : Real(0);
            q.before = h[before * states + i];
            q.after = h[after * states + i];
            q.c_before = Cell::memory ? c[before * states + i] : Real(0);
            q.c_after = Cell::memory ? c[after * states + i] : Real(0);
        }
        if (n > 0) {
            if (!weights.multiply(all, n - 1, rows)) return;
            if (owns) carry += weights.sum(local, within) * factor;
        }
        for (int k = 0; k < Cell::columns; ++k) q.d[k] = 0;
        if (real) {
            q.dh = carry + above;
            q.carry = 0;
            Cell::backward(q);
            carry = q.carry;
        }
        if (owns)
            for (int k = 0; k < SUMS; ++k) {
                const int from = Cell::recurrent(k);
                if (from >= 0) all.put(n, local, blockIdx.x * SHARE + from * UNITS + within, q.d[k]);
            }
        all.give(n);
        if (owns)
            for (int k = 0; k < Cell::columns; ++k) d[place + k * H] = store(q.d[k]);
    }
    if (!weights.multiply(all, T - 1, rows) || !owns) return;
    new_dh[i] = carry + weights.sum(local, within) * factor;
    if (Cell::memory) new_dc[i] = q.dc;
}
