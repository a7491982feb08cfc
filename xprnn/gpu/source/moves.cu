// Arrays of any kind of numbers, ITEM, from one place to another.
#include "runtime.cuh"

// out, dense, has the rows and columns of each step of a, which lies as the strides say.
extern "C" __global__ void move(Index count, Index rows, Index columns, const ITEM* a, Index step, Index row,
                                Index column, ITEM* out) {
    const Index i = thread(), n = i / columns;
    if (i < count) out[i] = a[n / rows * step + n % rows * row + i % columns * column];
}
