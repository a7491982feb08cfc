// From a problem to the cell that solves it: threads, each with rows of its own, and the sum of what they found.
#pragma once

#include "backward.h"
#include "forward.h"
#include "single.h"

namespace {

using native::Kind;

// Below so many multiplications a thread costs more than it brings.
constexpr double WORK_OF_A_THREAD = 4e6;

// How many threads a problem is worth: each has rows of its own.
template <class Real>
int threads_for(const native::Problem<Real>& p) {
    const double work = double(p.steps) * p.batch * (p.features + p.hidden) * native::gates_of(p.kind) * p.hidden;
    const long worth = long(smaller(p.threads, p.batch));
    return int(work / WORK_OF_A_THREAD < worth ? (work < 2 * WORK_OF_A_THREAD ? 1 : work / WORK_OF_A_THREAD) : worth);
}

// The first row of a thread's share.
inline long share(long rows, int threads, int which) { return rows * which / threads; }

// Each row has a thread of its own.
template <class Cell, class Real>
void forward_single(const Forward<Real>& f) {
    struct Work {
        const Forward<Real>& f;
        RowWeights<Cell, Real> weights;
    };
    const Work work{f, RowWeights<Cell, Real>(f)};
    native::in_parallel(int(f.batch), [](const void* what, int row) {
        const Work& work = *static_cast<const Work*>(what);
        ForwardRow<Cell, Real>(work.f, work.weights, row).run();
    }, &work);
}

template <class Cell, class Real>
void forward(const Forward<Real>& f) {
    struct Work {
        const Forward<Real>& f;
        Weights<Cell, Real> weights;
        int threads;
    };
    const int threads = threads_for(f);
    if (threads == f.batch) return forward_single<Cell>(f);
    const Work work{f, Weights<Cell, Real>(f), threads};
    native::in_parallel(work.threads, [](const void* what, int which) {
        const Work& work = *static_cast<const Work*>(what);
        const long first = share(work.f.batch, work.threads, which), end = share(work.f.batch, work.threads, which + 1);
        ForwardRows<Cell, Real>(work.f, work.weights, first, end - first).run();
    }, &work);
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

    static void add(Real* to, const Real* from, long count) {
        for (long at = 0; at < count; at++) to[at] += from[at];
    }

    void add_all(const Backward<Real>& b, int threads) const {
        for (int which = 1; which < threads; which++) {
            const Sums<Real> more = of(b, which);
            add(b.dWx, more.dWx, length_x);
            add(b.dWh, more.dWh, length_h);
            add(b.dbx, more.dbx, width);
            add(b.dbh, more.dbh, width);
            add(b.dWc, more.dWc, peepholes);
        }
    }
};

template <class Cell, class Real>
void backward(const Backward<Real>& b) {
    struct Work {
        const Backward<Real>& b;
        Transposed<Cell, Real> weights;
        int threads;
        MoreSums<Real> sums;
    };
    const int threads = threads_for(b);
    const Work work{b, Transposed<Cell, Real>(b), threads, MoreSums<Real>(b, threads)};
    native::in_parallel(threads, [](const void* what, int which) {
        const Work& work = *static_cast<const Work*>(what);
        const long first = share(work.b.batch, work.threads, which), end = share(work.b.batch, work.threads, which + 1);
        BackwardRows<Cell, Real>(work.b, work.weights, work.sums.of(work.b, which), first, end - first).run();
    }, &work);
    work.sums.add_all(b, threads);
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

}  // namespace

#define KERNELS_OF(NAME, USABLE)                                                                         \
    const native::Kernels native::NAME##_kernels = {                                                     \
        #NAME, USABLE, forward_any<float>, forward_any<double>, backward_any<float>, backward_any<double>, \
        saved_width<float>, saved_width<double>, curve<float>, curve<double>}
