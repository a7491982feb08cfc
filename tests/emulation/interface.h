// What a source sees of the CPU that it runs on: the names of CUDA and of the package's headers that need a GPU.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

struct alignas(8) uint2 {
    unsigned x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};

// block.cuh, cluster.cuh
struct Barrier {
    unsigned long long state;
};
unsigned char* shared_memory();
void meet(int id, int threads);
int cluster_rank();
void cluster_meet();
void barrier_begin(Barrier* b, int count);
void barrier_fence();
void barrier_expect(Barrier* b, int bytes);
void barrier_wait(Barrier* b, int parity);
void push16(void* there, Barrier* b, int rank, unsigned w0, unsigned w1, unsigned w2, unsigned w3);
void push8(void* there, Barrier* b, int rank, unsigned w0, unsigned w1);
void push4(void* there, Barrier* b, int rank, unsigned w0);

// tensor.cuh
void multiply_tf32(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1);
void multiply_bf16(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1);
unsigned to_tf32(float x);
unsigned two_bf16(float low, float high);

// flags.cuh
void flag_raise(unsigned* flag, unsigned value);
unsigned flag_read(const unsigned* flag);
bool flag_await(const unsigned* flag, unsigned value, long long limit);
uint4 load_fresh16(const void* p);
void store_fresh16(void* p, uint4 words);

namespace emulator {

struct Place {
    unsigned x = 0, y = 0, z = 0;
};
extern Place thread_place, block_place, block_size, grid_size;

// How a kernel is launched; ``cluster`` blocks are alive together, or all of them.
struct Grid {
    long long blocks;
    int threads;
    bool meets;  // whether threads wait for each other at all
    std::uint64_t seed;
    long long shared;
    bool together;
    int cluster, most_threads;
};

// Run what each thread does; what is wrong is in ``problem``.
void run(const Grid& grid, void (*what)(void*), void* of);
extern char problem[2000];
void complain(const char* format, ...);

int lane();
void meet_in_block();
unsigned meet_in_warp(const char* where);
void exchange(void* value, std::size_t bytes, int lane, const char* where);
unsigned ballot(bool condition);

}  // namespace emulator
