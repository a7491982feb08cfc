// How blocks of one launch that are all on the GPU at once tell each other, through its memory, how far they are.
//
// What a thread has written before it raises a flag, and what others had written before they met it, is seen by whoever
// has read the flag; a block that meets after one of its threads has read it sees it too.
#pragma once

#ifndef EMULATED
__device__ inline void flag_raise(unsigned* flag, unsigned value) {
    asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(flag), "r"(value) : "memory");
}

__device__ inline unsigned flag_read(const unsigned* flag) {
    unsigned value;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(flag) : "memory");
    return value;
}

// Read the flag until it has the value or a later one, at most ``limit`` times; whether it has.
__device__ inline bool flag_await(const unsigned* flag, unsigned value, long long limit) {
    for (long long n = 0; n < limit; ++n)
        if (static_cast<int>(flag_read(flag) - value) >= 0) return true;
    return false;
}

// 16 bytes that others write during the launch, from and to where all blocks see them: no multiprocessor's own cache.
__device__ inline uint4 load_fresh16(const void* p) {
    uint4 words;
    asm volatile("ld.global.cg.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(words.x), "=r"(words.y), "=r"(words.z), "=r"(words.w)
                 : "l"(p)
                 : "memory");
    return words;
}
__device__ inline void store_fresh16(void* p, uint4 words) {
    asm volatile("st.global.cg.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(p), "r"(words.x), "r"(words.y), "r"(words.z),
                 "r"(words.w)
                 : "memory");
}
#endif
