// What CUDA has of itself, in the words of interface.h.
#pragma once

#include "interface.h"

#define threadIdx (emulator::thread_place)
#define blockIdx (emulator::block_place)
#define blockDim (emulator::block_size)
#define gridDim (emulator::grid_size)

#define __align__(bytes) alignas(bytes)
#define __forceinline__ inline
#define __restrict__ __restrict

static inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
template <class T>
T __ldg(const T* p) {
    return *p;
}

static inline void __syncthreads() { emulator::meet_in_block(); }
static inline void __syncwarp(unsigned = 0xFFFFFFFFu) { emulator::meet_in_warp("__syncwarp"); }
template <class T>
T __shfl_sync(unsigned, T value, int lane) {
    emulator::exchange(&value, sizeof value, lane, "__shfl_sync");
    return value;
}
template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
    emulator::exchange(&value, sizeof value, emulator::lane() ^ mask, "__shfl_xor_sync");
    return value;
}
// Past the end of the warp a lane reads its own value.
template <class T>
T __shfl_down_sync(unsigned, T value, int by) {
    const int lane = emulator::lane();
    emulator::exchange(&value, sizeof value, lane + by < 32 ? lane + by : lane, "__shfl_down_sync");
    return value;
}

// Bit n says whether the condition holds in lane n.
static inline unsigned __ballot_sync(unsigned, bool condition) { return emulator::ballot(condition); }
// The place of the lowest bit, counted from 1.
static inline int __ffs(unsigned bits) { return __builtin_ffs(static_cast<int>(bits)); }

static inline float __uint_as_float(unsigned bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}
static inline unsigned __float_as_uint(float value) {
    unsigned bits;
    memcpy(&bits, &value, 4);
    return bits;
}

static inline float float_of(unsigned short half) {
    _Float16 value;
    memcpy(&value, &half, 2);
    return static_cast<float>(value);
}
static inline unsigned short half_of(float x) {
    const _Float16 value = static_cast<_Float16>(x);
    unsigned short half;
    memcpy(&half, &value, 2);
    return half;
}
