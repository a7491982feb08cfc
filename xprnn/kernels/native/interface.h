// What the parts of the kernel are handed: plain structs of pointers, and who runs them.
//
// Letters are those of the library: T steps, B rows of the batch, D features in, H units, G gates. Every array is
// dense and row-major unless strides stand beside it. Nothing here owns memory.
#pragma once

#include <chrono>
#include <cstddef>

namespace native {

enum class Kind { rnn_tanh, rnn_relu, rnn_identity, lstm, peephole_lstm, gru, gru_reset_before, count };

// How many gates a kind has: the columns of its Wx and Wh are gates × H.
constexpr long gates_of(Kind kind) {
    return kind <= Kind::rnn_identity ? 1 : kind <= Kind::peephole_lstm ? 4 : 3;
}

constexpr bool has_memory(Kind kind) { return kind == Kind::lstm || kind == Kind::peephole_lstm; }

// What forward and backward share: sizes, the inputs and the parameters.
template <class Real>
struct Problem {
    Kind kind;
    int threads;
    bool reverse;  // walk from the last step to the first
    long steps, batch, features, hidden;

    const Real* x;  // (T, B, D), features next to each other
    long x_step, x_row;
    const unsigned char* mask;  // (T, B), 0 where a row has no step; null: every step is real
    long mask_step, mask_row;

    const Real* Wx;    // (D, G·H)
    const Real* Wh;    // (H, G·H)
    const Real* bx;    // (G·H) or null
    const Real* bh;    // (G·H) or null
    const Real* Wc;    // (3·H), peepholes i f o, or null
    const Real* keep;  // (B, H), multipliers of h on its way into Wh, or null
};

template <class Real>
struct Forward : Problem<Real> {
    const Real* h;  // (B, H), the initial state
    const Real* c;  // (B, H) or null
    Real* h_end;    // (B, H), the last state
    Real* c_end;    // (B, H) or null
    Real* ys;       // (T, B, H), 0 where the mask is, or null
    Real* states;   // (T + 1, B, H), h between steps, for the way back, or null
    Real* saved;    // T · B · saved_width numbers for the way back, in an order of its own, or null
};

template <class Real>
struct Backward : Problem<Real> {
    const Real* states;  // as forward left them
    const Real* saved;
    const Real* dys;  // (T, B, H), units next to each other, or null: zero
    long dys_step, dys_row;
    const Real* dh_end;  // (B, H)
    const Real* dc_end;  // (B, H) or null
    Real* dx;            // (T, B, D), or null
    Real* dh;            // (B, H), of the initial state
    Real* dc;            // (B, H) or null
    Real* dWx;           // as the parameters
    Real* dWh;
    Real* dbx;
    Real* dbh;
    Real* dWc;
};

// The kernel for one instruction set, in one precision.
template <class Real>
struct Kernels {
    void (*forward)(const Forward<Real>&);
    void (*backward)(const Backward<Real>&);
    // How wide a row of ``saved`` is, in numbers.
    long (*saved_width)(Kind, long hidden);
    // y = tanh(x) or, if ``sigmoid``, 1 / (1 + e⁻ˣ), for tests of their accuracy; x and y (count).
    void (*curve)(bool sigmoid, const Real* x, Real* y, long count);
};

// Each has a source of its own, so that they are compiled side by side.
extern const Kernels<float> avx512_float, avx2_float, plain_float;
extern const Kernels<double> avx512_double, avx2_double, plain_double;

// Memory that begins on a cache line; std::bad_alloc if there is none.
void* allocate(std::size_t bytes);
void release(void* memory);

// Call work(what, 0), ..., work(what, count - 1), each on a thread of its own, the first on this one.
void in_parallel(int count, void (*work)(const void* what, int which), const void* what);

// Whether threads that wait for each other at every step were slower than one, lately; and what tells of it: the time
// that has just been lost by them, 0 if none was.
bool slower_together();
void found_slower_together(std::chrono::nanoseconds lost);

// The core that this thread is on; NO_CORE where the system does not tell.
constexpr int NO_CORE = -1;
int current_core();

}  // namespace native
