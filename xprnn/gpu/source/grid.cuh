// What all blocks of a GPU give each other in rounds, and its product with a matrix that stays on the chip in slabs.
//
// All blocks are there at once. In each round a block gives SHARE numbers for each of up to ROWS rows, and gets for
// each row its OUTPUTS sums of a slab (OUTPUTS, K) with the K numbers that all have given, in the order of the blocks.
// They go through the L2 cache: round r is in room r % 2, and the flag of a block is the number of rounds that it has
// given. Who gives round r has had round r - 1 of all, who had then done with round r - 2: two rooms do.
//
// PRECISION says how is multiplied: 0 exactly, 1 with TF32 operands, 2 with bfloat16 ones; sums are float32 in each. K
// is cut into a slice for each of WARPS warps, and a slice into CHUNKS chunks of 64 bytes of a row, of which each of
// four lanes has 16. Which number of a chunk meets a tensor core when is nobody's business: it is the same on both
// sides.
#pragma once
#include "runtime.cuh"
#include "block.cuh"
#include "flags.cuh"
#include "tensor.cuh"

constexpr int THREADS = 32 * WARPS;
constexpr int WORDS = 16 * CHUNKS, LENGTH = WORDS * WARPS;            // of a slice and of a row, four bytes each
constexpr int NUMBERS = (PRECISION == 2 ? 2 : 1) * WORDS;             // of a slice
constexpr int MOST = PRECISION == 0 ? 2 : 8, BAND = ROWS < MOST ? ROWS : MOST, BANDS = ROWS / BAND;
constexpr Index BASE = 1 << 16;                                       // more than there are blocks
static_assert(ROWS == BANDS * BAND && (PRECISION == 0 || BAND == 8), "ROWS come in bands");

// The word of one number, or of two bfloat16.
__device__ inline unsigned word_of(Real x, Real next) {
    return PRECISION == 2 ? two_bf16(x, next) : PRECISION == 1 ? to_tf32(x) : __float_as_uint(x);
}

// The rooms (2, ROWS, LENGTH) and flags of all blocks, and for each block the wait that it has given up, or 0.
struct Exchange {
    unsigned *rooms, *flags;
    Index *lost, limit;

    __device__ unsigned* room(Index round) const { return rooms + (round & 1) * ROWS * LENGTH; }

    __device__ void put(Index round, int row, Index k, Real x) const {
        unsigned* words = room(round) + row * LENGTH;
        if (PRECISION == 2)
            reinterpret_cast<unsigned short*>(words)[k] = static_cast<unsigned short>(word_of(x, 0));
        else
            words[k] = word_of(x, 0);
    }

    // By the whole block, after it has put all of a round.
    __device__ void give(Index round) const {
        __syncthreads();
        if (threadIdx.x == 0) flag_raise(flags + blockIdx.x, static_cast<unsigned>(round + 1));
    }
};

// A block's slab: fragments of 8 rows and a chunk, for each lane four words, as many as HELD in registers.
template <int OUTPUTS, int SHARE>
struct Slab {
    static constexpr int tiles = (OUTPUTS + 7) / 8, fragments = CHUNKS * tiles;
    static constexpr int held = fragments < HELD ? fragments : HELD, left = fragments - held;
    static constexpr int line = tiles * 8 | 8;  // sums of a row; such that rows begin in different banks

    uint4 first[held ? held : 1];
    unsigned* failed;
    float* parts;
    uint4* rest;

    // From ``packed`` (blocks, 8 tiles, LENGTH).
    __device__ void load(const unsigned* packed) {
        failed = reinterpret_cast<unsigned*>(shared_memory());
        rest = reinterpret_cast<uint4*>(shared_memory() + 16);
        parts = reinterpret_cast<float*>(rest + left * THREADS);
        rest += threadIdx.x;
        if (threadIdx.x == 0) *failed = 0;
        const unsigned* mine = packed + (static_cast<Index>(blockIdx.x) * tiles * 8 + lane() / 4) * LENGTH + offset();
#pragma unroll
        for (int n = 0; n < fragments; ++n) {
            const uint4 four = *reinterpret_cast<const uint4*>(mine + n % tiles * 8 * LENGTH + n / tiles * 16);
            if (n < held)
                first[n] = four;
            else
                rest[(n - held) * THREADS] = four;
        }
    }

    // The sums of a round for ``rows`` rows, ready for ``sum`` until the block gives; false if a flag has not come.
    __device__ bool multiply(const Exchange& all, Index round, int rows) const {
        if (!await(all, round)) *failed = 1;
        const unsigned* given = all.room(round) + offset();
        if (PRECISION == 0)
            by_lanes(given, rows);
        else
            by_tensor_cores(given, rows);
        __syncthreads();
        return !*failed;
    }

    __device__ Real sum(int row, int output) const {
        Real sum = 0;
#pragma unroll
        for (int n = 0; n < WARPS; ++n) sum += parts[(n * ROWS + row) * line + output];
        return sum;
    }

  private:
    __device__ static int lane() { return threadIdx.x % 32; }
    __device__ static int warp() { return threadIdx.x / 32; }

    // Where in a row the warp's slice begins, and in its first chunk what is the lane's.
    __device__ static int offset() { return warp() * WORDS + lane() % 4 * 4; }

    __device__ uint4 fragment(int chunk, int tile) const {
        const int n = chunk * tiles + tile;
        return n < held ? first[n] : rest[(n - held) * THREADS];
    }

    // Wait for those who give to the warp's slice.
    __device__ static bool await(const Exchange& all, Index round) {
        const int end = ((warp() + 1) * NUMBERS - 1) / SHARE, blocks = gridDim.x;
        const unsigned wanted = static_cast<unsigned>(round + 1);
        bool there = true;
        for (int block = warp() * NUMBERS / SHARE + lane(); block <= end && block < blocks; block += 32)
            if (!flag_await(all.flags + block, wanted, all.limit)) {
                all.lost[blockIdx.x] = (round + 1) * BASE + block;
                there = false;
            }
        __syncwarp();
        return there;
    }

    __device__ static uint4 fetch(const unsigned* given, int row, int rows, int chunk) {
        return row < rows ? load_fresh16(given + row * LENGTH + chunk * 16) : uint4{0, 0, 0, 0};
    }

    __device__ float* part(int row) const { return parts + (warp() * ROWS + row) * line; }

    __device__ static float dot(uint4 a, uint4 b, float sum) {
        sum += __uint_as_float(a.x) * __uint_as_float(b.x);
        sum += __uint_as_float(a.y) * __uint_as_float(b.y);
        sum += __uint_as_float(a.z) * __uint_as_float(b.z);
        return sum + __uint_as_float(a.w) * __uint_as_float(b.w);
    }

    // A lane has one row of each tile and a quarter of each chunk.
    __device__ void by_lanes(const unsigned* given, int rows) const {
#pragma unroll 1
        for (int band = 0; band < BANDS && band * BAND < rows; ++band) {
            float sums[tiles][BAND] = {};
#pragma unroll
            for (int chunk = 0; chunk < CHUNKS; ++chunk) {
                uint4 x[BAND];
#pragma unroll
                for (int j = 0; j < BAND; ++j) x[j] = fetch(given, band * BAND + j, rows, chunk);
#pragma unroll
                for (int tile = 0; tile < tiles; ++tile) {
                    const uint4 w = fragment(chunk, tile);
#pragma unroll
                    for (int j = 0; j < BAND; ++j) sums[tile][j] = dot(w, x[j], sums[tile][j]);
                }
            }
#pragma unroll
            for (int tile = 0; tile < tiles; ++tile) whole(sums[tile], band * BAND, tile);
        }
    }

    // The sums of four lanes, of which each ends with some of the rows.
    __device__ void whole(float (&sums)[BAND], int row, int tile) const {
        constexpr int half = BAND > 1 ? BAND / 2 : 1, quarter = half > 1 ? half / 2 : 1;
        row += halved<BAND>(sums, 2);
        row += halved<half>(sums, 1);
#pragma unroll
        for (int j = 0; j < quarter; ++j) part(row + j)[tile * 8 + lane() / 4] = sums[j];
    }

    // Add the sums of two lanes: each ends with one half of them, or both with the only one; where the half begins.
    template <int count>
    __device__ static int halved(float (&sums)[BAND], int by) {
        constexpr int half = count / 2;
        const bool high = lane() & by;
        if (count == 1) sums[0] += __shfl_xor_sync(0xFFFFFFFFu, sums[0], by);
#pragma unroll
        for (int j = 0; j < half; ++j) {
            const float mine = high ? sums[j + half] : sums[j], other = high ? sums[j] : sums[j + half];
            sums[j] = mine + __shfl_xor_sync(0xFFFFFFFFu, other, by);
        }
        return high ? half : 0;
    }

    // What is given is the left matrix of the tensor cores, 16 rows at a time, and the slab the right one.
    __device__ void by_tensor_cores(const unsigned* given, int rows) const {
        constexpr int pairs = (BANDS + 1) / 2;
        float sums[pairs][tiles][4] = {};
#pragma unroll
        for (int chunk = 0; chunk < CHUNKS; ++chunk) {
            uint4 x[2 * pairs] = {};
#pragma unroll
            for (int j = 0; j < BANDS; ++j) x[j] = fetch(given, j * 8 + lane() / 4, rows, chunk);
#pragma unroll
            for (int tile = 0; tile < tiles; ++tile) {
                const uint4 w = fragment(chunk, tile);
#pragma unroll
                for (int j = 0; j < pairs; ++j) {
                    const uint4 low = x[2 * j], high = x[2 * j + 1];
                    step(sums[j][tile], {low.x, high.x, low.y, high.y}, w.x, w.y);
                    step(sums[j][tile], {low.z, high.z, low.w, high.w}, w.z, w.w);
                }
            }
        }
#pragma unroll
        for (int j = 0; j < pairs; ++j)
#pragma unroll
            for (int tile = 0; tile < tiles; ++tile)
#pragma unroll
                for (int e = 0; e < 4; ++e) {
                    const int row = j * 16 + e / 2 * 8 + lane() / 4;
                    if (row < ROWS) part(row)[tile * 8 + lane() % 4 * 2 + e % 2] = sums[j][tile][e];
                }
    }

    __device__ static void step(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
        if (PRECISION == 2)
            multiply_bf16(d, a, b0, b1);
        else
            multiply_tf32(d, a, b0, b1);
    }
};
