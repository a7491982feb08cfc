// Whole arrays: as they are stored, and sums over their rows in a fixed order.
#include "runtime.cuh"

// Number i of an array of ``rows`` rows in each step, which lies as the strides say, times that of factor (null: 1).
template <class Number>
__device__ inline Real number(Index i, Index rows, Index columns, const Number* a, Index step, Index row, Index column,
                              const Real* factor) {
    const Index n = i / columns;
    const Real x = load(a[n / rows * step + n % rows * row + i % columns * column]);
    return factor ? x * factor[i] : x;
}

// out = a ⊙ factor, its rows ``to`` numbers apart; as it is computed in, and as it is stored.
extern "C" __global__ void copy(Index count, Index rows, Index columns, const Stored* a, Index step, Index row,
                                Index column, const Real* factor, Index to, Real* out) {
    const Index i = thread();
    if (i < count) out[i / columns * to + i % columns] = number(i, rows, columns, a, step, row, column, factor);
}

extern "C" __global__ void store_all(Index count, Index rows, Index columns, const Real* a, Index step, Index row,
                                     Index column, const Real* factor, Index to, Stored* out) {
    const Index i = thread();
    if (i < count) out[i / columns * to + i % columns] = store(number(i, rows, columns, a, step, row, column, factor));
}

// y = x + through ⊙ factor (null: 1)
extern "C" __global__ void add_through(Index count, const Real* x, const Real* through, const Real* factor, Real* y) {
    const Index i = thread();
    if (i < count) y[i] = x[i] + (factor ? through[i] * factor[i] : through[i]);
}

// A block of 8 by 32 threads sums ``slab`` rows of 32 columns: Σ a[n, j] (· b[n, j]) -> out[number of the slab, j].
// ``width`` blocks stand side by side; rows of a and b are so many numbers apart.
template <class Number>
__device__ void sum_slab(Index rows, Index columns, Index slab, Index width, const Number* a, Index a_row,
                         const Real* b, Index b_row, Real* out) {
    __shared__ Real parts[8][32];
    const int lane = threadIdx.x % 32, part = threadIdx.x / 32;
    const Index column = blockIdx.x % width * 32 + lane, number = blockIdx.x / width;
    const Index stop = (number + 1) * slab < rows ? (number + 1) * slab : rows;
    Real sum = 0;
    if (column < columns)
        for (Index n = number * slab + part; n < stop; n += 8) {
            const Real x = load(a[n * a_row + column]);
            sum += b ? x * b[n * b_row + column] : x;
        }
    parts[part][lane] = sum;
    __syncthreads();
    if (part > 0 || column >= columns) return;
    for (int other = 1; other < 8; ++other) sum += parts[other][lane];
    out[number * columns + column] = sum;
}

extern "C" __global__ void sum_rows(Index rows, Index columns, Index slab, Index width, const Real* a, Index a_row,
                                    const Real* b, Index b_row, Real* out) {
    sum_slab(rows, columns, slab, width, a, a_row, b, b_row, out);
}

extern "C" __global__ void sum_stored_rows(Index rows, Index columns, Index slab, Index width, const Stored* a,
                                           Index a_row, const Real* b, Index b_row, Real* out) {
    sum_slab(rows, columns, slab, width, a, a_row, b, b_row, out);
}
