// Barriers that count expectations and bytes, as the 64 bits that they are in shared memory.
#pragma once

#include "fibers.h"

namespace emulator {

enum BarrierKind { BEGUN = 1, KNOWN = 2 };  // KNOWN: to the other blocks too; memory that is full of NaN is none

struct Phase {
    std::uint64_t count : 20, missing : 20, parity : 1, kind : 2;
    std::int64_t bytes : 21;
};
static_assert(sizeof(Phase) == 8, "as large as a barrier");

static bool is_array(const char* place) {
    return &__start_shared_arrays && place >= &__start_shared_arrays && place < &__stop_shared_arrays;
}

// Where that is now which a block sees at ``place``.
static char* real_place(unsigned block, char* place) {
    if (block == in_place || !is_array(place)) return place;
    return blocks[block].arrays.data() + (place - &__start_shared_arrays);
}

static Phase phase_of(unsigned block, char* place) {
    Phase phase;
    memcpy(&phase, real_place(block, place), sizeof phase);
    return phase;
}

static void keep(unsigned block, char* place, const Phase& phase) {
    memcpy(real_place(block, place), &phase, sizeof phase);
}

// After a change: the phase may be over.
static void settle(unsigned block, char* place, Phase phase) {
    if (!phase.missing && !phase.bytes) {
        phase.parity ^= 1, phase.missing = phase.count;
        for (unsigned n = 0; n < threads; ++n) {
            Fiber& f = fibers[block * threads + n];
            if (f.kind == AT_BARRIER && f.object == place) wake(f);
        }
    }
    keep(block, place, phase);
}

static void count_bytes(unsigned block, char* place, long long bytes) {
    Phase phase = phase_of(block, place);
    const long long sum = phase.bytes + bytes;
    phase.bytes = sum;
    if (phase.bytes != sum) complain("a barrier of block %u counts %lld bytes", blocks[block].index, sum);
    settle(block, place, phase);
}

}  // namespace emulator
