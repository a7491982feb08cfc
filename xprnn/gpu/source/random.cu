// Dropout's factors, the same bits as in random.py: Threefry-2x32 of 20 rounds, whose counter is the number of a pair.
#include "runtime.cuh"

__device__ inline unsigned rotated(unsigned word, int bits) { return word << bits | word >> (32 - bits); }

struct Pair {
    unsigned first, second;
};

__device__ inline Pair threefry(unsigned key0, unsigned key1, unsigned counter) {
    const unsigned key[3] = {key0, key1, key0 ^ key1 ^ 0x1BD11BDAu};
    const int rotations[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
    unsigned first = counter + key[0], second = key[1];
    for (int group = 0; group < 5; ++group) {
        for (int round = 0; round < 4; ++round) {
            first += second;
            second = rotated(second, rotations[group % 2][round]) ^ first;
        }
        first += key[(group + 1) % 3];
        second += key[(group + 2) % 3] + group + 1;
    }
    return {first, second};
}

// out[i] = factor where word i, signed, is at least ``least``, else 0; a thread for every two.
extern "C" __global__ void keep(Index count, Index key0, Index key1, Index least, double factor, Real* out) {
    const Index pair = thread(), i = 2 * pair;
    if (i >= count) return;
    const Pair words = threefry(key0, key1, pair);
    const Real kept = static_cast<Real>(factor);
    out[i] = static_cast<int>(words.first) >= least ? kept : Real(0);
    if (i + 1 < count) out[i + 1] = static_cast<int>(words.second) >= least ? kept : Real(0);
}
