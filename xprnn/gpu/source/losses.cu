// Losses with their gradients: each element of a prediction, or each row of logits, once over.
//
// ``mask`` (null: all real) has one value for ``inner`` elements, or rows, that follow each other. What each real one
// adds to the mean is ``*counted``, or ``share`` where that is null. LOSS is one of the structs below, CLASS the dtype
// of classes.
#include "runtime.cuh"

#ifndef LOSS
#define LOSS Squared
#endif
#ifndef CLASS
#define CLASS int
#endif

constexpr int WIDTH = 256;

// The sum of a block's threads, for its first one.
template <class Number>
__device__ Number block_sum(Number sum) {
    __shared__ Number sums[WIDTH];
    const int mine = threadIdx.x;
    for (int half = WIDTH / 2; half > 0; half /= 2) {
        sums[mine] = sum;
        __syncthreads();
        if (mine < half) sum += sums[mine + half];
        __syncthreads();
    }
    return sum;
}

// One block: 1 / n, with n the real ones times inner, or 1 if there are none.
extern "C" __global__ void share(Index count, Index inner, const bool* mask, Real* counted) {
    Index real = 0;
    for (Index i = threadIdx.x; i < count; i += WIDTH) real += mask[i];
    real = block_sum(real);
    if (threadIdx.x == 0) *counted = 1 / static_cast<Real>(real > 0 ? real * inner : 1);
}

// One block: the sum of all.
extern "C" __global__ void sum(Index count, const Real* parts, Real* value) {
    Real total = 0;
    for (Index i = threadIdx.x; i < count; i += WIDTH) total += parts[i];
    total = block_sum(total);
    if (threadIdx.x == 0) *value = total;
}

// The loss of one element and its derivative, for the prediction y and the target t; delta is Huber's.
struct Element {
    Real loss, slope;
};

struct Squared {
    __device__ static Element of(Real y, Real t, Real) { return {(y - t) * (y - t), 2 * (y - t)}; }
};

struct Absolute {
    __device__ static Element of(Real y, Real t, Real) {
        const Real d = y - t;
        return {d < 0 ? -d : d, d > 0 ? Real(1) : d < 0 ? Real(-1) : d};  // NaN stays
    }
};

struct Huber {
    __device__ static Element of(Real y, Real t, Real delta) {
        const Real d = y - t, clipped = d > delta ? delta : d < -delta ? -delta : d;
        return {clipped * (d - Real(0.5) * clipped), clipped};
    }
};

struct Binary {
    __device__ static Element of(Real y, Real t, Real) {
        const Real small = exponential(y < 0 ? y : -y), tail = small / (1 + small);
        return {(y > 0 ? y : Real(0)) - y * t + logarithm_1p(small), y > 0 ? 1 - t - tail : tail - t};
    }
};

// dy, and parts[block]: the sum of what a block's elements add to the mean.
extern "C" __global__ void elements(Index count, Index inner, const Real* y, const Real* target, const bool* mask,
                                    const Real* counted, double share, double delta, Real* parts, Real* dy) {
    const Real each = counted ? *counted : static_cast<Real>(share);
    Real total = 0;
    for (Index i = thread(); i < count; i += static_cast<Index>(gridDim.x) * WIDTH) {
        const bool real = !mask || mask[i / inner];
        const Element here = LOSS::of(real ? y[i] : Real(0), real ? target[i] : Real(0), static_cast<Real>(delta));
        dy[i] = real ? each * here.slope : Real(0);
        if (real) total += here.loss;
    }
    total = block_sum(total);
    if (threadIdx.x == 0) parts[blockIdx.x] = each * total;
}

// What all lanes of a warp have, added up in the same order for each, and the largest, NaN if there is one.
__device__ inline Real warp_sum(Real x) {
    for (int other = 16; other > 0; other /= 2) x += __shfl_xor_sync(0xFFFFFFFFu, x, other);
    return x;
}
__device__ inline Real larger(Real a, Real b) { return b > a || b != b ? b : a; }
__device__ inline Real warp_largest(Real x) {
    for (int other = 16; other > 0; other /= 2) x = larger(x, __shfl_xor_sync(0xFFFFFFFFu, x, other));
    return x;
}

// A warp for each row of V logits: losses[row] = each · (Σq log Σ exp y − Σ q y) and dy = each · (Σq softmax(y) − q),
// with y less its largest. q is 1 at the class, or the probabilities of ``target`` where classes are null, smoothed.
extern "C" __global__ void cross_entropy(Index rows, Index V, Index inner, const Real* y, const CLASS* classes,
                                         const Real* target, const bool* mask, const Real* counted, double share,
                                         double smoothing, Real* losses, Real* dy) {
    const Index row = thread() / 32, lane = thread() % 32;
    if (row >= rows) return;
    y += row * V, dy += row * V;
    if (mask && !mask[row / inner]) {
        for (Index v = lane; v < V; v += 32) dy[v] = 0;
        if (lane == 0) losses[row] = 0;
        return;
    }
    const Real left = static_cast<Real>(1 - smoothing), spread = static_cast<Real>(smoothing / V);
    const Index hit = classes ? static_cast<Index>(classes[row]) : 0;
    const auto q = [&](Index v) { return left * (classes ? Real(v == hit) : target[row * V + v]) + spread; };
    Real largest = y[lane < V ? lane : 0], total = 0, dot = 0, weight = 0;
    for (Index v = lane; v < V; v += 32) largest = larger(largest, y[v]);
    largest = warp_largest(largest);
    for (Index v = lane; v < V; v += 32) {
        const Real shifted = y[v] - largest, part = q(v);
        total += exponential(shifted);
        weight += part;
        if (!classes || part != 0) dot += part * shifted;  // a logit of -∞ in another class is fine
    }
    total = warp_sum(total), dot = warp_sum(dot), weight = classes ? Real(1) : warp_sum(weight);
    Real each = counted ? *counted : static_cast<Real>(share);
    if (classes && (hit < 0 || hit >= V)) each = logarithm(Real(-1));  // NaN
    for (Index v = lane; v < V; v += 32) dy[v] = each * (weight * (exponential(y[v] - largest) / total) - q(v));
    if (lane == 0) losses[row] = each * (weight * logarithm(total) - dot);
}
