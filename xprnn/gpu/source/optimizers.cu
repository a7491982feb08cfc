// The optimizers: what one update does to one parameter p with its gradient g and its slots s, and all leaves at once.
//
// RULE is one of the structs below; ``n`` are its numbers, which the rule of the same name in Python has in this order.
#include "leaves.cuh"

#ifndef RULE
#define RULE Adam
#endif

struct SGD {
    static constexpr int slots = 0, numbers = 1;
    __device__ static Real moved(Real p, Real g, Real*, const Real* n) { return p - n[0] * g; }
};

// rate, momentum; v
template <bool nesterov>
struct Momentum {
    static constexpr int slots = 1, numbers = 2;
    __device__ static Real moved(Real p, Real g, Real* s, const Real* n) {
        s[0] = n[1] * s[0] + g;
        return p - n[0] * (nesterov ? g + n[1] * s[0] : s[0]);
    }
};

// rate, beta_1, 1 - beta_1, beta_2, 1 - beta_2, root, epsilon, kept; m, v
struct Adam {
    static constexpr int slots = 2, numbers = 8;
    __device__ static Real moved(Real p, Real g, Real* s, const Real* n) {
        s[0] = n[1] * s[0] + n[2] * g;
        s[1] = n[3] * s[1] + n[4] * (g * g);
        return n[7] * p - n[0] * s[0] / (square_root(s[1]) / n[5] + n[6]);
    }
};

// rate, rho, 1 - rho, epsilon, momentum; v, and m where centered (1 in kind), and b where there is momentum (2)
template <int kind>
struct RMSprop {
    static constexpr bool centered = kind & 1, momentum = kind & 2;
    static constexpr int slots = 1 + centered + momentum, numbers = 5;
    __device__ static Real moved(Real p, Real g, Real* s, const Real* n) {
        s[0] = n[1] * s[0] + n[2] * (g * g);
        Real size = s[0];
        if (centered) {
            s[1] = n[1] * s[1] + n[2] * g;
            size -= s[1] * s[1];
            if (size < 0) size = 0;  // by rounding; NaN stays
        }
        Real way = g / (square_root(size) + n[3]);
        if (momentum) way = s[1 + centered] = n[4] * s[1 + centered] + way;
        return p - n[0] * way;
    }
};

// rate, epsilon; v
struct Adagrad {
    static constexpr int slots = 1, numbers = 2;
    __device__ static Real moved(Real p, Real g, Real* s, const Real* n) {
        s[0] += g * g;
        return p - n[0] * g / (square_root(s[0]) + n[1]);
    }
};

typedef RULE Rule;

// The leaves of p, of g, and of each slot; and where those of p and of each slot go.
struct Before {
    const Real* of[2 + Rule::slots][LEAVES];
};
struct After {
    Real* of[1 + Rule::slots][LEAVES];
};
struct Numbers {
    double of[Rule::numbers];
};

extern "C" __global__ void update(Index count, Ends ends, Before before, After after, Numbers numbers) {
    const Index i = thread();
    if (i >= count) return;
    const Place here = place_of(ends, i);
    Real n[Rule::numbers], s[Rule::slots + 1];
    for (int k = 0; k < Rule::numbers; ++k) n[k] = static_cast<Real>(numbers.of[k]);
    for (int k = 0; k < Rule::slots; ++k) s[k] = before.of[2 + k][here.leaf][here.at];
    const Real p = Rule::moved(before.of[0][here.leaf][here.at], before.of[1][here.leaf][here.at], s, n);
    after.of[0][here.leaf][here.at] = p;
    for (int k = 0; k < Rule::slots; ++k) after.of[1 + k][here.leaf][here.at] = s[k];
}
