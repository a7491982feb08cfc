// The kernel for x86 with AVX-512.
#include "interface.h"

#if defined(__x86_64__)
#include <immintrin.h>

static bool usable() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
}

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512dq,avx512vl,avx2,fma")
#endif
#define VECTOR_BYTES 64
#define TILE_ROWS 14
#include "kernels.h"

KERNELS_OF(avx512, usable);

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
