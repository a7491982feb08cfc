// What CUDA has of itself, in the words of emulator.h.
#pragma once

#define threadIdx (emulator::thread_place)
#define blockIdx (emulator::block_place)
#define blockDim (emulator::block_size)
#define gridDim (emulator::grid_size)

static inline void __syncthreads() { emulator::wait(emulator::AT_BLOCK); }
static inline void __syncwarp(unsigned = 0xFFFFFFFFu) { emulator::wait(emulator::AT_WARP); }
template <class T>
T __shfl_sync(unsigned, T value, int lane) {
    return emulator::exchanged(value, lane);
}
template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
    return emulator::exchanged(value, emulator::lane() ^ mask);
}
// Past the end of the warp a lane reads its own value.
template <class T>
T __shfl_down_sync(unsigned, T value, int by) {
    const int lane = emulator::lane();
    return emulator::exchanged(value, lane + by < 32 ? lane + by : lane);
}

// Bit n says whether the condition holds in lane n.
static inline unsigned __ballot_sync(unsigned, bool condition) {
    return emulator::gathered(condition);
}
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
