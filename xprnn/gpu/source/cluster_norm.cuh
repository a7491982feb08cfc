// What layer normalization needs of the other blocks in each step: sums over all units of a row.
//
// GROUP threads side by side have units of one row. They add up what they have and tell all blocks, this one too, two
// numbers; every thread adds up those of its row in the order of the units. So all come to the same bits, whoever is
// first.
//
// A step makes two such exchanges, 2 n and 2 n + 1, one for each buffer, and then that of the walk itself, which nobody
// completes before all threads have read both; that is why they need no __syncthreads of their own.
#pragma once
#include "cluster_tile.cuh"

constexpr int GROUP = (UNITS & -UNITS) < 32 ? UNITS & -UNITS : 32, PARTS = CLUSTER * UNITS / GROUP;

// What all blocks have told this one, in shared memory.
struct Told {
    Barrier arrived[2];
    alignas(16) Real pair[2][ROWS][PARTS][2];
};

// Mean and 1 / sqrt(variance + epsilon).
struct Norm {
    Real mean, rate;
    __device__ Real of(Real x) const { return (x - mean) * rate; }
};

struct Pair {
    Real first, second;
};

// A thread's place in all this. Whole warps take part; who has no unit of its own listens and tells nothing.
struct Sums {
    Told& told;
    int H, unit;  // the unit among all

    __device__ Sums(Told& told, Index H, int rank) : told(told), H(H), unit(rank * UNITS + own()) {}
    // The unit among those of its block.
    __device__ static int own() { return threadIdx.x % UNITS; }
    __device__ static bool tells() { return threadIdx.x < UNITS * ROWS; }

    __device__ Exchange exchange() const { return {told.arrived, ROWS * PARTS * 2 * sizeof(Real)}; }

    // The units of a part that are no filling.
    __device__ int size(int part) const {
        const int left = H - part * GROUP;
        return left < 0 ? 0 : left < GROUP ? left : GROUP;
    }

    // Over the group; units that only fill up count nothing.
    __device__ Real together(Real x) const {
        x = unit < H ? x : Real(0);
#pragma unroll
        for (int half = GROUP / 2; half > 0; half /= 2) x += __shfl_xor_sync(0xffffffffu, x, half);
        return x;
    }

    // Exchange n -> the pairs of this row.
    __device__ const Real (*pairs(int n, Real first, Real second) const)[2] {
        Real(*row)[2] = told.pair[n & 1][tells() ? threadIdx.x / UNITS : 0];
        for (int to = threadIdx.x % GROUP; to < CLUSTER && tells(); to += GROUP)
            push8(row[unit / GROUP], told.arrived + (n & 1), to, __float_as_uint(first), __float_as_uint(second));
        exchange().await(n);
        return row;
    }

    // The norm of a row of COUNT numbers a unit. Each group tells its mean and its squares around that, and these are
    // moved to the mean of all: no large numbers are taken from each other.
    template <int COUNT>
    __device__ Norm norm(int n, const Real (&x)[COUNT], Real epsilon) const {
        Real sum = 0, squares = 0;
#pragma unroll
        for (int k = 0; k < COUNT; ++k) sum += x[k];
        sum = together(sum);
        const int ours = size(unit / GROUP);
        const Real mean = ours ? sum / (COUNT * ours) : Real(0);
#pragma unroll
        for (int k = 0; k < COUNT; ++k) squares += (x[k] - mean) * (x[k] - mean);
        squares = together(squares);
        const Real(*pair)[2] = pairs(n, mean, squares);
        sum = squares = 0;
#pragma unroll 4
        for (int part = 0; part < PARTS; ++part) sum += size(part) * pair[part][0];
        const Real whole = sum / H;
#pragma unroll 4
        for (int part = 0; part < PARTS; ++part) {
            const Real away = pair[part][0] - whole;
            squares += pair[part][1] + COUNT * size(part) * (away * away);
        }
        return {whole, 1 / square_root(squares / (COUNT * H) + epsilon)};
    }

    // The means of two rows of COUNT numbers a unit, of which each thread has the sums.
    template <int COUNT>
    __device__ Pair means(int n, Real first, Real second) const {
        first = together(first);
        second = together(second);
        const Real(*pair)[2] = pairs(n, first, second);
        first = second = 0;
#pragma unroll 4
        for (int part = 0; part < PARTS; ++part) {
            first += pair[part][0];
            second += pair[part][1];
        }
        return {first / (COUNT * H), second / (COUNT * H)};
    }
};

// The gains of a block's units, and what is added to the normalized memory.
constexpr int GAINS = 6;

struct Gains {
    const Real *gh, *gc, *bc;

    __device__ void fix(Index H, int rank, Real* fixed) const {
        for (int n = threadIdx.x; n < GAINS * UNITS; n += THREADS) {
            const int k = n / UNITS;
            const Index j = rank * UNITS + n % UNITS;
            const Real* from = k < 4 ? gh + k * H : k == 4 ? gc : bc;
            fixed[n] = j < H && from ? from[j] : Real(0);
        }
    }
};
