// The blocks of a thread-block cluster: where they are, how they wait for each other, and how one block writes into the
// shared memory of another. For sm_90 and later; a kernel says __cluster_dims__(CLUSTER, 1, 1).
//
// A push is a write that arrives some time, in no order. It counts its bytes on a barrier of the block it goes to; who
// has waited there for the whole number may read what has come. No block may end while a push to it is under way.
#pragma once
#include "block.cuh"

#ifndef EMULATED
// The place of this block in its cluster.
__device__ inline int cluster_rank() {
    unsigned rank;
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return static_cast<int>(rank);
}

// All threads of the cluster wait for each other, and see what the others have written before.
__device__ inline void cluster_meet() {
    asm volatile("barrier.cluster.arrive.release.aligned;\n\tbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}

// In shared memory. A phase of it ends when all have come that are to come, and all bytes that are expected; then the
// next one begins by itself. The first phase has parity 0, the next one 1, the one after it 0.
struct Barrier {
    unsigned long long state;
};

__device__ inline unsigned shared_place(const void* p) { return static_cast<unsigned>(__cvta_generic_to_shared(p)); }

// The same place in the shared memory of block ``rank``.
__device__ inline unsigned place_in(int rank, const void* p) {
    unsigned place;
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(place) : "r"(shared_place(p)), "r"(rank));
    return place;
}

// One thread begins a barrier at which ``count`` expectations end a phase, ...
__device__ inline void barrier_begin(Barrier* b, int count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_place(b)), "r"(count) : "memory");
}
// ... and after it has begun all of its own and before the cluster meets, makes them known to the other blocks.
__device__ inline void barrier_fence() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }

// One of those that are to come in this phase, who expects so many bytes more in it.
__device__ inline void barrier_expect(Barrier* b, int bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;"
                 :
                 : "r"(shared_place(b)), "r"(bytes)
                 : "memory");
}

// Wait for the end of the phase with this parity: this one, or the one before if the parity is not that of this one.
__device__ inline void barrier_wait(Barrier* b, int parity) {
    unsigned over;
    do
        asm volatile(
            "{\n\t.reg .pred over;\n\t"
            "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 over, [%1], %2;\n\t"
            "selp.u32 %0, 1, 0, over;\n\t}"
            : "=r"(over)
            : "r"(shared_place(b)), "r"(parity)
            : "memory");
    while (!over);
}

// Push so many bytes to block ``rank``, to where ``there`` is in this one; ``there`` is a multiple of them.
__device__ inline void push16(void* there, Barrier* b, int rank, unsigned w0, unsigned w1, unsigned w2, unsigned w3) {
    asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 [%0], {%1, %2, %3, %4}, [%5];"
                 :
                 : "r"(place_in(rank, there)), "r"(w0), "r"(w1), "r"(w2), "r"(w3), "r"(place_in(rank, b))
                 : "memory");
}
__device__ inline void push8(void* there, Barrier* b, int rank, unsigned w0, unsigned w1) {
    asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v2.b32 [%0], {%1, %2}, [%3];" ::"r"(
                     place_in(rank, there)),
                 "r"(w0), "r"(w1), "r"(place_in(rank, b))
                 : "memory");
}
__device__ inline void push4(void* there, Barrier* b, int rank, unsigned w0) {
    asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.b32 [%0], %1, [%2];" ::"r"(
                     place_in(rank, there)),
                 "r"(w0), "r"(place_in(rank, b))
                 : "memory");
}
#endif
