// A recurrent layer from its first state to its last in one launch: a cluster of blocks for each ROWS rows of the
// batch, and a thread for each unit of each row, which keeps its state to the end. Of each step only the product with
// Wh and the exchange of h between the blocks are more than what a thread does alone.
#include "cluster_there.cuh"

constexpr int FIXED = SUMS + (Cell::peepholes ? 3 : 0);  // numbers of a unit: a bias for each sum, peepholes

// What is in shared memory; the weights that no register has come after it. h as the product sees it is there twice.
struct Room {
    Barrier arrived[2];
    alignas(16) unsigned seen[2][ROWS * Recurrent::PITCH];
    alignas(16) Real partial[Recurrent::PARTIAL];
    alignas(16) Real fixed[FIXED * UNITS];
};
static_assert(sizeof(Room) + sizeof(Words) * Recurrent::REST == SHARED_BYTES, "the host makes other room");

// What stays the same from step to step, as all rows share it.
__device__ inline void fix(const Layer& all, int rank, Real* fixed) {
    for (int n = threadIdx.x; n < FIXED * UNITS; n += THREADS) {
        const int k = n / UNITS, from = k < SUMS ? Cell::recurrent(k) : -1;
        const Index j = rank * UNITS + n % UNITS;
        Real sum = 0;
        if (j < all.H && k >= SUMS) sum = all.Wc[(k - SUMS) * all.H + j];
        if (j < all.H && all.bx && k >= Cell::first_drive && k < SUMS)
            sum += all.bx[(k - Cell::first_drive) * all.H + j];
        if (j < all.H && all.bh && from >= 0) sum += all.bh[from * all.H + j];
        fixed[n] = sum;
    }
}

// The step itself; q keeps what it leaves.
__device__ inline void step(Own& own, const Place& at, const Room& room, Unit& q) {
    q.h = own.h;
    q.c = own.c;
#pragma unroll
    for (int k = 0; k < 3; ++k)
        q.peephole[k] = Cell::peepholes ? room.fixed[(SUMS + k) * UNITS + at.unit] : Real(0);
#pragma unroll
    for (int k = 0; k < Cell::columns; ++k) {
        const int from = Cell::recurrent(k);
        q.z[k] = k < SUMS ? own.drive[k] + room.fixed[k * UNITS + at.unit] : own.drive[k];
        if (from >= 0) q.z[k] += Recurrent::sum(room.partial, at.row, from * UNITS + at.unit);
    }
    Cell::forward(q);
    own.keep(q);
}

// ``keeps``: whether h, c and seen have T + 1 states and the way back needs what the steps leave in ``saved``; else
// they have one, which the last state replaces.
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
    product.take(reinterpret_cast<const Words*>(packed) + rank * Recurrent::PACKED,
                 reinterpret_cast<Words*>(&room + 1));
    begin(all, first, room.seen);
    fix(all, rank, room.fixed);
    const Place at(all, rank, first);
    Own own(all, at);
    cluster_meet();
    for (int n = 0; n < T; ++n) {
        const int t = all.step(n), here = n & 1;
        const bool last = n + 1 == T;
        if (n > 0) exchange.await(n - 1);
        product.multiply(room.seen[1 - here], room.partial);
        // The next product writes there when exchange n is complete: when all threads here have pushed, and so have
        // read.
        __syncthreads();
        if (threadIdx.x >= ALL) continue;
        Unit q;
        step(own, at, room, q);
        if (!last) spread(at.there ? own.h * own.kept : Real(0), at, rank, room.seen[here], room.arrived + here);
        own.leave(all, at, q, t, last);
        if (!last) own.ask(all, at, all.step(n + 1));
    }
}
