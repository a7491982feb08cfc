// Who goes on: blocks are begun, their threads drawn by lot until all have ended, and whoever waits in vain is told.
#pragma once

#include "barriers.h"

namespace emulator {

#ifdef __SANITIZE_ADDRESS__
static const std::size_t margin = 0;  // each access outside is seen
#else
static const std::size_t margin = 1 << 12;
#endif

static void deliver(std::size_t n) {
    const Late it = late[n];
    late[n] = late.back(), late.pop_back();
    memcpy(it.block < 0 ? it.place : real_place(it.block, it.place), it.data, it.bytes);
    if (it.block < 0) return;
    --blocks[it.block].under_way;
    count_bytes(it.block, it.barrier, -static_cast<long long>(it.bytes));
}

// Who is made to wait for some time, and with what chance what is on its way arrives in a turn: one in so many.
static std::uint64_t turns, arrival;

static void draw() {
    static const unsigned chances[] = {1, 2, 8, 0};
    turns = 1 + roll(64), arrival = chances[roll(4)];
    const std::uint64_t way = roll(4), chosen = roll(warps.size());
    for (std::size_t n = 0; n < warps.size(); ++n)
        warps[n].held = way == 1   ? !roll(4)
                        : way == 2 ? n / block_warps == chosen / block_warps
                                   : way == 3 && n != chosen;
}

static void describe(const Fiber& f) {
    complain_more(" at %s", f.where);
    if (f.kind == AT_MEETING) {
        const Meeting* meeting = static_cast<const Meeting*>(f.object);
        complain_more(" of %d threads, where %d have come", meeting->wanted, meeting->come);
    }
    if (f.kind == AT_BARRIER) {
        char* place = static_cast<char*>(const_cast<void*>(f.object));
        const Phase phase = phase_of(f.block, place);
        const char* begin = is_array(place) ? &__start_shared_arrays : blocks[f.block].given;
        complain_more(" for parity %u, at byte %td of its %s, where %lld bytes and %llu expectations are missing",
                      f.value, place - begin, is_array(place) ? "own arrays" : "shared memory",
                      static_cast<long long>(phase.bytes), static_cast<unsigned long long>(phase.missing));
    }
}

static void tell_who_waits() {
    complain("deadlock");
    for (std::size_t b = 0, told = 0; b < blocks.size() && told < 4; ++b) {
        if (blocks[b].ended == threads) continue;
        complain_more("%s in block %u: %u of %u threads have ended, the others wait", told++ ? ";" : "",
                      blocks[b].index, blocks[b].ended, threads);
        for (unsigned n = 0, first = 0, parts = 0; n < threads; first = n) {
            const Fiber& f = fibers[b * threads + n];
            const bool waits = f.kind != NOWHERE;
            for (; n < threads; ++n) {
                const Fiber& g = fibers[b * threads + n];
                if ((g.kind != NOWHERE) != waits || (waits && (g.object != f.object || g.where != f.where))) break;
            }
            if (!waits || parts++ >= 4) continue;
            complain_more("%s %u to %u", parts > 1 ? "," : ":", first, n - 1);
            describe(f);
        }
    }
}

// One of those who wait for a flag has waited long enough.
static bool lose_patience() {
    const std::size_t start = roll(fibers.size());
    for (std::size_t n = 0; n < fibers.size(); ++n) {
        Fiber& f = fibers[(start + n) % fibers.size()];
        if (f.kind != AT_FLAG) continue;
        f.in_vain = true;
        wake(f);
        return true;
    }
    return false;
}

static void run_lanes(unsigned w) {
    unsigned lanes = warps[w].ready;
    if (!roll(4) && (lanes & dice)) lanes &= dice;  // not always the whole warp
    const unsigned start = roll(32), down = roll(2);
    for (unsigned n = 0; n < 32; ++n) {
        const unsigned lane = (down ? start - n : start + n) % 32;
        if (lanes >> lane & 1) go_on(fibers[w / block_warps * threads + w % block_warps * 32 + lane]);
    }
}

// Until all threads have ended, or something is wrong.
static void run_alive() {
    std::vector<unsigned> chosen;
    for (turns = 0; !problem[0]; --turns) {
        if (!turns) draw();
        if (reads > 1000000) return complain("flags are read in vain: use flag_await, which ends");
        bool any = false;
        chosen.clear();
        for (std::size_t w = 0; w < warps.size(); ++w) {
            any = any || warps[w].ready;
            if (warps[w].ready && !warps[w].held) chosen.push_back(w);
        }
        if (chosen.empty() && !late.empty()) {
            deliver(roll(late.size()));
            continue;
        }
        if (!any && !lose_patience()) {
            for (const Block& block : blocks)
                if (block.ended < threads) return tell_who_waits();
            return;
        }
        if (chosen.empty()) turns = 1;  // all who may go on are held
        for (std::size_t left = chosen.size(); left > 0; --left) {
            std::swap(chosen[roll(left)], chosen[left - 1]);
            run_lanes(chosen[left - 1]);
        }
        for (std::size_t n = late.size(); arrival && n > 0; --n)
            if (!roll(arrival)) deliver(n - 1);
    }
}

// What a launch gives a block, at a multiple of 128 and of no higher power of 2.
static void give(Block& block) {
    const std::size_t size = 128 + margin + given_bytes + margin;
    if (block.size != size) {
        void* memory = nullptr;
        if (posix_memalign(&memory, 256, size)) return complain("there is no memory for %zu bytes", size);
        block.memory.reset(static_cast<char*>(memory));
        block.size = size, block.given = block.memory.get() + 128 + margin;
    }
    memset(block.memory.get(), 0xFF, size);
}

static bool is_untouched(const char* first, const char* last) {
    for (; first < last; ++first)
        if (*first != '\xFF') return false;
    return true;
}

// So many blocks from number ``first`` on, with shared memory full of NaN.
static void begin(long long first, std::size_t count) {
    blocks.resize(count), warps.assign(count * block_warps, Warp());
    if (fibers.size() < count * threads) fibers.resize(count * threads);
    cluster_meetings.assign(count / cluster_size, Meeting());
    late.clear(), unknown.clear();
    in_place = 0, reads = 0;
    if (array_bytes()) memset(&__start_shared_arrays, 0xFF, array_bytes());
    for (std::size_t b = 0; b < count; ++b) {
        Block& block = blocks[b];
        block.index = first + b, block.rank = block.index % cluster_size, block.ended = block.under_way = 0;
        for (Meeting& meeting : block.meetings) meeting = Meeting();
        if (count > 1) block.arrays.assign(array_bytes(), '\xFF');
        if (given_bytes) give(block);
        for (unsigned n = 0; n < threads; ++n) {
            Fiber& f = fibers[b * threads + n];
            f.block = b, f.number = n, f.kind = NOWHERE, f.in_vain = false, f.meetings = 0;
            warps[b * block_warps + n / 32].all |= 1u << n % 32;
        }
    }
    for (Warp& warp : warps) warp.ready = warp.all;
}

static void end() {
    if (problem[0])
        for (Fiber& f : fibers) f.begun = false;
    while (!late.empty()) deliver(late.size() - 1);
    for (const Block& block : blocks) {
        const char* last = block.given + given_bytes;
        if (given_bytes && !(is_untouched(block.memory.get(), block.given) && is_untouched(last, last + margin)))
            complain("block %u writes beside its %zu bytes of shared memory", block.index, given_bytes);
    }
}

void run(const Grid& grid, void (*what)(void*), void* of) {
    dice = grid.seed * 0x9E3779B97F4A7C15u | 1, body = what, body_of = of;
    block_size.x = threads = grid.threads, grid_size.x = grid.blocks;
    block_warps = (threads + 31) / 32, cluster_size = grid.cluster, given_bytes = grid.shared;
    const long long alive = !grid.meets ? 1 : grid.together ? grid.blocks : grid.cluster;
    std::vector<long long> order(grid.meets ? grid.blocks / alive : grid.blocks * threads);
    for (std::size_t n = 0; n < order.size(); ++n) order[n] = n;
    for (std::size_t left = order.size(); left > 0 && !problem[0]; --left) {
        std::swap(order[roll(left)], order[left - 1]);
        const long long n = order[left - 1];
        if (grid.meets) {
            begin(n * alive, alive);
            run_alive();
            end();
        } else {
            block_place.x = n / threads, thread_place.x = n % threads;
            what(of);
        }
    }
}

}  // namespace emulator
