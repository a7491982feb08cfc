// What the lanes of a warp, and the threads of a block, do together.
#pragma once

#include "fibers.h"

namespace emulator {

void meet_in_block() {
    meet_at(here().meetings[0], threads, "__syncthreads", current->block, current->block + 1);
}

// A value of this thread becomes that of another lane of its warp.
void exchange(void* value, std::size_t bytes, int lane, const char* where) {
    memcpy(current->slots[current->meetings & 1], value, bytes);
    const unsigned turn = meet_in_warp(where), number = lane & 31;
    if (!(warp_of(*current).all >> number & 1)) complain("%s reads lane %u, which the warp has not", where, number);
    memcpy(value, (current - emulator::lane() + number)->slots[turn], bytes);
}

unsigned ballot(bool condition) {
    current->slots[current->meetings & 1][0] = condition;
    const unsigned turn = meet_in_warp("__ballot_sync"), lanes = warp_of(*current).all;
    unsigned bits = 0;
    for (int n = 0; n < 32; ++n)
        if (lanes >> n & 1) bits |= static_cast<unsigned>((current - lane() + n)->slots[turn][0]) << n;
    return bits;
}

}  // namespace emulator
