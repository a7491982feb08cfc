// The threads of all blocks that are alive at once, each a fiber: whoever may go on is drawn by lot, whole warps are
// made to wait for long, and what is written for others arrives late and in no order. When nobody may go on, that is an
// error.
#pragma once

#include "interface.h"

#include <csetjmp>
#include <ucontext.h>

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

namespace emulator {

// Where so many threads wait until all of them have come.
struct Meeting {
    int come = 0, wanted = 0;
};

enum Kind { NOWHERE, AT_WARP, AT_MEETING, AT_BARRIER, AT_FLAG };

// A thread. It lives on from block to block: to begin anew takes calls of the system.
struct Fiber {
    jmp_buf place;
    std::unique_ptr<char[]> stack;
    bool begun = false, in_vain = false;
    unsigned block = 0, number = 0;
    // What it waits for, and how often it has come to where others come too.
    Kind kind = NOWHERE;
    const char* where = nullptr;
    const void* object = nullptr;
    unsigned value = 0, meetings = 0;
    std::uint64_t slots[2][4];  // what the other lanes of its warp read, this time and the last time
};

// Each bit is a lane.
struct Warp {
    unsigned all, ready, come, ended;
    bool held;
};

struct Free {
    void operator()(char* memory) const { free(memory); }
};

struct Block {
    unsigned index = 0, rank = 0, ended = 0, under_way = 0;
    Meeting meetings[16];
    std::vector<char> arrays;  // its own __shared__ ones, while those of another block are in their place
    std::unique_ptr<char, Free> memory;  // what the launch gives it, with margins
    std::size_t size = 0;
    char* given = nullptr;
};

// What is on its way: to global memory, or to a block, whose barrier then counts its bytes.
struct Late {
    char data[16];
    unsigned bytes, from, meetings;
    int block;
    char *place, *barrier;
};

Place thread_place, block_place, block_size, grid_size;
static std::vector<Fiber> fibers;
static std::vector<Warp> warps;
static std::vector<Block> blocks;
static std::vector<Late> late;
static std::vector<Meeting> cluster_meetings;
static std::vector<std::pair<unsigned, char*>> unknown;  // barriers that have begun, each with the thread that began it
static unsigned threads, block_warps, cluster_size;
static std::size_t given_bytes;
static jmp_buf scheduler;
static Fiber* current = nullptr;
static unsigned in_place = 0;  // the block whose arrays are in their place
static std::uint64_t dice = 1, reads = 0;
char problem[2000];

static std::uint64_t roll(std::uint64_t sides) {
    dice ^= dice << 13, dice ^= dice >> 7, dice ^= dice << 17;
    return dice % sides;
}

static void add_to_problem(const char* format, va_list rest) {
    const std::size_t length = strlen(problem);
    vsnprintf(problem + length, sizeof problem - length, format, rest);
}
void complain(const char* format, ...) {
    if (problem[0]) return;
    va_list rest;
    va_start(rest, format);
    add_to_problem(format, rest);
    va_end(rest);
}
static void complain_more(const char* format, ...) {
    va_list rest;
    va_start(rest, format);
    add_to_problem(format, rest);
    va_end(rest);
}

extern "C" char __start_shared_arrays __attribute__((weak)), __stop_shared_arrays __attribute__((weak));

static std::size_t array_bytes() { return &__start_shared_arrays ? &__stop_shared_arrays - &__start_shared_arrays : 0; }

static Block& here() { return blocks[current->block]; }
static Warp& warp_of(const Fiber& f) { return warps[f.block * block_warps + f.number / 32]; }
static unsigned bit_of(const Fiber& f) { return 1u << f.number % 32; }
int lane() { return static_cast<int>(current->number % 32); }

// Others go on, and this thread some time later.
static void pause() {
    if (!_setjmp(current->place)) _longjmp(scheduler, 1);
}
static void pause_sometimes() {
    if (!roll(4)) pause();
}

static void wait(Kind kind, const char* where, const void* object = nullptr, unsigned value = 0) {
    current->kind = kind, current->where = where, current->object = object, current->value = value, reads = 0;
    warp_of(*current).ready &= ~bit_of(*current);
    pause();
}

static void wake(Fiber& f) {
    f.kind = NOWHERE;
    warp_of(f).ready |= bit_of(f);
}

// What went wrong leaves nothing to go on with.
[[noreturn]] static void give_up() {
    current->begun = false;
    _longjmp(scheduler, 1);
}

// All lanes of the warp meet. Theirs is the slot ``turn`` of what they show each other, until they meet after the next
// time.
unsigned meet_in_warp(const char* where) {
    Warp& warp = warp_of(*current);
    const unsigned turn = current->meetings++ & 1;
    warp.come |= bit_of(*current);
    if (warp.come != warp.all) {
        wait(AT_WARP, where);
        return turn;
    }
    Fiber* first = current - lane();
    for (unsigned n = 0; n < 32 && warp.all >> n; ++n) {
        if (&first[n] == current) continue;
        if (first[n].where != where && strcmp(first[n].where, where))
            complain("lanes of a warp of block %u are at %s and at %s", here().index, first[n].where, where);
        wake(first[n]);
    }
    warp.come = 0;
    pause_sometimes();
    return turn;
}

// So many threads of these blocks meet, whole warps of them.
static void meet_at(Meeting& meeting, int wanted, const char* where, unsigned first, unsigned last) {
    if (meeting.come && meeting.wanted != wanted)
        complain("%s in block %u with %d threads, and with %d", where, here().index, meeting.wanted, wanted);
    meeting.wanted = wanted, reads = 0;
    current->meetings += 2;
    if (++meeting.come < wanted) return wait(AT_MEETING, where, &meeting, wanted);
    meeting.come = 0;
    current->kind = AT_MEETING, current->object = &meeting;
    for (unsigned w = first * block_warps; w < last * block_warps; ++w) {
        Fiber* f = &fibers[w / block_warps * threads + w % block_warps * 32];
        unsigned come = 0;
        for (unsigned n = 0; n < 32 && warps[w].all >> n; ++n) {
            if (f[n].kind != AT_MEETING || f[n].object != &meeting) continue;
            come |= 1u << n;
            wake(f[n]);
        }
        if (come && come != warps[w].all)
            complain("%s in block %u without some lanes of a warp", where, blocks[w / block_warps].index);
    }
    pause();
}

static void (*body)(void*);
static void* body_of;

static void live() {
    for (;;) {
        body(body_of);
        Warp& warp = warp_of(*current);
        warp.ready &= ~bit_of(*current), warp.ended |= bit_of(*current);
        reads = 0;
        if (++here().ended == threads && here().under_way)
            complain("block %u has ended, and %u pushes to it are under way", here().index, here().under_way);
        pause();
    }
}

// The __shared__ arrays of a block into their place.
static void place_arrays(unsigned block) {
    const std::size_t size = array_bytes();
    if (block == in_place || !size) return;
    memcpy(blocks[in_place].arrays.data(), &__start_shared_arrays, size);
    memcpy(&__start_shared_arrays, blocks[block].arrays.data(), size);
    in_place = block;
}

static void go_on(Fiber& f) {
    current = &f;
    thread_place.x = f.number, block_place.x = blocks[f.block].index;
    place_arrays(f.block);
    if (_setjmp(scheduler)) return;
    if (f.begun) _longjmp(f.place, 1);
    f.begun = true;
    const std::size_t size = 64 << 10;
    if (!f.stack) f.stack.reset(new char[size]);
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = f.stack.get();
    context.uc_stack.ss_size = size;
    context.uc_link = nullptr;
    makecontext(&context, live, 0);
    setcontext(&context);
}

}  // namespace emulator
