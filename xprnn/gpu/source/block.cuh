// What a block has for itself: shared memory whose size a launch decides, and barriers for some of its threads.
#pragma once

#ifndef EMULATED
// The bytes of shared memory that a launch gives each block besides its own arrays; they begin at a multiple of 128.
__device__ inline unsigned char* shared_memory() {
    extern __shared__ __align__(128) unsigned char given[];
    return given;
}

// So many threads of the block, whole warps, wait for each other; id is 1 to 15, and __syncthreads is 0.
__device__ inline void meet(int id, int threads) {
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
#endif
