// The kernel for x86 with AVX2 and FMA.
#include "interface.h"

#if defined(__x86_64__)
#include <immintrin.h>

static bool usable() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#define VECTOR_BYTES 32
#define TILE_ROWS 6
#include "kernels.h"

KERNELS_OF(avx2, usable);

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
