// What all kernels share: their numbers, and how those lie in memory. No header is included, so NVRTC needs no path.
//
// REAL is what is computed in, float or double. STORED is what large arrays hold: 0 for REAL itself, 16 for float16,
// 17 for bfloat16. EMULATED is set where a C++ compiler builds the same source for a CPU: then what needs the GPU's own
// instructions comes from there.
#pragma once

#ifndef REAL
#define REAL float
#endif
#ifndef STORED
#define STORED 0
#endif

typedef long long Index;
typedef REAL Real;

__device__ inline Index thread() { return static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x; }

#if STORED == 0
typedef Real Stored;
__device__ inline Real load(Stored x) { return x; }
__device__ inline Stored store(Real x) { return x; }
#else
struct Stored {
    unsigned short bits;
};
__device__ inline Real load(Real x) { return x; }
#endif

#if STORED == 16
#ifndef EMULATED
__device__ inline float float_of(unsigned short half) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(half));
    return x;
}
__device__ inline unsigned short half_of(float x) {
    unsigned short half;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(x));
    return half;
}
#endif
__device__ inline Real load(Stored x) { return float_of(x.bits); }
__device__ inline Stored store(Real x) { return Stored{half_of(x)}; }
#endif

#if STORED == 17
__device__ inline Real load(Stored x) { return __uint_as_float(static_cast<unsigned>(x.bits) << 16); }
__device__ inline Stored store(Real x) {
    const unsigned bits = __float_as_uint(x);
    // To the nearest, to even if there are two; NaN must not be rounded, which could make it infinite.
    const unsigned rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    return Stored{static_cast<unsigned short>(x == x ? rounded : bits >> 16 | 0x40)};
}
#endif

__device__ inline float exponential(float x) { return expf(x); }
__device__ inline double exponential(double x) { return exp(x); }
__device__ inline float logarithm(float x) { return logf(x); }
__device__ inline double logarithm(double x) { return log(x); }
__device__ inline float logarithm_1p(float x) { return log1pf(x); }
__device__ inline double logarithm_1p(double x) { return log1p(x); }
__device__ inline float square_root(float x) { return sqrtf(x); }
__device__ inline double square_root(double x) { return sqrt(x); }
__device__ inline float hyperbolic(float x) { return tanhf(x); }
__device__ inline double hyperbolic(double x) { return tanh(x); }
__device__ inline Real sigmoid(Real x) { return 1 / (1 + exponential(-x)); }
