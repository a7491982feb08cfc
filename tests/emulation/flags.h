// flags.cuh on a CPU. What store_fresh16 writes arrives late, if nobody makes sure of it: whoever raises a flag does,
// for what it has written itself, and for what other threads of its block had written before they met somebody.
#pragma once

#include "barriers.h"

namespace emulator {

static void arrive_before_flag() {
    for (std::size_t n = late.size(); n > 0; --n) {
        const Late& it = late[n - 1];
        if (it.block >= 0) continue;
        const Fiber& writer = fibers[it.from];
        if (&writer == current || (writer.block == current->block && writer.meetings != it.meetings)) deliver(n - 1);
    }
}

}  // namespace emulator

void flag_raise(unsigned* flag, unsigned value) {
    using namespace emulator;
    pause_sometimes();
    arrive_before_flag();
    *flag = value;
    reads = 0;
    for (Fiber& f : fibers)
        if (f.kind == AT_FLAG && f.object == flag) wake(f);
    pause_sometimes();
}

unsigned flag_read(const unsigned* flag) {
    ++emulator::reads;
    emulator::pause();
    return *flag;
}

// The limit is reached when nobody else can go on.
bool flag_await(const unsigned* flag, unsigned value, long long limit) {
    using namespace emulator;
    pause_sometimes();
    if (limit < 1) return false;
    while (static_cast<int>(*flag - value) < 0) {
        wait(AT_FLAG, "flag_await", flag, value);
        if (current->in_vain && static_cast<int>(*flag - value) < 0) return current->in_vain = false;
        current->in_vain = false;
    }
    return true;
}

uint4 load_fresh16(const void* p) {
    using namespace emulator;
    pause_sometimes();
    for (std::size_t n = late.size(); n > 0; --n)
        if (&fibers[late[n - 1].from] == current && late[n - 1].place == p) deliver(n - 1);
    uint4 words;
    memcpy(&words, p, 16);
    return words;
}

void store_fresh16(void* p, uint4 words) {
    using namespace emulator;
    pause_sometimes();
    if (reinterpret_cast<std::uintptr_t>(p) % 16) complain("store_fresh16 to no multiple of 16 bytes");
    Late it{};
    memcpy(it.data, &words, 16);
    it.bytes = 16, it.block = -1, it.place = static_cast<char*>(p);
    it.from = current - fibers.data(), it.meetings = current->meetings;
    late.push_back(it);
}
