// The layer-normalized LSTM from its first state to its last in one launch, as in cluster_forward.cu. The blocks of a
// cluster exchange h, and two times more in each step what they need for the norms of h Wh and of the new c.
#include "cluster_norm.cuh"
#include "cluster_there.cuh"

// What is in shared memory; the weights that no register has come after it. h as the product sees it is there twice.
struct Room {
    Barrier arrived[2];
    Told told;
    alignas(16) unsigned seen[2][ROWS * Recurrent::PITCH];
    alignas(16) Real partial[Recurrent::PARTIAL];
    alignas(16) Real fixed[GAINS * UNITS];
};
static_assert(sizeof(Room) + sizeof(Words) * Recurrent::REST == SHARED_BYTES, "the host makes other room");

// What the way back needs besides the gates; null where none follows. ``v`` (T, B, 4H) is h Wh, ``norms`` (T, B, 4) the
// mean and rate of its rows and those of the c after the step.
struct Left {
    Real *v, *norms;

    __device__ void leave(const Layer& all, const Place& at, Index t, const Real (&sums)[4], Norm wide,
                          Norm memory) const {
        if (!at.there || !v) return;
        const Index row = t * all.B + at.b;
#pragma unroll
        for (int k = 0; k < 4; ++k) v[(row * 4 + k) * all.H + at.j] = sums[k];
        if (at.j > 0) return;
        norms[row * 4] = wide.mean;
        norms[row * 4 + 1] = wide.rate;
        norms[row * 4 + 2] = memory.mean;
        norms[row * 4 + 3] = memory.rate;
    }
};

// ``saved`` is what x drives, with its norm and the bias, and then i f g o.
extern "C" __global__ void __cluster_dims__(CLUSTER, 1, 1) __launch_bounds__(THREADS, 1)
    cluster_norm_forward(Index T, Index B, Index H, Index reverse, Index keeps, double epsilon, const unsigned* packed,
                         Real* saved, Real* v, Real* norms, const Real* gh, const Real* gc, const Real* bc,
                         const Real* keep, const bool* mask, Index mask_step, Index mask_row, Real* h, Real* c,
                         Real* seen, Real* y) {
    const Layer all{T,    B,    H,         reverse,  keeps, saved, nullptr, nullptr, nullptr,
                    keep, mask, mask_step, mask_row, h,     c,     seen,    y};
    const Left left{v, norms};
    Room& room = *reinterpret_cast<Room*>(shared_memory());
    const int rank = cluster_rank(), first = blockIdx.x / CLUSTER * ROWS;
    const Exchange exchange{room.arrived, ROWS * HIDDEN / IN_WORD * 4};
    const Sums sums(room.told, H, rank);
    if (threadIdx.x == 0) exchange.begin(), sums.exchange().begin();
    Recurrent product;
    product.take(reinterpret_cast<const Words*>(packed) + rank * Recurrent::PACKED,
                 reinterpret_cast<Words*>(&room + 1));
    begin(all, first, room.seen);
    Gains{gh, gc, bc}.fix(H, rank, room.fixed);
    const Place at(all, rank, first);
    Own own(all, at);
    cluster_meet();
    for (int n = 0; n < T; ++n) {
        const int t = all.step(n), here = n & 1;
        const bool last = n + 1 == T;
        if (n > 0) exchange.await(n - 1);
        product.multiply(room.seen[1 - here], room.partial);
        __syncthreads();
        if (threadIdx.x >= ALL) continue;
        Unit q;
        q.c = own.c;
        Real z[4];
#pragma unroll
        for (int k = 0; k < 4; ++k) z[k] = Recurrent::sum(room.partial, at.row, k * UNITS + at.unit);
        const Norm wide = sums.norm(2 * n, z, epsilon);
#pragma unroll
        for (int k = 0; k < 4; ++k) q.z[k] = own.drive[k] + room.fixed[k * UNITS + at.unit] * wide.of(z[k]);
        Cell::remember(q);
        const Real after[1] = {own.real ? q.c : own.c};
        const Norm memory = sums.norm(2 * n + 1, after, epsilon);
        Cell::speak(q, room.fixed[4 * UNITS + at.unit] * memory.of(q.c) + room.fixed[5 * UNITS + at.unit]);
        own.keep(q);
        if (!last) spread(at.there ? own.h * own.kept : Real(0), at, rank, room.seen[here], room.arrived + here);
        own.leave(all, at, q, t, last);
        left.leave(all, at, t, z, wide, memory);
        if (!last) own.ask(all, at, all.step(n + 1));
    }
}
