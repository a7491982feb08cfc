// Rows walked by two threads, in all ways in which they may meet, and held to the walk of one; prints how it went, and
// how many steps both made.
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#define VECTOR_BYTES 16
#define TILE_ROWS 6
#include "pair.h"

namespace {

constexpr long D = 9, H = 96;
using Floats = std::vector<float>;

// A problem, and what a walk leaves.
struct Row {
    Floats x, Wx, Wh, Wc, b, h, c, keep, h_end, c_end, ys, states, saved;
    std::vector<unsigned char> mask;
    Forward<float> f{};

    Row(native::Kind kind, long T, bool plain) : h_end(H), c_end(H), ys(T * H), states((T + 1) * H), saved(T * H * 5) {
        unsigned seed = 1;
        const auto draw = [&](long count) {
            Floats numbers(count);
            for (float& one : numbers) one = float((seed = seed * 1103515245 + 12345) >> 8) / (1 << 26) - 0.125f;
            return numbers;
        };
        const long G = native::gates_of(kind) * H;
        x = draw(T * D), Wx = draw(D * G), Wh = draw(H * G), Wc = draw(3 * H), b = draw(G);
        h = draw(H), c = draw(H), keep = draw(H);
        for (long t = 0; t < T; t++) mask.push_back(t % 7 != 3);
        f.kind = kind, f.threads = 2, f.reverse = !plain, f.steps = T, f.batch = 1, f.features = D, f.hidden = H;
        f.x = x.data(), f.x_step = f.x_row = D;
        f.Wx = Wx.data(), f.Wh = Wh.data(), f.Wc = Wc.data(), f.bx = b.data(), f.bh = b.data();
        f.h = h.data(), f.c = c.data();
        f.h_end = h_end.data(), f.c_end = c_end.data(), f.ys = ys.data();
        if (plain) return;
        f.mask = mask.data(), f.mask_step = f.mask_row = 1;
        f.keep = keep.data(), f.states = states.data(), f.saved = saved.data();
    }

    bool left_as(const Row& other) const {
        const auto same = [](const Floats& a, const Floats& b) {
            return !std::memcmp(a.data(), b.data(), a.size() * sizeof(float));
        };
        return same(h_end, other.h_end) && same(c_end, other.c_end) && same(ys, other.ys) &&
               same(states, other.states) && same(saved, other.saved);
    }
};

void hold_to(int core) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    pthread_setaffinity_np(pthread_self(), sizeof one, &one);
}

void sleep_ms(long count) { usleep(count * 1000); }

using Lead = std::function<long()>;
using Follow = std::function<void()>;

// How a thread that leads and one that follows meet; whether it came to what was to be, as the system may have it
// otherwise.
struct Meeting {
    const char* name;
    long steps;
    std::function<long(Lead, Follow)> meet;
    bool (*came)(long both);
};

// Walk a row as a meeting has it, again if need be, and say how it went.
template <class Cell>
void go(const Meeting& meeting, native::Kind kind, bool plain) {
    Row wanted(kind, meeting.steps, plain);
    const RowWeights<Cell, float> weights(wanted.f);
    RowWalk<Cell, float>(wanted.f, weights, 0).run();
    bool came = false, same = true;
    long both = 0;
    for (int tries = 0; !came && tries < 50; tries++) {
        Row row(kind, meeting.steps, plain);
        Pair<Cell, float> pair(row.f);
        native::found_slower_together({});
        both = meeting.meet([&] { return pair.lead(); }, [&] { pair.follow(); });
        came = meeting.came(both), same = same && row.left_as(wanted);
    }
    const char* how = !same ? "differs" : came ? "well" : "otherwise";
    std::printf("%s %s %ld of %ld\n", meeting.name, how, both, meeting.steps);
}

}  // namespace

// Two cores, and whether threads may be interrupted, are the arguments.
int main(int, char** arguments) {
    const int here = std::atoi(arguments[1]), there = std::atoi(arguments[2]);
    hold_to(here);
    const auto begin = [](int core, long wait_there, long wait_here) {
        return [=](Lead lead, Follow follow) {
            std::thread other([&] { hold_to(core), sleep_ms(wait_there), follow(); });
            sleep_ms(wait_here);
            const long both = lead();
            other.join();
            return both;
        };
    };
    const auto behind = [](Lead lead, Follow follow) {
        const long both = lead();
        follow();
        return both;
    };
    const auto interrupted = [=](Lead lead, Follow follow) {
        std::thread other([&] { hold_to(there), follow(); });
        std::thread third([&] { hold_to(there), sleep_ms(2), pthread_kill(other.native_handle(), SIGUSR1); });
        const long both = lead();
        third.join(), other.join();
        return both;
    };
    const auto none = [](long both) { return both == 0; };
    const auto some = [](long both) { return both > 0; };
    const auto until_slower = [](long both) { return both > 0 && both < 19000 && native::slower_together(); };
    std::vector<Meeting> meetings = {
        {"behind", 300, behind, none},
        {"before", 900, begin(there, 0, 20), some},
        {"meanwhile", 3000, begin(there, 1, 0), some},
        {"beneath", 300, begin(here, 0, 20), none},  // on one core
    };
    for (long steps : {4, 5}) {
        const Row row(native::Kind::lstm, steps, true);
        const bool right = Pair<Memory<false>, float>::suits(row.f) == (steps > 4);
        std::printf("%ld-steps %s\n", steps, right ? "well" : "otherwise");
    }
    std::signal(SIGUSR1, [](int) { sleep_ms(100); });
    if (std::atoi(arguments[3])) meetings.push_back({"interrupted", 20000, interrupted, until_slower});
    for (const Meeting& meeting : meetings)
        for (bool plain : {true, false}) {
            go<Memory<false>>(meeting, native::Kind::lstm, plain);
            go<Memory<true>>(meeting, native::Kind::peephole_lstm, plain);
            go<Gated>(meeting, native::Kind::gru, plain);
        }
}
