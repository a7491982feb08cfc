// tensor.cuh on a CPU, after what the PTX ISA says of the places of numbers in a warp.
#pragma once

#include "barriers.h"

namespace emulator {

static float float_of(unsigned bits) {
    float x;
    memcpy(&x, &bits, 4);
    return x;
}
static unsigned bits_of(float x) {
    unsigned bits;
    memcpy(&bits, &x, 4);
    return bits;
}
static bool is_nan(unsigned bits) { return (bits & 0x7FFFFFFF) > 0x7F800000; }

// Number ``half`` of a word of ``two_bf16``.
static float bf16_of(unsigned word, int half) { return float_of(half ? word & 0xFFFF0000 : word << 16); }

static unsigned bf16_bits(float x) {
    const unsigned bits = bits_of(x);
    return is_nan(bits) ? 0x7FFF : (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
}

// The words of all lanes: four of a and two of b.
struct Words {
    const Fiber* first;
    unsigned turn;

    unsigned operator()(int lane, int word) const {
        unsigned bits;
        memcpy(&bits, reinterpret_cast<const char*>(first[lane].slots[turn]) + 4 * word, 4);
        return bits;
    }
};

static Words show(const unsigned (&a)[4], unsigned b0, unsigned b1, const char* where) {
    char* slot = reinterpret_cast<char*>(current->slots[current->meetings & 1]);
    memcpy(slot, a, 16), memcpy(slot + 16, &b0, 4), memcpy(slot + 20, &b1, 4);
    if (warp_of(*current).all != 0xFFFFFFFF) {
        complain("%s in block %u by a warp without 32 lanes", where, here().index);
        give_up();
    }
    const unsigned turn = meet_in_warp(where);
    return {current - lane(), turn};
}

// d += a b, for the four sums of this lane; a(row, k) and b(k, column).
template <class A, class B>
void add_products(float (&d)[4], int terms, A a, B b) {
    for (int n = 0; n < 4; ++n) {
        const int row = lane() / 4 + n / 2 * 8, column = lane() % 4 * 2 + n % 2;
        for (int k = 0; k < terms; ++k) d[n] += a(row, k) * b(k, column);
    }
}

}  // namespace emulator

unsigned to_tf32(float x) {
    const unsigned bits = emulator::bits_of(x);
    return emulator::is_nan(bits) ? 0x7FFFFFFF : (bits + 0x1000) & ~0x1FFFu;
}

unsigned two_bf16(float low, float high) {
    return emulator::bf16_bits(low) | emulator::bf16_bits(high) << 16;
}

void multiply_tf32(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    using namespace emulator;
    for (const unsigned word : {a[0], a[1], a[2], a[3], b0, b1})
        if (word & 0x1FFF && !is_nan(word)) complain("multiply_tf32 of a number that to_tf32 has not made");
    const Words words = show(a, b0, b1, "multiply_tf32");
    add_products(
        d, 8,
        [&](int row, int k) { return float_of(words(row % 8 * 4 + k % 4, row / 8 + k / 4 * 2)); },
        [&](int k, int column) { return float_of(words(column * 4 + k % 4, 4 + k / 4)); });
}

void multiply_bf16(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    using namespace emulator;
    const Words words = show(a, b0, b1, "multiply_bf16");
    add_products(
        d, 16,
        [&](int row, int k) { return bf16_of(words(row % 8 * 4 + k % 8 / 2, row / 8 + k / 8 * 2), k % 2); },
        [&](int k, int column) { return bf16_of(words(column * 4 + k % 8 / 2, 4 + k / 8), k % 2); });
}
