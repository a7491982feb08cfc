// The layer-normalized LSTM: what a step does besides its product, there and back, and the norm of many rows.
//
// A block of THREADS threads, a power of two, has a row. A thread has every THREADS-th unit of it, and reads of what
// the step writes what it has written itself; sums go through shared memory, in a fixed order. B rows, H units; all
// arrays are dense where no strides are given. ``before`` and ``after`` are the numbers of states.
#include "runtime.cuh"

constexpr Real LARGE = 1e15;  // squares of float32 overflow at 1.8e19

// Mean, 1 / sqrt(variance + epsilon), and what rows are divided by before their squares are summed.
struct Norm {
    Real mean, rate, unit;
    __device__ Real of(Real x) const { return (x - mean) / unit * rate; }
};

// What the threads of a block have, for all of them: the sum, or the largest.
template <bool largest>
__device__ Real together(Real x) {
    __shared__ Real parts[THREADS];
    const int mine = threadIdx.x;
    parts[mine] = x;
    __syncthreads();
    for (int half = THREADS / 2; half > 0; half /= 2) {
        if (mine < half) {
            const Real other = parts[mine + half];
            parts[mine] = largest ? (other > parts[mine] ? other : parts[mine]) : parts[mine] + other;
        }
        __syncthreads();
    }
    const Real all = parts[0];
    __syncthreads();
    return all;
}

// The norm of n numbers; of ``any`` size, or of such whose squares do not overflow.
template <bool any>
__device__ Norm norm_of(const Real* row, Index n, double epsilon) {
    Real sum = 0, most = 0, squares = 0;
    for (Index i = threadIdx.x; i < n; i += THREADS) sum += row[i];
    Norm norm{together<false>(sum) / n, 1, 1};
    if (any) {
        for (Index i = threadIdx.x; i < n; i += THREADS) {
            const Real x = row[i] - norm.mean;
            most = x > most ? x : -x > most ? -x : most;
        }
        most = together<true>(most);
        norm.unit = most > LARGE ? most : Real(1);
    }
    for (Index i = threadIdx.x; i < n; i += THREADS) {
        const Real x = norm.of(row[i]);
        squares += x * x;
    }
    const Real added = static_cast<Real>(epsilon) / norm.unit / norm.unit;
    norm.rate = 1 / square_root(together<false>(squares) / n + added);
    return norm;
}

// out = gain ⊙ N(a) + bias (null: 1 and 0) for each row of n numbers; out may be a.
extern "C" __global__ void normalize_rows(Index n, double epsilon, const Real* a, const Real* gain, const Real* bias,
                                          Real* out) {
    const Index first = blockIdx.x * n;
    const Norm norm = norm_of<true>(a + first, n, epsilon);
    for (Index i = threadIdx.x; i < n; i += THREADS) {
        const Real x = norm.of(a[first + i]);
        out[first + i] = (gain ? gain[i] * x : x) + (bias ? bias[i] : Real(0));
    }
}

// From dy of y = gain ⊙ N(a) + bias, the cotangent of a into da, and N(a) in a's place.
extern "C" __global__ void normalize_rows_back(Index n, double epsilon, const Real* gain, const Real* dy, Real* a,
                                               Real* da) {
    const Index first = blockIdx.x * n;
    const Norm norm = norm_of<true>(a + first, n, epsilon);
    Real sum = 0, along = 0;
    for (Index i = threadIdx.x; i < n; i += THREADS) {
        const Real x = norm.of(a[first + i]), dx = gain[i] * dy[first + i];
        a[first + i] = x;
        sum += dx;
        along += dx * x;
    }
    sum = together<false>(sum) / n;
    along = together<false>(along) / n;
    for (Index i = threadIdx.x; i < n; i += THREADS)
        da[first + i] = norm.rate / norm.unit * (gain[i] * dy[first + i] - sum - a[first + i] * along);
}

// ``gates`` (T, B, 4H) holds what x drives and then i f g o; ``product`` (B, 4H) is h Wh. That is left in v for the way
// back, and in ``norms`` (T, B, 4) the mean and rate of its rows and those of the c after the step (both null: not).
// Where the mask is, y is 0 and the state stays.
extern "C" __global__ void norm_step(Index t, Index before, Index after, Index B, Index H, double epsilon, Real* gates,
                                     const Real* product, Real* v, Real* norms, const Real* gh, const Real* gc,
                                     const Real* bc, const Real* keep, const bool* mask, Index mask_step,
                                     Index mask_row, Real* h, Real* c, Real* seen, Real* y) {
    const Index row = blockIdx.x, old = (before * B + row) * H, now = (after * B + row) * H, place = t * B + row;
    const bool real = !mask || mask[t * mask_step + row * mask_row];
    const Real* sums = product + row * 4 * H;
    Real* mine = gates + place * 4 * H;
    const Norm wide = norm_of<false>(sums, 4 * H, epsilon);
    for (Index unit = threadIdx.x; unit < H; unit += THREADS) {
        Real z[4];
        for (int k = 0; k < 4; ++k) {
            const Index i = k * H + unit;
            if (v) v[place * 4 * H + i] = sums[i];
            z[k] = mine[i] + gh[i] * wide.of(sums[i]);
            mine[i] = z[k] = k == 2 ? hyperbolic(z[k]) : sigmoid(z[k]);
        }
        c[now + unit] = real ? z[1] * c[old + unit] + z[0] * z[2] : c[old + unit];
    }
    const Norm memory = norm_of<false>(c + now, H, epsilon);
    if (norms && threadIdx.x == 0) {
        norms[place * 4] = wide.mean;
        norms[place * 4 + 1] = wide.rate;
        norms[place * 4 + 2] = memory.mean;
        norms[place * 4 + 3] = memory.rate;
    }
    for (Index unit = threadIdx.x; unit < H; unit += THREADS) {
        const Real m = gc[unit] * memory.of(c[now + unit]) + (bc ? bc[unit] : Real(0));
        const Real next = real ? mine[3 * H + unit] * hyperbolic(m) : h[old + unit];
        h[now + unit] = next;
        if (seen) seen[now + unit] = next * keep[row * H + unit];
        if (y) y[place * H + unit] = real ? next : Real(0);
    }
}

// dh = ``carry`` + ``through`` ⊙ keep (each null: nothing) + dy; dz, dv (T, B, 4H) and dm (T, B, H) are the cotangents
// of the gates' sums, of v, and of what the tanh of h bends; 0 where the mask is. Only there new_carry gets another
// number.
extern "C" __global__ void norm_step_back(Index t, Index before, Index after, Index B, Index H, const Real* gates,
                                          const Real* v, const Real* norms, const Real* gh, const Real* gc,
                                          const Real* bc, const Real* keep, const bool* mask, Index mask_step,
                                          Index mask_row, const Real* c, const Real* dy, Index dy_step, Index dy_row,
                                          const Real* through, const Real* carry, Real* new_carry, const Real* dc,
                                          Real* new_dc, Real* dz, Real* dv, Real* dm) {
    const Index row = blockIdx.x, old = (before * B + row) * H, now = (after * B + row) * H, place = t * B + row;
    const bool real = !mask || mask[t * mask_step + row * mask_row];
    const Real *mine = gates + place * 4 * H, *sums = v + place * 4 * H;
    dz += place * 4 * H;
    dv += place * 4 * H;
    dm += place * H;
    norms += place * 4;
    const Norm wide{norms[0], norms[1], 1}, memory{norms[2], norms[3], 1};
    Real sum = 0, along = 0;
    for (Index unit = threadIdx.x; unit < H; unit += THREADS) {
        const Index i = row * H + unit;
        Real dh = carry[i];
        if (through) dh += keep ? through[i] * keep[i] : through[i];
        new_carry[i] = real ? Real(0) : dh;
        if (dy) dh += dy[t * dy_step + row * dy_row + unit];
        const Real n = memory.of(c[now + unit]), o = mine[3 * H + unit];
        const Real bent = hyperbolic(gc[unit] * n + (bc ? bc[unit] : Real(0)));
        dz[3 * H + unit] = real ? dh * bent * o * (1 - o) : Real(0);
        dm[unit] = real ? dh * o * (1 - bent * bent) : Real(0);
        sum += dm[unit] * gc[unit];
        along += dm[unit] * gc[unit] * n;
    }
    sum = together<false>(sum) / H;
    along = together<false>(along) / H;
    Real wide_sum = 0, wide_along = 0;
    for (Index unit = threadIdx.x; unit < H; unit += THREADS) {
        const Real i = mine[unit], f = mine[H + unit], g = mine[2 * H + unit], n = memory.of(c[now + unit]);
        const Real later = dc[row * H + unit];
        const Real d = real ? later + memory.rate * (dm[unit] * gc[unit] - sum - n * along) : Real(0);
        dz[unit] = d * g * i * (1 - i);
        dz[H + unit] = d * c[old + unit] * f * (1 - f);
        dz[2 * H + unit] = d * i * (1 - g * g);
        new_dc[row * H + unit] = real ? d * f : later;
        for (Index k = unit; k < 4 * H; k += H) {
            wide_sum += dz[k] * gh[k];
            wide_along += dz[k] * gh[k] * wide.of(sums[k]);
        }
    }
    wide_sum = together<false>(wide_sum) / (4 * H);
    wide_along = together<false>(wide_along) / (4 * H);
    for (Index unit = threadIdx.x; unit < H; unit += THREADS)
        for (Index k = unit; k < 4 * H; k += H)
            dv[k] = real ? wide.rate * (dz[k] * gh[k] - wide_sum - wide.of(sums[k]) * wide_along) : Real(0);
}
