// A recurrent layer back from its last state to its first in one launch: a cluster of blocks for each ROWS rows of the
// batch, and a thread for each unit of each row, which keeps its cotangents to the end.
#include "cluster_back.cuh"

// What is in shared memory; the weights that no register has come after it.
struct Room {
    Barrier arrived[2];
    alignas(16) unsigned gates[ROWS * Through::PITCH];
    alignas(16) Real partial[Through::PARTIAL];
    alignas(16) Real parts[2][CLUSTER][OURS];
};
static_assert(sizeof(Room) + sizeof(Words) * Through::REST == SHARED_BYTES, "the host makes other room");

// The step itself, of which q.d has the cotangents of the gates.
__device__ inline void step(Own& own, Real through) {
    Back& q = own.q;
    q.dh = q.carry += through * own.keep;
#pragma unroll
    for (int k = 0; k < Cell::columns; ++k) q.d[k] = 0;
    if (!own.real) return;
    q.dh += own.dy;
    q.carry = 0;
    Cell::backward(q);
}

__device__ inline void leave(const Own& own, const Layer& all, Index t, unsigned* gates) {
    if (!own.there) return;
    own.give(own.q.d, gates);
#pragma unroll
    for (int k = 0; k < Cell::columns; ++k)
        all.d[((t * all.B + own.b) * Cell::columns + k) * all.H + own.j] = own.q.d[k];
}

extern "C" __global__ void __cluster_dims__(CLUSTER, 1, 1) __launch_bounds__(THREADS, 1)
    cluster_backward(Index T, Index B, Index H, Index reverse, const unsigned* packed, const Real* saved,
                     const Real* Wc, const Real* keep, const bool* mask, Index mask_step, Index mask_row, const Real* h,
                     const Real* c, const Real* dy, Index dy_step, Index dy_row, const Real* dh, const Real* dc,
                     Real* d, Real* new_dh, Real* new_dc) {
    const Layer all{T, B, H, reverse, saved, Wc, keep, mask, mask_step, mask_row, h,
                    c, dy, dy_step, dy_row, dh, dc, d, new_dh, new_dc};
    Room& room = *reinterpret_cast<Room*>(shared_memory());
    const int rank = cluster_rank();
    const Exchange exchange{room.arrived, HIDDEN * ROWS * sizeof(Real)};
    if (threadIdx.x == 0) exchange.begin();
    Through product;
    product.take(reinterpret_cast<const Words*>(packed) + rank * Through::PACKED, reinterpret_cast<Words*>(&room + 1));
    for (int n = threadIdx.x; n < ROWS * Through::PITCH; n += THREADS) room.gates[n] = 0;
    Own own(all, rank, static_cast<Index>(blockIdx.x) / CLUSTER * ROWS);
    cluster_meet();
    for (Index n = 0; n < T; ++n) {
        if (threadIdx.x < OURS) {
            if (n > 0) exchange.await(n - 1);
            step(own, n > 0 ? own.sum(room.parts[(n - 1) & 1]) : Real(0));
            leave(own, all, all.step(n), room.gates);
        }
        __syncthreads();
        if (n + 1 < T) own.read(all, all.step(n + 1));
        product.multiply(room.gates, room.partial);
        __syncthreads();
        spread(room.partial, rank, room.parts[n & 1], room.arrived + (n & 1));
    }
    // No block is left while something is under way to it: each waits here for the last exchange.
    if (threadIdx.x >= OURS) return;
    exchange.await(T - 1);
    own.end(all, own.sum(room.parts[(T - 1) & 1]));
}
