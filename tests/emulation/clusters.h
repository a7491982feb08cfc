// block.cuh and cluster.cuh on a CPU: what they promise, and complaints of what is left undefined there.
#pragma once

#include "barriers.h"

namespace emulator {

// A place in this block's shared memory, of so many bytes and a multiple of them; anything else ends the run.
static char* shared_place(const void* p, std::size_t bytes, const char* where) {
    char *place = static_cast<char*>(const_cast<void*>(p)), *begin = here().given, *end = begin + given_bytes;
    if (is_array(place)) begin = &__start_shared_arrays, end = &__stop_shared_arrays;
    if (place < begin || place + bytes > end || reinterpret_cast<std::uintptr_t>(place) % bytes) {
        complain("%s in block %u: no place for %zu bytes of its shared memory, at byte %td of %td", where,
                 here().index, bytes, place - begin, end - begin);
        give_up();
    }
    return place;
}

// The same place as another block of the cluster sees it.
static char* place_in(unsigned block, char* place) {
    return is_array(place) ? place : blocks[block].given + (place - here().given);
}

static Phase begun(unsigned block, char* place, const char* where) {
    const Phase phase = phase_of(block, place);
    if (phase.kind != BEGUN && phase.kind != KNOWN) {
        complain("%s at a barrier of block %u that has not begun", where, blocks[block].index);
        give_up();
    }
    return phase;
}

static void push(void* there, Barrier* barrier, int rank, const unsigned* words, unsigned bytes) {
    pause_sometimes();
    Late it{};
    it.bytes = bytes, it.place = shared_place(there, bytes, "push"), it.barrier = shared_place(barrier, 8, "push");
    if (rank < 0 || rank >= static_cast<int>(cluster_size)) {
        complain("push from block %u to number %d of %u", here().index, rank, cluster_size);
        give_up();
    }
    it.block = current->block - here().rank + rank;
    Block& block = blocks[it.block];
    it.place = place_in(it.block, it.place), it.barrier = place_in(it.block, it.barrier);
    if (block.ended == threads) complain("push to block %u, which has ended", block.index);
    if (begun(it.block, it.barrier, "push").kind != KNOWN && &block != &here())
        complain("push to block %u, whose barrier has had no barrier_fence", block.index);
    memcpy(it.data, words, bytes);
    ++block.under_way;
    late.push_back(it);
}

}  // namespace emulator

unsigned char* shared_memory() { return reinterpret_cast<unsigned char*>(emulator::here().given); }

int cluster_rank() { return static_cast<int>(emulator::here().rank); }

void cluster_meet() {
    using namespace emulator;
    const unsigned first = current->block - here().rank, end = first + cluster_size;
    meet_at(cluster_meetings[first / cluster_size], threads * cluster_size, "cluster_meet", first, end);
}

void meet(int id, int threads) {
    using namespace emulator;
    if (id < 1 || id > 15 || threads < 32 || threads % 32 || threads > static_cast<int>(emulator::threads)) {
        complain("meet(%d, %d) in a block of %u", id, threads, emulator::threads);
        give_up();
    }
    meet_at(here().meetings[id], threads, "meet", current->block, current->block + 1);
}

void barrier_begin(Barrier* b, int count) {
    using namespace emulator;
    char* place = shared_place(b, 8, "barrier_begin");
    const unsigned kind = phase_of(current->block, place).kind;
    if (kind == BEGUN || kind == KNOWN) complain("a barrier of block %u has begun twice", here().index);
    if (count < 1 || count >= 1 << 20) complain("a barrier of block %u with a count of %d", here().index, count);
    Phase phase{};
    phase.count = phase.missing = count, phase.kind = BEGUN;
    keep(current->block, place, phase);
    unknown.emplace_back(current - fibers.data(), place);
}

void barrier_fence() {
    using namespace emulator;
    for (auto& [fiber, place] : unknown) {
        if (&fibers[fiber] != current) continue;
        Phase phase = phase_of(current->block, place);
        phase.kind = KNOWN;
        keep(current->block, place, phase);
        fiber = -1u;
    }
}

void barrier_expect(Barrier* b, int bytes) {
    using namespace emulator;
    pause_sometimes();
    char* place = shared_place(b, 8, "barrier_expect");
    Phase phase = begun(current->block, place, "barrier_expect");
    if (!phase.missing || bytes < 0) {
        complain("barrier_expect of %d bytes in block %u, in a phase that lacks %llu expectations", bytes, here().index,
                 static_cast<unsigned long long>(phase.missing));
        give_up();
    }
    --phase.missing;
    keep(current->block, place, phase);
    count_bytes(current->block, place, bytes);
}

void barrier_wait(Barrier* b, int parity) {
    using namespace emulator;
    pause_sometimes();
    char* place = shared_place(b, 8, "barrier_wait");
    if (parity != 0 && parity != 1) complain("barrier_wait for parity %d", parity);
    // Read anew each time, as there: whoever comes a whole phase late waits for the next one.
    while (static_cast<int>(begun(current->block, place, "barrier_wait").parity) == parity)
        wait(AT_BARRIER, "barrier_wait", place, parity);
}

void push16(void* there, Barrier* b, int rank, unsigned w0, unsigned w1, unsigned w2, unsigned w3) {
    const unsigned words[] = {w0, w1, w2, w3};
    emulator::push(there, b, rank, words, 16);
}
void push8(void* there, Barrier* b, int rank, unsigned w0, unsigned w1) {
    const unsigned words[] = {w0, w1};
    emulator::push(there, b, rank, words, 8);
}
void push4(void* there, Barrier* b, int rank, unsigned w0) { emulator::push(there, b, rank, &w0, 4); }
