// The kernel for x86 with AVX-512, in the precision REAL, by the name of KERNELS.
#include "interface.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512dq,avx512vl,avx2,fma")
#endif
#define VECTOR_BYTES 64
#define TILE_ROWS 14
#include "kernels.h"

const native::Kernels<REAL> native::KERNELS = kernels<REAL>;

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
