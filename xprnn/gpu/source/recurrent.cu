// One step of a recurrent layer for all units of all rows, there and back: a thread for each unit of a row.
//
// T steps, B rows, H units, dense and row-major where no strides are given. ``saved`` (T, B, columns·H) holds what x
// drives and then what the step leaves; h, c and ``seen`` hold states, of which ``before`` and ``after`` say the
// numbers. Nothing is read by one thread that another one writes.
#include "cells.cuh"

// h as the product with Wh sees it.
__device__ inline Real seen_of(Real h, const Real* keep, Index i) { return keep ? h * keep[i] : h; }

// The sum that block k of a unit bends: x's part, h's part and the biases. ``product`` begins with h's block ``first``.
__device__ inline Real sum_of(int k, Index unit, Index H, const Stored* row, const Real* product, int first,
                              const Real* bx, const Real* bh) {
    Real z = 0;
    if (k >= Cell::first_drive) {
        z = load(row[k * H + unit]);
        if (bx) z += bx[(k - Cell::first_drive) * H + unit];
    }
    const int from = Cell::recurrent(k);
    if (from >= 0) {
        z += product[(from - first) * H + unit];
        if (bh) z += bh[from * H + unit];
    }
    return z;
}

// The first half of a step where the reset comes before the product: r and s, and r h, which the other product sees.
extern "C" __global__ void reset_step(Index t, Index before, Index at, Index B, Index H, Stored* saved,
                                      const Real* product, const Real* bx, const Real* bh, const Real* keep,
                                      const Real* h, Stored* reset) {
    const Index i = thread(), row = i / H, unit = i % H;
    if (i >= B * H) return;
    Stored* mine = saved + (t * B + row) * Cell::columns * H;
    const Real* sums = product + row * 2 * H;
    const Real r = sigmoid(sum_of(0, unit, H, mine, sums, 0, bx, bh));
    const Real s = sigmoid(sum_of(1, unit, H, mine, sums, 0, bx, bh));
    mine[unit] = store(r);
    mine[H + unit] = store(s);
    reset[at * B * H + i] = store(r * seen_of(h[before * B * H + i], keep, i));
}

// y is 0 where the mask is, and the state stays. ``keeps``: whether what the way back needs is left in ``saved``.
extern "C" __global__ void forward_step(Index t, Index before, Index after, Index B, Index H, Index keeps,
                                        Stored* saved, const Real* product, const Real* bx, const Real* bh,
                                        const Real* Wc, const Real* keep, const bool* mask, Index mask_step,
                                        Index mask_row, Real* h, Real* c, Stored* seen, Real* y) {
    const Index i = thread(), row = i / H, unit = i % H, old = before * B * H + i, now = after * B * H + i;
    if (i >= B * H) return;
    const bool real = !mask || mask[t * mask_step + row * mask_row];
    Stored* mine = saved + (t * B + row) * Cell::columns * H;
    Unit q;
    q.h = h[old];
    q.c = Cell::memory ? c[old] : Real(0);
    if (real) {
        const int halves = Cell::recurrents - Cell::late;
        for (int k = 0; k < Cell::columns; ++k)
            q.z[k] = k < Cell::late || k >= SUMS
                         ? load(mine[k * H + unit])
                         : sum_of(k, unit, H, mine, product + row * halves * H, Cell::late, bx, bh);
        for (int k = 0; k < 3; ++k) q.peephole[k] = Cell::peepholes ? Wc[k * H + unit] : Real(0);
        Cell::forward(q);
        if (keeps && Cell::saves)
            for (int k = 0; k < SUMS; ++k) mine[k * H + unit] = store(q.z[k]);
    }
    h[now] = q.h;
    if (Cell::memory) c[now] = q.c;
    if (seen) seen[now] = store(seen_of(q.h, keep, i));
    if (y) y[t * B * H + i] = real ? q.h : Real(0);
}

// dh = ``carry`` + ``through`` ⊙ keep + dy: what came round the product with Wh in the step after this one, what came
// through it (null: nothing), and what comes from above. Both carry and dc are read from one place and written to
// another, which may be the same. d (T, B, columns·H) are the cotangents of the sums; 0 where the mask is.
extern "C" __global__ void backward_step(Index t, Index before, Index after, Index B, Index H, const Stored* saved,
                                         const Real* Wc, const Real* keep, const bool* mask, Index mask_step,
                                         Index mask_row, const Real* h, const Real* c, const Real* dy, Index dy_step,
                                         Index dy_row, const Real* through, const Real* carry, Real* new_carry,
                                         const Real* dc, Real* new_dc, Stored* d) {
    const Index i = thread(), row = i / H, unit = i % H, old = before * B * H + i, now = after * B * H + i;
    if (i >= B * H) return;
    const Index place = (t * B + row) * Cell::columns * H + unit;
    Back q;
    q.dh = carry[i];
    if (through) q.dh += seen_of(through[i], keep, i);
    q.dc = Cell::memory ? dc[i] : Real(0);
    for (int k = 0; k < Cell::columns; ++k) q.d[k] = 0;
    q.carry = q.dh;
    if (!mask || mask[t * mask_step + row * mask_row]) {
        if (dy) q.dh += dy[t * dy_step + row * dy_row + unit];
        for (int k = 0; k < Cell::columns; ++k) q.z[k] = Cell::saves ? load(saved[place + k * H]) : Real(0);
        for (int k = 0; k < 3; ++k) q.peephole[k] = Cell::peepholes ? Wc[k * H + unit] : Real(0);
        q.before = h[old];
        q.after = h[now];
        q.c_before = Cell::memory ? c[old] : Real(0);
        q.c_after = Cell::memory ? c[now] : Real(0);
        q.carry = 0;
        Cell::backward(q);
    }
    for (int k = 0; k < Cell::columns; ++k) d[place + k * H] = store(q.d[k]);
    new_carry[i] = q.carry;
    if (Cell::memory) new_dc[i] = q.dc;
}

// The rest of a step back where the reset comes before the product: from the cotangent of r h, in ``through``, that of
// r, into d, and that part of h's that needs no product, in its place.
extern "C" __global__ void reset_step_back(Index t, Index before, Index B, Index H, const Stored* saved,
                                           const Real* keep, const Real* h, Real* through, Stored* d) {
    const Index i = thread(), row = i / H, unit = i % H;
    if (i >= B * H) return;
    const Index place = (t * B + row) * Cell::columns * H + unit;
    const Real r = load(saved[place]), dq = through[i];
    d[place] = store(dq * (seen_of(h[before * B * H + i], keep, i) * r * (1 - r)));
    through[i] = dq * r;
}
