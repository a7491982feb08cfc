// Adding rows into a table by number, in a fixed order and without a sort.
#include "runtime.cuh"

#ifndef ID
#define ID int
#endif

constexpr int WARPS = 8, COLUMNS = 4;  // of 32 each

// table[v] = Σ values[n] over all n with ids[n] = v: a block for each row v and 128 columns, of which ``width`` stand
// side by side. Each of its warps goes over every eighth 32 ids, and the first one adds what the others have.
extern "C" __global__ void add_rows(Index count, Index columns, Index width, const ID* ids, const Real* values,
                                    Real* table) {
    __shared__ Real parts[WARPS][COLUMNS * 32];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const Index row = blockIdx.x / width, first = blockIdx.x % width * COLUMNS * 32 + lane;
    Real sums[COLUMNS] = {};
    for (Index begin = warp * 32; begin < count; begin += WARPS * 32) {
        unsigned found = __ballot_sync(0xFFFFFFFFu, begin + lane < count && ids[begin + lane] == row);
        for (; found; found &= found - 1) {
            const Real* value = values + (begin + __ffs(found) - 1) * columns;
            for (int k = 0; k < COLUMNS; ++k)
                if (first + 32 * k < columns) sums[k] += value[first + 32 * k];
        }
    }
    for (int k = 0; k < COLUMNS; ++k) parts[warp][32 * k + lane] = sums[k];
    __syncthreads();
    if (warp > 0) return;
    for (int k = 0; k < COLUMNS && first + 32 * k < columns; ++k) {
        for (int other = 1; other < WARPS; ++other) sums[k] += parts[other][32 * k + lane];
        table[row * columns + first + 32 * k] = sums[k];
    }
}
