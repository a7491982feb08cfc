// Threads that last from call to call: to start one takes as long as many steps, and the system often leaves a new one
// on its maker's core for as long as a call lasts.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#ifndef _WIN32
#include <pthread.h>
#endif
#ifdef __linux__
#include <sched.h>
#endif

#include "interface.h"

namespace native {
namespace {

using Clock = std::chrono::steady_clock;

// The parts of one call's work; each is done once, by whoever is free.
struct Job {
    void (*const work)(const void* what, int which);
    const void* const what;
    const int count;
    int taken = 0;
    std::exception_ptr failure;
    std::atomic<int> done{0};
};

// Callers bring jobs, and do parts of their own ones until none is left; the threads help all of them.
class Team {
  public:
    void run(Job& job) {
        Held held(lock);
        hire(job.count - 1);
        make_room();
        jobs.push_back(&job);
        open++;
        for (int part = 1; part < job.count; part++) wanted.notify_one();
        while (job.taken < job.count) do_part(job, held);
        await(finished, held, [&] { return job.done == job.count; });
    }

  private:
    using Held = std::unique_lock<std::mutex>;
    static constexpr std::chrono::microseconds LINGER{200};

    // At least so many threads, or as many as the system gives: the caller does what nobody else does.
    void hire(int count) {
        try {
            while (int(threads.size()) < count) threads.emplace_back([this] { serve(); });
        } catch (const std::system_error&) {
        }
    }

    // Let the threads run wherever the caller may, but not on the core that it is on. On a virtual machine Linux takes
    // a core that sleeps for one that is gone, and wakes a thread beside who wakes it: it would wait for the caller's
    // part.
    void make_room() {
#ifdef __linux__
        cpu_set_t cores;
        const int here = sched_getcpu();
        if (here < 0 || sched_getaffinity(0, sizeof cores, &cores) || CPU_COUNT(&cores) < 2) return;
        CPU_CLR(here, &cores);
        if (placed == threads.size() && CPU_EQUAL(&cores, &room)) return;
        for (std::thread& one : threads) pthread_setaffinity_np(one.native_handle(), sizeof cores, &cores);
        room = cores, placed = threads.size();
#endif
    }

    [[noreturn]] void serve() {
        Held held(lock);
        for (;;) {
            await(wanted, held, [&] { return open > 0; });
            do_part(*jobs.front(), held);
        }
    }

    // The next part of a job, without the lock. After its last part a job may be gone.
    void do_part(Job& job, Held& held) {
        const int which = job.taken++;
        if (job.taken == job.count) {
            jobs.erase(std::find(jobs.begin(), jobs.end(), &job));
            open--;
        }
        held.unlock();
        std::exception_ptr failure;
        try {
            job.work(job.what, which);
        } catch (...) {
            failure = std::current_exception();
        }
        held.lock();
        if (failure) job.failure = failure;
        if (++job.done == job.count) finished.notify_all();
    }

    // Wait until something holds, awake at first: to fall asleep and be woken takes as long as a short part. Whoever
    // else wants the core has it meanwhile.
    template <class Condition>
    void await(std::condition_variable& signal, Held& held, Condition holds) {
        held.unlock();
        for (const auto end = Clock::now() + LINGER; !holds() && Clock::now() < end;) std::this_thread::yield();
        held.lock();
        signal.wait(held, holds);
    }

    std::mutex lock;  // of all that follows, and of what changes in a job; the atomic numbers may be read without it
    std::condition_variable wanted, finished;
    std::deque<Job*> jobs;      // those with parts that nobody has taken
    std::atomic<int> open{0};   // how many those are
    std::vector<std::thread> threads;
#ifdef __linux__
    cpu_set_t room{};        // where the first ``placed`` threads may run
    std::size_t placed = 0;
#endif
};

// Never destroyed: its threads wait for work for as long as the process lives.
Team* team = new Team;

#ifndef _WIN32
// In a child of fork there is none of the threads, so it has a team of its own.
[[maybe_unused]] const int watched = pthread_atfork(nullptr, nullptr, [] { team = new Team; });
#endif

// When threads were last slower together, and for how long that is believed: for TIMES_LOST times as long as what was
// lost, so that trying again costs little, and each time that it is found again, for twice as long as before.
constexpr int TIMES_LOST = 20;
constexpr Clock::duration LONGEST = std::chrono::seconds(3);
std::atomic<Clock::duration> found{Clock::duration(0)}, believed{Clock::duration(0)};

}  // namespace

bool slower_together() { return Clock::now().time_since_epoch() - found.load() < believed.load(); }

void found_slower_together(std::chrono::nanoseconds lost) {
    const auto longer = std::max<Clock::duration>(2 * believed.load(), TIMES_LOST * lost);
    believed = lost.count() ? std::min(longer, LONGEST) : Clock::duration(0);
    found = Clock::now().time_since_epoch();
}

int current_core() {
#ifdef __linux__
    return sched_getcpu();
#else
    return NO_CORE;
#endif
}

void in_parallel(int count, void (*work)(const void* what, int which), const void* what) {
    if (count == 1) return work(what, 0);
    Job job{work, what, count};
    team->run(job);
    if (job.failure) std::rethrow_exception(job.failure);
}

}  // namespace native
