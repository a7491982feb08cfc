// Memory and threads.
#include <cstdlib>
#include <exception>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "interface.h"

namespace native {

constexpr std::size_t LINE = 64;

void* allocate(std::size_t bytes) { return ::operator new(bytes, std::align_val_t(LINE)); }

void release(void* memory) { ::operator delete(memory, std::align_val_t(LINE)); }

void in_parallel(int count, void (*work)(const void* what, int which), const void* what) {
    if (count == 1) return work(what, 0);
    std::vector<std::exception_ptr> failures(count);
    const auto guarded = [&](int which) {
        try {
            work(what, which);
        } catch (...) {
            failures[which] = std::current_exception();
        }
    };
    std::vector<std::thread> others;
    others.reserve(count);
    for (int which = 1; which < count; which++) {
        try {
            others.emplace_back(guarded, which);
        } catch (const std::system_error&) {  // no thread to be had: it takes longer
            guarded(which);
        }
    }
    guarded(0);
    for (std::thread& other : others) other.join();
    for (const std::exception_ptr& failure : failures)
        if (failure) std::rethrow_exception(failure);
}

}  // namespace native
