// The layer-normalized LSTM back from its last state to its first in one launch, as in cluster_backward.cu. The blocks
// of a cluster exchange the parts of dh, and two times more in each step what goes back through the norms of c and of h
// Wh.
#include "cluster_back.cuh"
#include "cluster_norm.cuh"

constexpr int ALL = divided_up(OURS, 32) * 32;
static_assert(ALL <= THREADS, "whole warps make sums");

// What is in shared memory; the weights that no register has come after it.
struct Room {
    Barrier arrived[2];
    Told told;
    alignas(16) unsigned gates[ROWS * Through::PITCH];
    alignas(16) Real partial[Through::PARTIAL];
    alignas(16) Real parts[2][CLUSTER][OURS];
    alignas(16) Real fixed[GAINS * UNITS];
};
static_assert(sizeof(Room) + sizeof(Words) * Through::REST == SHARED_BYTES, "the host makes other room");

// A step as the way there has left it in ``v`` and ``norms``, and the cotangents of h Wh and of what is bent to h,
// which go to ``dv`` (T, B, 4H) and ``dm`` (T, B, H).
struct Step {
    const Real *v, *norms;
    Real *dv, *dm;
    Real sums[4], d[4], bent;
    Norm wide, memory;

    __device__ void read(const Own& own, const Layer& all, Index t) {
        if (!own.there) return;
        const Index row = t * all.B + own.b;
#pragma unroll
        for (int k = 0; k < 4; ++k) sums[k] = v[(row * 4 + k) * all.H + own.j];
        wide = {norms[row * 4], norms[row * 4 + 1]};
        memory = {norms[row * 4 + 2], norms[row * 4 + 3]};
    }

    // Exchanges 2 n and 2 n + 1; q.d has the cotangents of the gates' sums.
    __device__ void step(Back& q, bool real, const Sums& all, int n, const Real* fixed) {
        const Real gain = fixed[4 * UNITS + all.own()], c = memory.of(q.c_after);
        bent = Cell::speak_back(q, gain * c + fixed[5 * UNITS + all.own()]);
        if (!real) bent = q.d[3] = 0;
        const Real dc = bent * gain;
        const Pair mean = all.means<1>(2 * n, dc, dc * c);
        const Real later = q.dc;
        q.dc += memory.rate * (dc - mean.first - c * mean.second);
        Cell::remember_back(q);
        if (!real) q.dc = later;
        Real first = 0, second = 0;
#pragma unroll
        for (int k = 0; k < 4; ++k) {
            if (!real) q.d[k] = 0;
            d[k] = q.d[k] * fixed[k * UNITS + all.own()];
            sums[k] = wide.of(sums[k]);
            first += d[k];
            second += d[k] * sums[k];
        }
        const Pair wider = all.means<4>(2 * n + 1, first, second);
#pragma unroll
        for (int k = 0; k < 4; ++k) d[k] = real ? wide.rate * (d[k] - wider.first - sums[k] * wider.second) : Real(0);
    }

    __device__ void leave(const Own& own, const Layer& all, Index t, unsigned* gates) const {
        if (!own.there) return;
        const Index row = t * all.B + own.b;
        own.give(d, gates);
#pragma unroll
        for (int k = 0; k < 4; ++k) {
            all.d[(row * 4 + k) * all.H + own.j] = own.q.d[k];
            dv[(row * 4 + k) * all.H + own.j] = d[k];
        }
        dm[row * all.H + own.j] = bent;
    }
};

extern "C" __global__ void __cluster_dims__(CLUSTER, 1, 1) __launch_bounds__(THREADS, 1)
    cluster_norm_backward(Index T, Index B, Index H, Index reverse, const unsigned* packed, const Real* saved,
                          const Real* v, const Real* norms, const Real* gh, const Real* gc, const Real* bc,
                          const Real* keep, const bool* mask, Index mask_step, Index mask_row, const Real* h,
                          const Real* c, const Real* dy, Index dy_step, Index dy_row, const Real* dh, const Real* dc,
                          Real* dz, Real* dv, Real* dm, Real* new_dh, Real* new_dc) {
    const Layer all{T, B, H, reverse, saved, nullptr, keep, mask, mask_step, mask_row, h,
                    c, dy, dy_step, dy_row, dh, dc, dz, new_dh, new_dc};
    Room& room = *reinterpret_cast<Room*>(shared_memory());
    const int rank = cluster_rank();
    const Exchange exchange{room.arrived, HIDDEN * ROWS * sizeof(Real)};
    const Sums sums(room.told, H, rank);
    if (threadIdx.x == 0) exchange.begin(), sums.exchange().begin();
    Through product;
    product.take(reinterpret_cast<const Words*>(packed) + rank * Through::PACKED, reinterpret_cast<Words*>(&room + 1));
    for (int n = threadIdx.x; n < ROWS * Through::PITCH; n += THREADS) room.gates[n] = 0;
    Gains{gh, gc, bc}.fix(H, rank, room.fixed);
    Own own(all, rank, static_cast<Index>(blockIdx.x) / CLUSTER * ROWS);
    Step step{v, norms, dv, dm, {}, {}, 0, {}, {}};
    step.read(own, all, all.step(0));
    cluster_meet();
    for (Index n = 0; n < T; ++n) {
        if (threadIdx.x < ALL) {
            if (n > 0) exchange.await(n - 1);
            if (n > 0 && threadIdx.x < OURS) own.q.carry += own.sum(room.parts[(n - 1) & 1]) * own.keep;
            own.q.dh = own.q.carry + (own.real ? own.dy : Real(0));
            if (own.real) own.q.carry = 0;
            step.step(own.q, own.real, sums, n, room.fixed);
            step.leave(own, all, all.step(n), room.gates);
        }
        __syncthreads();
        product.multiply(room.gates, room.partial);
        __syncthreads();
        spread(room.partial, rank, room.parts[n & 1], room.arrived + (n & 1));
        if (n + 1 == T) break;
        own.read(all, all.step(n + 1));
        step.read(own, all, all.step(n + 1));
    }
    // No block is left while something is under way to it: each waits here for the last exchange.
    if (threadIdx.x >= OURS) return;
    exchange.await(T - 1);
    own.end(all, own.sum(room.parts[(T - 1) & 1]));
}
