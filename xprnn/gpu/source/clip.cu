// Clipping: the norm of all leaves together, leaves times a number that a kernel has made, and each number held in
// bounds.
//
// A sum of squares is kept as s · m², with m the largest number so far, for the squares of large numbers are infinite.
#include "leaves.cuh"

constexpr int WIDTH = 256;

struct Leaves {
    const Real* of[LEAVES];
};
struct Clipped {
    Real* of[LEAVES];
};

// s m² += t a², for a of 0 or above; NaN in either stays.
__device__ inline void add(Real& m, Real& s, Real a, Real t) {
    if (a > m) {
        s = t + s * (m / a) * (m / a);
        m = a;
    } else if (a == m) {
        s += t;
    } else {
        s += t * (a / m) * (a / m);
    }
}

// The sum of a block's threads, for its first one.
__device__ inline void add_up(Real& m, Real& s) {
    __shared__ Real largest[WIDTH], sums[WIDTH];
    const int mine = threadIdx.x;
    for (int half = WIDTH / 2; half > 0; half /= 2) {
        largest[mine] = m;
        sums[mine] = s;
        __syncthreads();
        if (mine < half) add(m, s, largest[mine + half], sums[mine + half]);
        __syncthreads();
    }
}

// Block ``b`` -> parts[first + b] = (m, s) of every so many numbers.
extern "C" __global__ void squares(Index count, Ends ends, Leaves leaves, Index first, Real* parts) {
    Real m = 0, s = 0;
    for (Index i = thread(); i < count; i += static_cast<Index>(gridDim.x) * WIDTH) {
        const Place here = place_of(ends, i);
        const Real x = leaves.of[here.leaf][here.at];
        add(m, s, x < 0 ? -x : x, x == 0 ? Real(0) : Real(1));
    }
    add_up(m, s);
    if (threadIdx.x > 0) return;
    parts[2 * (first + blockIdx.x)] = m;
    parts[2 * (first + blockIdx.x) + 1] = s;
}

// One block: norm = √Σ of all parts, factor = min(1, limit / (norm + 10⁻⁶)).
extern "C" __global__ void root(Index count, const Real* parts, double limit, Real* norm, Real* factor) {
    Real m = 0, s = 0;
    for (Index n = threadIdx.x; n < count; n += WIDTH) add(m, s, parts[2 * n], parts[2 * n + 1]);
    add_up(m, s);
    if (threadIdx.x > 0) return;
    const Real length = m * square_root(s), share = static_cast<Real>(limit) / (length + static_cast<Real>(1e-6));
    *norm = length;
    *factor = share > 1 ? Real(1) : share;
}

extern "C" __global__ void scale(Index count, Ends ends, Leaves leaves, const Real* factor, Clipped clipped) {
    const Index i = thread();
    if (i >= count) return;
    const Place here = place_of(ends, i);
    clipped.of[here.leaf][here.at] = leaves.of[here.leaf][here.at] * *factor;
}

extern "C" __global__ void hold(Index count, Ends ends, Leaves leaves, double limit, Clipped clipped) {
    const Index i = thread();
    if (i >= count) return;
    const Place here = place_of(ends, i);
    const Real x = leaves.of[here.leaf][here.at], bound = static_cast<Real>(limit);
    clipped.of[here.leaf][here.at] = x > bound ? bound : x < -bound ? -bound : x;  // NaN stays
}
