// From a problem to the cell that solves it: threads, each with rows of its own, and the sum of what they found.
#pragma once

#include "backward.h"
#include "forward.h"
#include "pair.h"

namespace {

using native::Kind;

// Below so many multiplications a thread costs more than it brings.
constexpr double WORK_OF_A_THREAD = 4e6;

// The multiplications of all products there.
template <class Real>
double work_of(const native::Problem<Real>& p) {
    return double(p.steps) * p.batch * (p.features + p.hidden) * native::gates_of(p.kind) * p.hidden;
}

// How many threads a problem is worth: each has rows of its own.
template <class Real>
int threads_for(const native::Problem<Real>& p) {
    const double worth = work_of(p) / WORK_OF_A_THREAD;
    const long most = smaller(p.threads, p.batch);
    return int(worth < 1 ? 1 : worth < most ? worth : most);
}

// Work on an array of so many numbers, once over all of them, is shared from here on.
constexpr long NUMBERS_WORTH_SHARING = 1 << 17;

// Call work(part) for each of so many parts, each on a thread of its own.
template <class Work>
void in_parts(int count, const Work& work) {
    struct Parts {
        const Work& work;
        int count;
    };
    const Parts parts{work, count};
    native::in_parallel(count, [](const void* what, int which) {
        const Parts& parts = *static_cast<const Parts*>(what);
        parts.work(Part{which, parts.count});
    }, &parts);
}

// In how many parts something is done to all weights.
template <class Real>
int threads_for_weights(const native::Problem<Real>& p, int threads) {
    const long numbers = (p.features + p.hidden) * native::gates_of(p.kind) * p.hidden;
    return numbers < NUMBERS_WORTH_SHARING ? 1 : threads;
}

template <class Cell, class Real>
void forward(const Forward<Real>& f) {
    const int threads = threads_for(f);
    if (f.batch == 1 && f.threads > 1 && work_of(f) >= 2 * WORK_OF_A_THREAD && Pair<Cell, Real>::suits(f) &&
        !native::slower_together()) {
        Pair<Cell, Real> pair(f);
        return in_parts(2, [&](Part part) { part.which ? pair.follow() : void(pair.lead()); });
    }
    if (threads == f.batch) {  // each row has a thread of its own
        const RowWeights<Cell, Real> weights(f);
        return in_parts(threads, [&](Part part) { RowWalk<Cell, Real>(f, weights, part.which).run(); });
    }
    const Weights<Cell, Real> weights(f);
    in_parts(threads_for_weights(f, threads), [&](Part part) { weights.pack(part); });
    in_parts(threads, [&](Part part) {
        const long first = part.begin(f.batch);
        ForwardRows<Cell, Real>(f, weights, first, part.end(f.batch) - first).run();
    });
}

// The sums of every thread but the first, which has the caller's arrays.
template <class Real>
struct MoreSums {
    long length_x, length_h, width, peepholes;
    Buffer<Real> data;

    MoreSums(const Backward<Real>& b, int threads)
        : length_x(b.features * native::gates_of(b.kind) * b.hidden),
          length_h(b.hidden * native::gates_of(b.kind) * b.hidden), width(native::gates_of(b.kind) * b.hidden),
          peepholes(b.Wc ? 3 * b.hidden : 0), data((threads - 1) * each()) {}

    long each() const { return length_x + length_h + 2 * width + peepholes; }

    Sums<Real> of(const Backward<Real>& b, int which) const {
        if (which == 0) return {b.dWx, b.dWh, b.dbx, b.dbh, b.dWc};
        Real* dWx = data + (which - 1) * each();
        Real *dWh = dWx + length_x, *dbx = dWh + length_h;
        return {dWx, dWh, dbx, dbx + width, b.dWc ? dbx + 2 * width : nullptr};
    }

    static void add(Real* to, const Real* from, long count, Part part) {
        for (long at = part.begin(count); at < part.end(count); at++) to[at] += from[at];
    }

    // Add a part of all sums to the first thread's.
    void add_all(const Backward<Real>& b, int threads, Part part) const {
        for (int which = 1; which < threads; which++) {
            const Sums<Real> more = of(b, which);
            add(b.dWx, more.dWx, length_x, part);
            add(b.dWh, more.dWh, length_h, part);
            add(b.dbx, more.dbx, width, part);
            add(b.dbh, more.dbh, width, part);
            add(b.dWc, more.dWc, peepholes, part);
        }
    }
};

template <class Cell, class Real>
void backward(const Backward<Real>& b) {
    const int threads = threads_for(b), over_weights = threads_for_weights(b, threads);
    const Transposed<Cell, Real> weights(b);
    const MoreSums<Real> sums(b, threads);
    in_parts(over_weights, [&](Part part) { weights.pack(b, part); });
    in_parts(threads, [&](Part part) {
        const long first = part.begin(b.batch);
        BackwardRows<Cell, Real>(b, weights, sums.of(b, part.which), first, part.end(b.batch) - first).run();
    });
    in_parts(over_weights, [&](Part part) { sums.add_all(b, threads, part); });
}

// Call visit with an empty object of the cell of a kind.
template <class Visit>
auto with_cell(Kind kind, Visit visit) {
    switch (kind) {
        case Kind::rnn_tanh: return visit(Elman<Tanh>{});
        case Kind::rnn_relu: return visit(Elman<Relu>{});
        case Kind::rnn_identity: return visit(Elman<Identity>{});
        case Kind::lstm: return visit(Memory<false>{});
        case Kind::peephole_lstm: return visit(Memory<true>{});
        case Kind::gru: return visit(Gated{});
        default: return visit(GatedBefore{});
    }
}

template <class Real>
void forward_any(const Forward<Real>& f) {
    with_cell(f.kind, [&](auto cell) { forward<decltype(cell), Real>(f); });
}

template <class Real>
void backward_any(const Backward<Real>& b) {
    with_cell(b.kind, [&](auto cell) { backward<decltype(cell), Real>(b); });
}

template <class Real>
long saved_width(Kind kind, long hidden) {
    return with_cell(kind, [&](auto cell) { return decltype(cell)::saved * rounded_up(hidden, LANES<Real>); });
}

template <class Real>
constexpr native::Kernels<Real> kernels{forward_any<Real>, backward_any<Real>, saved_width<Real>, curve<Real>};

}  // namespace
