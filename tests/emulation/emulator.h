// CUDA on a CPU, to run the package's own sources: each thread of a block in an order that a seed decides.
//
// Threads of a source without barriers are run one after the other, of all blocks in one mixture. Where there are
// barriers, clusters of blocks come one after the other, or all blocks go on together. What is asked of arguments is
// checked: their number, their kinds, their dtypes.
#pragma once
#define EMULATED 1

#include <cmath>
#include <type_traits>
#include <utility>

#include "interface.h"

#define __device__
#define __global__
#define __launch_bounds__(...)
#define __cluster_dims__(...)
// A section of their own, so that a block finds the shared arrays full of NaN and not of what the last one has left.
#define __shared__ static __attribute__((section("shared_arrays")))

namespace emulator {

// An argument as Python gives it: kind is p (an array, whose dtype is ``letter``), i or d, and value its eight bytes;
// or t, a tuple, and value the place of ``count`` arguments.
struct Argument {
    char kind, letter;
    int count;
    std::uint64_t value;
};

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

template <std::size_t, class T>
struct Slot {
    T value;
};

// A kernel and its arguments; a std::tuple of so many would take the compiler most of its time.
template <class, class...>
struct Call;

template <std::size_t... n, class... Parameters>
struct Call<std::index_sequence<n...>, Parameters...> : Slot<n, Parameters>... {
    void (*kernel)(Parameters...);

    Call(void (*kernel)(Parameters...), const Argument* a)
        : Slot<n, Parameters>{Take<Parameters>::from(a[n], n)}..., kernel(kernel) {}

    static void once(void* of) {
        const Call& call = *static_cast<Call*>(of);
        call.kernel(static_cast<const Slot<n, Parameters>&>(call).value...);
    }
};

// Run a kernel; what is wrong, or null.
template <class... Parameters>
const char* launch(void (*kernel)(Parameters...), const Argument* arguments, int count, const Grid& grid) {
    problem[0] = 0;
    if (count != sizeof...(Parameters)) {
        complain("there are %d arguments, the kernel takes %d", count, static_cast<int>(sizeof...(Parameters)));
        return problem;
    }
    if (grid.blocks < 1 || grid.threads < 1 || grid.threads > grid.most_threads)
        complain("a grid of %lld blocks of %d threads, of at most %d", grid.blocks, grid.threads, grid.most_threads);
    if (grid.blocks % grid.cluster) complain("a grid of %lld blocks in clusters of %d", grid.blocks, grid.cluster);
    Call<std::index_sequence_for<Parameters...>, Parameters...> call(kernel, arguments);
    if (!problem[0]) run(grid, call.once, &call);
    return problem[0] ? problem : nullptr;
}

}  // namespace emulator

#include "builtins.h"
