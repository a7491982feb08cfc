// A recurrent layer from its first state to its last in one launch: a cluster of blocks for each ROWS rows of the batch,
// and a thread for each unit of each row, which keeps its state to the end. Of each step only the product with Wh and the
// exchange of h between the blocks are more than what a thread does alone.
//
// T steps, B rows, H units, as in recurrent.cu; units and rows beyond these are there to fill up and stay 0.
#include "cells.cuh"
#include "cluster_tile.cuh"

constexpr int HIDDEN = CLUSTER * UNITS, OURS = UNITS * ROWS, ALL = divided_up(OURS, 32) * 32;
constexpr int FIXED = SUMS + (Cell::peepholes ? 3 : 0);  // numbers of a unit: a bias for each sum, peepholes
typedef Product<Cell::recurrents * UNITS, HIDDEN> Recurrent;

// What is in shared memory; the weights that no register has come after it. h as the product sees it is there twice.
struct Room {
    Barrier arrived[2];
    alignas(16) unsigned seen[2][ROWS * Recurrent::PITCH];
    alignas(16) Real partial[Recurrent::PARTIAL];
    alignas(16) Real fixed[FIXED * UNITS];
};
static_assert(Recurrent::PACKED == PACKED_WORDS, "the host packs other weights");
static_assert(sizeof(Room) + sizeof(Words) * Recurrent::REST == SHARED_BYTES, "the host makes other room");
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
        : unit(threadIdx.x % UNITS), row(threadIdx.x < OURS ? threadIdx.x / UNITS : 0), j(rank * UNITS + unit), b(first + row),
          there(j < all.H && b < all.B && threadIdx.x < OURS) {}
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

    // The step itself; q keeps what it leaves.
    __device__ void step(const Place& at, const Room& room, Unit& q) {
        q.h = h;
        q.c = c;
#pragma unroll
        for (int k = 0; k < 3; ++k)
            q.peephole[k] = Cell::peepholes ? room.fixed[(SUMS + k) * UNITS + at.unit] : Real(0);
#pragma unroll
        for (int k = 0; k < Cell::columns; ++k) {
            const int from = Cell::recurrent(k);
            q.z[k] = k < SUMS ? drive[k] + room.fixed[k * UNITS + at.unit] : drive[k];
            if (from >= 0) q.z[k] += Recurrent::sum(room.partial, at.row, from * UNITS + at.unit);
        }
        Cell::forward(q);
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

// What stays the same from step to step, as all rows share it.
__device__ inline void fix(const Layer& all, int rank, Real* fixed) {
    for (int n = threadIdx.x; n < FIXED * UNITS; n += THREADS) {
        const int k = n / UNITS, from = k < SUMS ? Cell::recurrent(k) : -1;
        const Index j = rank * UNITS + n % UNITS;
        Real sum = 0;
        if (j < all.H && k >= SUMS) sum = all.Wc[(k - SUMS) * all.H + j];
        if (j < all.H && all.bx && k >= Cell::first_drive && k < SUMS) sum += all.bx[(k - Cell::first_drive) * all.H + j];
        if (j < all.H && all.bh && from >= 0) sum += all.bh[from * all.H + j];
        fixed[n] = sum;
    }
}

// The first state as the product sees it, where exchange -1 would have left it, and zeros wherever no exchange writes.
__device__ inline void begin(const Layer& all, int first, Room& room) {
    const Index before = all.state(all.step(0), true);
    auto one = [&](int row, int unit) {
        const Index i = (first + row) * all.H + unit;
        return first + row < all.B && unit < all.H ? all.h[before + i] * (all.keep ? all.keep[i] : Real(1)) : Real(0);
    };
    for (int n = threadIdx.x; n < ROWS * Recurrent::PITCH; n += THREADS) {
        const int row = n / Recurrent::PITCH, unit = n % Recurrent::PITCH * IN_WORD;
        room.seen[0][n] = 0;
        room.seen[1][n] = operand(one(row, unit), one(row, unit + 1));
    }
}

// ``keeps``: whether h, c and seen have T + 1 states and the way back needs what the steps leave in ``saved``; else they
// have one, which the last state replaces.
extern "C" __global__ void __cluster_dims__(CLUSTER, 1, 1) __launch_bounds__(THREADS, 1)
    cluster_forward(Index T, Index B, Index H, Index reverse, Index keeps, const unsigned* packed, Real* saved,
                    const Real* bx, const Real* bh, const Real* Wc, const Real* keep, const bool* mask, Index mask_step,
                    Index mask_row, Real* h, Real* c, Real* seen, Real* y) {
    const Layer all{T, B, H, reverse, keeps, saved, bx, bh, Wc, keep, mask, mask_step, mask_row, h, c, seen, y};
    Room& room = *reinterpret_cast<Room*>(shared_memory());
    const int rank = cluster_rank(), first = blockIdx.x / CLUSTER * ROWS;
    const Exchange exchange{room.arrived, ROWS * HIDDEN / IN_WORD * 4};
    if (threadIdx.x == 0) exchange.begin();
    Recurrent product;
    product.take(reinterpret_cast<const Words*>(packed) + rank * Recurrent::PACKED, reinterpret_cast<Words*>(&room + 1));
    begin(all, first, room);
    fix(all, rank, room.fixed);
    const Place at(all, rank, first);
    Own own(all, at);
    cluster_meet();
    for (int n = 0; n < T; ++n) {
        const int t = all.step(n), here = n & 1;
        const bool last = n + 1 == T;
        if (n > 0) exchange.await(n - 1);
        product.multiply(room.seen[1 - here], room.partial);
        // The next product writes there when exchange n is complete: when all threads here have pushed, and so have read.
        __syncthreads();
        if (threadIdx.x >= ALL) continue;
        Unit q;
        own.step(at, room, q);
        if (!last) spread(at.there ? own.h * own.kept : Real(0), at, rank, room.seen[here], room.arrived + here);
        own.leave(all, at, q, t, last);
        if (!last) own.ask(all, at, all.step(n + 1));
    }
}
