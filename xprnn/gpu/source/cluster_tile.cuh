// What both ways of the cluster walk share: products with weights that stay on the chip, and the exchange between
// blocks.
//
// A cluster of CLUSTER blocks has ROWS rows of the batch; each block has UNITS units, UNITS a multiple of 8, and the
// weights of their gates. How to use this file:
//
//   typedef Product<OUTPUTS, TERMS> P     OUTPUTS sums of TERMS terms each, for each of ROWS rows
//   pack<P>(packed, weight)               once, one thread for each of CLUSTER * P::PACKED: the weights in the order in
//                                         which the threads want them; weight(rank, output, term), 0 beyond the ends
//   P product; product.take(packed + rank * P::PACKED, rest)      rest: P::REST Words of shared memory
//   product.multiply(operands, partial)   operands: ROWS rows of P::PITCH words, term k in word k / IN_WORD as
//                                         operand() makes it, zeros from TERMS on; partial: P::PARTIAL numbers
//   __syncthreads()
//   P::sum(partial, row, output)          always added in the same order
//
// Of THREADS threads, the first P::WORKERS multiply. The host says CLUSTER, UNITS, ROWS and THREADS, and how the
// product is made: PRECISION 0 exactly, 1 with TF32 and 2 with bfloat16 operands; SPLIT parts of the terms; TILES of 16
// outputs for a warp, unless exact; so many pieces of 4 words of weights IN_REGISTERS of a thread, the rest in shared
// memory.
#pragma once
#include "cluster.cuh"
#include "runtime.cuh"
#include "tensor.cuh"

struct alignas(16) Words {
    unsigned word[4];
};

// Terms in a word of operands.
constexpr int IN_WORD = PRECISION == 2 ? 2 : 1;

__device__ inline unsigned operand(Real low, Real high) {
#if PRECISION == 0
    return __float_as_uint(low);
#elif PRECISION == 1
    return to_tf32(low);
#else
    return two_bf16(low, high);
#endif
}

constexpr int divided_up(int n, int by) { return (n + by - 1) / by; }

// The pieces that a thread multiplies with. Nobody else reads them, so there is nothing to wait for.
template <int PIECES, int WORKERS>
struct Weights {
    static constexpr int HELD = PIECES < IN_REGISTERS ? PIECES : IN_REGISTERS, REST = (PIECES - HELD) * WORKERS;
    Words held[HELD];
    const Words* rest;

    __device__ void take(const Words* packed, Words* room) {
        if (threadIdx.x >= WORKERS) return;
        rest = room + threadIdx.x;
#pragma unroll
        for (int n = 0; n < HELD; ++n) held[n] = packed[n * WORKERS + threadIdx.x];
        for (int n = HELD; n < PIECES; ++n)
            room[(n - HELD) * WORKERS + threadIdx.x] = packed[n * WORKERS + threadIdx.x];
    }
    // n is known where loops are unrolled, as registers have no index.
    __device__ Words piece(int n) const { return n < HELD ? held[n] : rest[(n - HELD) * WORKERS]; }
};

// What a word of a piece multiplies: the output, and the first term.
struct Term {
    int output, term;
};

// By the units for float32: a thread has 4 outputs and a part of the terms, in fours, of all rows. Neighbours read the
// same operands, or such as lie side by side, and write 4 sums side by side.
template <int OUTPUTS, int TERMS>
struct Exact {
    static constexpr int GROUPS = divided_up(OUTPUTS, 4), WORKERS = GROUPS * SPLIT;
    static constexpr int FOURS = divided_up(TERMS, 4 * SPLIT);
    static constexpr int PIECES = 4 * FOURS, PITCH = 4 * FOURS * SPLIT, WIDTH = 4 * GROUPS;
    static constexpr int AT_ONCE = ROWS < 4 ? ROWS : 4;  // as registers allow
    static_assert(ROWS % AT_ONCE == 0, "rows come in fours");
    Weights<PIECES, WORKERS> weights;

    __device__ static Term place(int piece, int worker, int word) {
        return {worker % GROUPS * 4 + piece % 4, (piece / 4 * SPLIT + worker / GROUPS) * 4 + word};
    }

    __device__ void multiply(const unsigned* operands, Real* partial) const {
        if (threadIdx.x >= WORKERS) return;
        const int part = threadIdx.x / GROUPS;
        operands += part * 4;
        partial += part * ROWS * WIDTH + threadIdx.x % GROUPS * 4;
#pragma unroll 1
        for (int row = 0; row < ROWS; row += AT_ONCE) multiply_rows(operands + row * PITCH, partial + row * WIDTH);
    }

    __device__ void multiply_rows(const unsigned* operands, Real* partial) const {
        constexpr int HELD = decltype(weights)::HELD / 4;
        static_assert(decltype(weights)::HELD % 4 == 0, "outputs come in fours");
        Real sums[AT_ONCE][4] = {};
#pragma unroll
        for (int n = 0; n < HELD; ++n) add(sums, weights.held + 4 * n, 1, operands + n * SPLIT * 4);
        // Unrolled, this would take the registers that the others are held in.
#pragma unroll 1
        for (int n = HELD; n < FOURS; ++n)
            add(sums, weights.rest + 4 * (n - HELD) * WORKERS, WORKERS, operands + n * SPLIT * 4);
#pragma unroll
        for (int row = 0; row < AT_ONCE; ++row) {
            Words out;
#pragma unroll
            for (int output = 0; output < 4; ++output) out.word[output] = __float_as_uint(sums[row][output]);
            *reinterpret_cast<Words*>(partial + row * WIDTH) = out;
        }
    }

    // Four terms of four outputs, of which each has a piece.
    __device__ static void add(Real (&sums)[AT_ONCE][4], const Words* pieces, int step, const unsigned* operands) {
        Words w[4];
#pragma unroll
        for (int output = 0; output < 4; ++output) w[output] = pieces[output * step];
#pragma unroll
        for (int row = 0; row < AT_ONCE; ++row) {
            const Words v = *reinterpret_cast<const Words*>(operands + row * PITCH);
#pragma unroll
            for (int output = 0; output < 4; ++output)
#pragma unroll
                for (int k = 0; k < 4; ++k)
                    sums[row][output] += __uint_as_float(w[output].word[k]) * __uint_as_float(v.word[k]);
        }
    }
};

// By the tensor cores: a warp has TILES tiles of 16 outputs and a part of the terms, in 16 words, of all rows, in
// eights. Terms are added in whatever order suits: lane 4 g + c reads words 4 c to 4 c + 3 of row g at once, and takes
// two of them for the terms c and c + 4 of one instruction (2 c, 2 c + 1 and 2 c + 8, 2 c + 9 of bfloat16), two for the
// next.
template <int OUTPUTS, int TERMS>
struct Tensor {
    static constexpr int GROUPS = divided_up(OUTPUTS, 16 * TILES), WORKERS = GROUPS * SPLIT * 32;
    static constexpr int SIXTEENS = divided_up(TERMS, 16 * IN_WORD * SPLIT), PIECES = SIXTEENS * 2 * TILES;
    // Eight lanes, four of them in a row of 16 words, read all 32 banks if the next row begins with the other 16.
    static constexpr int WORDS = 16 * SIXTEENS * SPLIT, PITCH = WORDS % 32 == 16 ? WORDS : WORDS + 16;
    // And the lanes of a warp write to all of them if two rows of sums are 8 banks apart.
    static constexpr int WIDTH = 16 * TILES * GROUPS + 4;
    Weights<PIECES, WORKERS> weights;

    __device__ static Term place(int piece, int worker, int word) {
        const int lane = worker % 32, group = worker / 32 % GROUPS, part = worker / 32 / GROUPS;
        const int tile = group * TILES + piece % TILES, which = piece / TILES;
        const int at = (which / 2 * SPLIT + part) * 16 + lane % 4 * 4 + which % 2 * 2 + word / 2;
        return {tile * 16 + lane / 4 + word % 2 * 8, at * IN_WORD};
    }

    __device__ static void multiply_tile(Real (&sums)[4], const Words& w, unsigned low, unsigned high) {
#if PRECISION == 2
        multiply_bf16(sums, w.word, low, high);
#else
        multiply_tf32(sums, w.word, low, high);
#endif
    }

    __device__ void multiply(const unsigned* operands, Real* partial) const {
        if (threadIdx.x >= WORKERS) return;
        const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, group = warp % GROUPS, part = warp / GROUPS;
        Real sums[ROWS / 8][TILES][4] = {};
#pragma unroll
        for (int n = 0; n < SIXTEENS; ++n)
#pragma unroll
            for (int eight = 0; eight < ROWS / 8; ++eight) {
                const unsigned* at = operands + (eight * 8 + lane / 4) * PITCH + (n * SPLIT + part) * 16 + lane % 4 * 4;
                const Words v = *reinterpret_cast<const Words*>(at);
#pragma unroll
                for (int half = 0; half < 2; ++half)
#pragma unroll
                    for (int tile = 0; tile < TILES; ++tile)
                        multiply_tile(sums[eight][tile], weights.piece((2 * n + half) * TILES + tile),
                                      v.word[2 * half], v.word[2 * half + 1]);
            }
#pragma unroll
        for (int eight = 0; eight < ROWS / 8; ++eight)
#pragma unroll
            for (int tile = 0; tile < TILES; ++tile)
#pragma unroll
                for (int n = 0; n < 4; ++n) {
                    const int row = eight * 8 + lane % 4 * 2 + n % 2, output = (group * TILES + tile) * 16 + lane / 4;
                    partial[(part * ROWS + row) * WIDTH + output + n / 2 * 8] = sums[eight][tile][n];
                }
    }
};

#if PRECISION == 0
template <int OUTPUTS, int TERMS>
using Way = Exact<OUTPUTS, TERMS>;
#else
static_assert(ROWS % 8 == 0, "a tensor core multiplies eight rows");
template <int OUTPUTS, int TERMS>
using Way = Tensor<OUTPUTS, TERMS>;
#endif

template <int OUTPUTS, int TERMS>
struct Product : Way<OUTPUTS, TERMS> {
    typedef Way<OUTPUTS, TERMS> Ours;
    static constexpr int PACKED = Ours::PIECES * Ours::WORKERS, REST = decltype(Ours::weights)::REST;
    static constexpr int PARTIAL = SPLIT * ROWS * Ours::WIDTH;
    static_assert(Ours::WORKERS <= THREADS, "more threads multiply than there are");

    __device__ void take(const Words* packed, Words* rest) { this->weights.take(packed, rest); }

    __device__ static Real sum(const Real* partial, int row, int output) {
        Real sum = 0;
#pragma unroll
        for (int part = 0; part < SPLIT; ++part) sum += partial[(part * ROWS + row) * Ours::WIDTH + output];
        return sum;
    }
};

template <class Product, class Weight>
__device__ void pack(Words* packed, Weight weight) {
    const Index i = thread();
    if (i >= static_cast<Index>(CLUSTER) * Product::PACKED) return;
    const int rank = i / Product::PACKED, piece = i % Product::PACKED / Product::WORKERS, worker = i % Product::WORKERS;
    Words out;
    for (int word = 0; word < 4; ++word) {
        const Term at = Product::place(piece, worker, word);
        out.word[word] = operand(weight(rank, at.output, at.term), weight(rank, at.output, at.term + 1));
    }
    packed[i] = out;
}

// What the blocks of a cluster push to each other, a step at a time: exchange n, from 0 on, fills buffer n & 1 of each.
//
// Two buffers are enough, and nobody waits before writing. A block pushes exchange n only when all of exchange n - 1
// has reached it, and each block pushes its part of that only when all its threads have read exchange n - 2, whose
// buffer is now written: there must be a __syncthreads between the last look at a buffer and the next push.
struct Exchange {
    Barrier* arrived;  // 2 of them
    unsigned bytes;    // that reach a block in one exchange

    // By one thread, before a cluster_meet().
    __device__ void begin() const {
        for (int n = 0; n < 2; ++n) barrier_begin(arrived + n, 1);
        barrier_fence();
        for (int n = 0; n < 2; ++n) barrier_expect(arrived + n, bytes);
    }

    // By every thread that reads exchange n, thread 0 among them, which makes the barrier ready for exchange n + 2:
    // that cannot be complete before this block has pushed its part of n + 1.
    __device__ void await(int n) const {
        barrier_wait(arrived + (n & 1), n >> 1 & 1);
        if (threadIdx.x == 0) barrier_expect(arrived + (n & 1), bytes);
    }
};
