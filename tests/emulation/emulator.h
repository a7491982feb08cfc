// CUDA on a CPU, to run the package's own sources: each thread of a block in an order that a seed decides.
//
// Threads of a source without barriers are run one after the other, of all blocks in one mixture. Where there are
// barriers, blocks come one after the other, and a thread is a fiber: whoever may go on is drawn by lot each time, and
// when nobody may, that is an error. What is asked of arguments is checked: their number, their kinds, their dtypes.
#pragma once
#define EMULATED 1

#include <csetjmp>
#include <ucontext.h>

#include <cmath>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#define __device__
#define __global__
#define __launch_bounds__(...)
// A section of their own, so that a block finds the shared arrays full of NaN and not of what the last one has left.
#define __shared__ static __attribute__((section("shared_arrays")))

namespace emulator {

struct Place {
    unsigned x = 0, y = 0, z = 0;
};

// An argument as Python gives it: kind is p (an array, whose dtype is ``letter``), i or d, and value its eight bytes;
// or t, a tuple, and value the place of ``count`` arguments.
struct Argument {
    char kind, letter;
    int count;
    std::uint64_t value;
};

enum State { READY, AT_BLOCK, AT_WARP, DONE };

// A thread of a block. It lives on from block to block: to begin anew takes calls of the system.
struct Fiber {
    jmp_buf place;
    bool begun = false;
    std::vector<char> stack;
    State state = DONE;
    std::uint64_t slot = 0;  // what the other lanes of its warp read
};

static Place thread_place, block_place, block_size, grid_size;
static Fiber fibers[1024];
static unsigned count;
static jmp_buf scheduler;
static Fiber* current = nullptr;
static std::uint64_t dice = 1;
static char problem[256];

static std::uint64_t roll(std::uint64_t sides) {
    dice ^= dice << 13, dice ^= dice >> 7, dice ^= dice << 17;
    return dice % sides;
}

static void complain(const char* format, ...) {
    if (problem[0]) return;
    va_list rest;
    va_start(rest, format);
    vsnprintf(problem, sizeof problem, format, rest);
    va_end(rest);
}

static void wait(State state) {
    current->state = state;
    if (!_setjmp(current->place)) _longjmp(scheduler, 1);
}

static void (*body)(void*);
static void* body_of;

static void live() {
    for (;;) {
        body(body_of);
        wait(DONE);
    }
}

static void go_on(unsigned n) {
    current = &fibers[n];
    thread_place.x = n;
    if (_setjmp(scheduler)) return;
    if (current->begun) _longjmp(current->place, 1);
    current->begun = true;
    current->stack.resize(64 << 10);
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = current->stack.data();
    context.uc_stack.ss_size = current->stack.size();
    context.uc_link = nullptr;
    makecontext(&context, live, 0);
    setcontext(&context);
}

// Whoever waits together goes on together: a block of which all wait, a warp of which all wait.
static bool release() {
    bool any = false, whole = true;
    for (unsigned n = 0; n < count; ++n) whole = whole && fibers[n].state == AT_BLOCK;
    for (unsigned first = 0; first < count; first += whole ? count : 32) {
        const unsigned last = whole || count < first + 32 ? count : first + 32;
        bool together = true;
        for (unsigned n = first; n < last; ++n) together = together && (whole || fibers[n].state == AT_WARP);
        for (unsigned n = first; together && n < last; ++n) fibers[n].state = READY;
        any = any || together;
    }
    return any;
}

extern "C" char __start_shared_arrays __attribute__((weak)), __stop_shared_arrays __attribute__((weak));

static void run_block(unsigned threads) {
    if (&__start_shared_arrays) memset(&__start_shared_arrays, 0xFF, &__stop_shared_arrays - &__start_shared_arrays);
    count = threads;
    for (unsigned n = 0; n < count; ++n) fibers[n].state = READY;
    std::vector<unsigned> ready;
    for (;;) {
        ready.clear();
        unsigned done = 0;
        for (unsigned n = 0; n < threads; ++n) {
            if (fibers[n].state == READY) ready.push_back(n);
            done += fibers[n].state == DONE;
        }
        if (done == threads) return;
        if (ready.empty()) {
            if (release()) continue;
            complain("deadlock in block %u: %u of %u threads have ended, the others wait", block_place.x, done, count);
            for (Fiber& f : fibers) f.begun = false;
            return;
        }
        // Each who may go on does so once, in a new order.
        for (std::size_t left = ready.size(); left > 0; --left) {
            std::swap(ready[roll(left)], ready[left - 1]);
            go_on(ready[left - 1]);
        }
    }
}

static void run(long long blocks, int threads, bool barriers, std::uint64_t seed, void (*what)(void*), void* of) {
    dice = seed * 0x9E3779B97F4A7C15u | 1, body = what, body_of = of;
    block_size.x = threads, grid_size.x = blocks;
    std::vector<long long> order(barriers ? blocks : blocks * threads);
    for (std::size_t n = 0; n < order.size(); ++n) order[n] = n;
    for (std::size_t left = order.size(); left > 0; --left) {
        std::swap(order[roll(left)], order[left - 1]);
        const long long n = order[left - 1];
        block_place.x = barriers ? n : n / threads;
        if (barriers) {
            run_block(threads);
        } else {
            thread_place.x = n % threads;
            what(of);
        }
    }
}

template <class T>
constexpr char letter_of() {
    if (std::is_same<T, float>::value) return 'f';
    if (std::is_same<T, double>::value) return 'd';
    if (std::is_same<T, bool>::value) return '?';
    if (std::is_same<T, int>::value) return 'i';
    if (std::is_same<T, long long>::value) return 'q';
    if (std::is_same<T, unsigned>::value) return 'I';
    if (std::is_same<T, unsigned long long>::value) return 'Q';
    if (std::is_same<T, unsigned char>::value) return 'B';
    return sizeof(T) == 2 ? 'H' : 'x';  // what is stored in 16 bits
}

// One argument as the kernel's parameter takes it.
template <class T, class = void>
struct Take {
    static T from(const Argument& a, int number) {
        static_assert(sizeof(T) == 8, "numbers are long long or double: CuPy gives no others");
        const char kind = std::is_same<T, double>::value ? 'd' : 'i';
        if (a.kind != kind) complain("argument %d is of kind %c, the kernel takes %c", number, a.kind, kind);
        T value;
        memcpy(&value, &a.value, 8);
        return value;
    }
};

template <class T>
struct Take<T*, void> {
    static T* from(const Argument& a, int number) {
        const char wanted = letter_of<typename std::remove_cv<T>::type>();
        const bool null = a.kind == 'i' && a.value == 0, half = wanted == 'H' && a.letter == 'e';
        if (!null && (a.kind != 'p' || (a.letter != wanted && !half)))
            complain("argument %d is %c of %c, the kernel takes an array of %c", number, a.kind, a.letter, wanted);
        return reinterpret_cast<T*>(a.value);
    }
};

// A struct of one array ``of`` pointers or numbers, which CuPy gives by value.
template <class T>
struct Take<T, decltype(static_cast<void>(T::of))> {
    static T from(const Argument& a, int number) {
        typedef typename std::remove_all_extents<decltype(T::of)>::type Each;
        const int wanted = sizeof(T) / sizeof(Each);
        T values{};
        if (a.kind != 't' || a.count != wanted) {
            complain("argument %d is %d of kind %c, the kernel takes a tuple of %d", number, a.count, a.kind, wanted);
            return values;
        }
        for (int n = 0; n < wanted; ++n) {
            const Each each = Take<Each>::from(reinterpret_cast<const Argument*>(a.value)[n], number);
            memcpy(reinterpret_cast<char*>(&values) + n * sizeof each, &each, sizeof each);
        }
        return values;
    }
};

template <class... Parameters>
struct Call {
    void (*kernel)(Parameters...);
    std::tuple<Parameters...>* values;

    template <std::size_t... n>
    static std::tuple<Parameters...> taken(const Argument* a, std::index_sequence<n...>) {
        return std::tuple<Parameters...>{Take<Parameters>::from(a[n], n)...};
    }

    static void once(void* of) {
        const Call& call = *static_cast<Call*>(of);
        std::apply(call.kernel, *call.values);
    }
};

// Run a kernel; what is wrong, or null.
template <class... Parameters>
const char* launch(void (*kernel)(Parameters...), const Argument* arguments, int count, long long blocks, int threads,
                   bool barriers, std::uint64_t seed) {
    problem[0] = 0;
    if (count != sizeof...(Parameters)) {
        complain("there are %d arguments, the kernel takes %d", count, static_cast<int>(sizeof...(Parameters)));
        return problem;
    }
    if (blocks < 1 || threads < 1 || threads > 1024) complain("a grid of %lld blocks of %d threads", blocks, threads);
    auto values = Call<Parameters...>::taken(arguments, std::index_sequence_for<Parameters...>());
    Call<Parameters...> call{kernel, &values};
    if (!problem[0]) run(blocks, threads, barriers, seed, Call<Parameters...>::once, &call);
    return problem[0] ? problem : nullptr;
}

// A value of this thread for another lane of its warp.
template <class T>
T exchanged(T value, int lane) {
    const std::size_t me = current - fibers;
    memcpy(&current->slot, &value, sizeof value);
    wait(AT_WARP);
    T other;
    memcpy(&other, &fibers[me / 32 * 32 + (lane & 31)].slot, sizeof other);
    wait(AT_WARP);
    return other;
}

// The bits of all lanes of the warp.
static unsigned gathered(bool bit) {
    const Fiber* first = &fibers[(current - fibers) / 32 * 32];
    unsigned bits = 0;
    current->slot = bit;
    wait(AT_WARP);
    for (int lane = 0; lane < 32; ++lane) bits |= static_cast<unsigned>(first[lane].slot) << lane;
    wait(AT_WARP);
    return bits;
}

static int lane() { return static_cast<int>((current - fibers) % 32); }

}  // namespace emulator

#include "builtins.h"
