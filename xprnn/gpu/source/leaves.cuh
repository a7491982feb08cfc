// The leaves of trees, up to 32 at once, as one row of numbers: each leaf dense, one behind the other.
#pragma once
#include "runtime.cuh"

constexpr int LEAVES = 32;

// Where each leaf ends in that row.
struct Ends {
    Index of[LEAVES];
};

// The leaf that has number i of the row, and the number of i in it.
struct Place {
    int leaf;
    Index at;
};

__device__ inline Place place_of(const Ends& ends, Index i) {
    int leaf = 0;
    while (i >= ends.of[leaf]) ++leaf;
    return {leaf, leaf ? i - ends.of[leaf - 1] : i};
}
