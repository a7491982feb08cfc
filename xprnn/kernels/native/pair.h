// The walk over time for one row by two threads: each has the weights of half of the units in its own caches.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "single.h"

namespace {

// At every step each thread needs the other's half of h, and waits for it. It comes out of the other core's cache line
// by line, so each line says after how many steps it is h: with that in a line of its own, a thread would wait for that
// one first, and then for those of h.
//
// The second thread may come late, or never: until it is there the first does all units, with the same numbers, and
// again from where that turns out to be faster: another process may have the second one's core, or the two cores may be
// far from each other.
//
// The second lays out its weights and says on which ``core`` it is. The first looks for that where u is to be made
// anew, so that all make it for the same steps, and says in ``met`` where both begin. Where u is to be made again, the
// first may say that they have ``parted`` there, before it sends its half.
template <class Cell, class Real>
class Pair {
  public:
    explicit Pair(const Forward<Real>& f)
        : f(f), half(half_of(f.hidden)), patience(64 + products_of(f) / 64), all(f), own(f, 0, half), alone(f, all, 0),
          first(f, own, 0), most(letters_for(half < f.hidden - half ? f.hidden - half : half)),
          letters(new Letter[4 * most]) {}

    // Whether the weights are worth laying out, and there are units enough: for each half to fill lines of a cache, for
    // sums in the order of all units' sums, and for products that take longer than what one thread has written takes to
    // come to the other.
    static bool suits(const Forward<Real>& f) {
        const long half = half_of(f.hidden), least = smaller(half, f.hidden - half);
        return !Cell::two_steps && f.steps > RowWeights<Cell, Real>::FEW_STEPS && products_of(f) >= 10000 &&
               Cell::recurrents * least > (ALIKE - 1) * LANES<Real>;
    }

    // All steps, on this thread and on that which calls ``follow`` meanwhile -> how many of them both made.
    long lead() {
        const Time start = Clock::now();
        long n = 0;
        for (alone.begin(); n < f.steps && !(n && alone.between(n) && beside()); n++) alone.step(n), alone.give(n);
        const long begin = n;
        met.store(begin, std::memory_order_release);
        if (n < f.steps) n = together(first, 0, n, (Clock::now() - start) / n);
        if (begin < f.steps) native::found_slower_together(lost);
        const long end = n;
        for (alone.go_on(n); n < f.steps; n++) alone.step(n), alone.give(n);
        alone.end();
        return end - begin;
    }

    void follow() {
        if (met.load(std::memory_order_relaxed) == f.steps) return;
        const RowWeights<Cell, Real> own(f, half, f.hidden - half);
        RowWalk<Cell, Real> second(f, own, 0);
        core.store(native::current_core(), std::memory_order_release);
        await(met, 0);
        together(second, 1, met.load(std::memory_order_relaxed), {});
    }

  private:
    using Clock = std::chrono::steady_clock;
    using Time = Clock::time_point;
    static constexpr long LINE = 64, LINES = 2 * LINE;  // of a cache, and as some processors fetch them
    static constexpr std::chrono::microseconds MAY_BE_LOST{100};
    static constexpr int ABSENT = -2;
    static_assert(LINES % (PANEL<Real> * sizeof(Real)) == 0, "halves have the panels that all units have");

    // The numbers of some units of h, and after how many steps they are that, in one line.
    static constexpr long IN_A_LETTER = (VECTOR_BYTES < LINE / 2 ? VECTOR_BYTES : LINE / 2) / long(sizeof(Real));
    struct alignas(LINE) Letter {
        Real numbers[IN_A_LETTER];
        std::atomic<long> steps{0};
    };
    static long letters_for(long units) { return (units + IN_A_LETTER - 1) / IN_A_LETTER; }

    // The first thread's units, about half of them.
    static long half_of(long hidden) {
        constexpr long unit = LINES / long(sizeof(Real));
        return (hidden / 2 + unit / 2) / unit * unit;
    }

    static long products_of(const Forward<Real>& f) { return Cell::recurrents * f.hidden * f.hidden; }

    // Whether the other has come, and to another core.
    bool beside() const {
        const int other = core.load(std::memory_order_acquire);
        return other == native::NO_CORE || (other != ABSENT && other != native::current_core());
    }

    // One half of the steps from the n-th on -> where they part. The first knows how long a step took it alone, with
    // what was not in its caches yet.
    long together(RowWalk<Cell, Real>& walk, int which, long n, Clock::duration step_alone) {
        const Time start = Clock::now();
        const long begin = n;
        alone.hand_over(walk, n);
        walk.go_on(n);
        while (n < f.steps) {
            walk.step(n++);
            if (walk.between(n)) {
                walk.hand_over(alone, n);
                const Time late = start + (n - begin) * step_alone;
                if (which == 0 && Clock::now() > late + MAY_BE_LOST) {
                    lost = Clock::now() - late;
                    parted.store(n, std::memory_order_relaxed);
                }
            }
            send(which, n, walk.state(n));
            walk.give(n - 1);
            receive(!which, n, walk.state(n));
            if (parted.load(std::memory_order_relaxed) == n) break;
        }
        return n;
    }

    // The units of one thread, and its letters for h after n steps. They lie where those of two steps before did, which
    // the other has read when these are written: it has sent what it made of them.
    long begin_of(int which) const { return which ? half : 0; }
    long units_of(int which) const { return which ? f.hidden - half : half; }
    Letter* letters_of(int which, long n) const { return &letters[(2 * which + n % 2) * most]; }

    // One thread's part of h after n steps, to the other.
    void send(int which, long n, const Real* h) const {
        Letter* to = letters_of(which, n);
        const long count = letters_for(units_of(which));
        h += begin_of(which);
        for (long one = 0; one < count; one++, to++, h += IN_A_LETTER) {
            __builtin_memcpy(to->numbers, h, sizeof to->numbers);
            to->steps.store(n, std::memory_order_release);
        }
    }

    // The part that one thread sends, into the other's h.
    void receive(int which, long n, Real* h) const {
        const Letter* from = letters_of(which, n);
        const long count = letters_for(units_of(which));
        for (long one = 0; one < count; one++) __builtin_prefetch(from + one);
        h += begin_of(which);
        for (long one = 0; one < count; one++, from++, h += IN_A_LETTER) {
            await(from->steps, n);
            __builtin_memcpy(h, from->numbers, sizeof from->numbers);
        }
    }

    // Wait until another has come to step n, awake at first.
    void await(const std::atomic<long>& step, long n) const {
        for (long tries = 0; step.load(std::memory_order_acquire) < n; tries++) {
            if (tries < patience) pause();
            else std::this_thread::yield();
        }
    }

    // Be awake, without a thread beside this one on its core coming short.
    static void pause() {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
    }

    const Forward<Real>& f;
    const long half, patience;  // the units of the first thread; how often one looks for the other before it yields
    const RowWeights<Cell, Real> all, own;
    RowWalk<Cell, Real> alone, first;
    const long most;                          // so many letters a thread sends after a step, at most
    const std::unique_ptr<Letter[]> letters;  // (2, 2, most), each thread's, after even steps and after odd ones
    std::atomic<int> core{ABSENT};            // the second one's
    std::atomic<long> met{-1}, parted{-1};    // the steps that the second begins with, and ends before
    Clock::duration lost{0};                  // how much later they came there than one would have; the first's alone
};

}  // namespace
