// A vector of floats or doubles, and how it is loaded and stored.
//
// Everything in these headers has no name outside its file (an unnamed namespace): each instruction set compiles them
// anew, and the linker must never take one's code for another's.
#pragma once

namespace {

// VECTOR_BYTES and TILE_ROWS are set by the file that includes this one.
template <class Real>
struct Numbers;

template <>
struct Numbers<float> {
    typedef float Vector __attribute__((vector_size(VECTOR_BYTES)));
    typedef unsigned Bits __attribute__((vector_size(VECTOR_BYTES)));
    static constexpr float LOG2_E = 1.44269504f, LN2_HIGH = 0.693359375f, LN2_LOW = -2.12194440e-4f;
    static constexpr float ROUND = 12582912.0f;  // 1.5 · 2²³: added to a number, it leaves the integer in the last bits
    static constexpr int MANTISSA = 23;
    static constexpr unsigned ONE = 0x3f800000u, SIGN = 0x80000000u;
    static constexpr float TANH_END = 9.5f, TANH_NEAR = 0.625f, SIGMOID_END = 87.3f;
    static constexpr float TANH_LOW = 0.12f;  // in what would be the last piece below 1/8
};

template <>
struct Numbers<double> {
    typedef double Vector __attribute__((vector_size(VECTOR_BYTES)));
    typedef unsigned long long Bits __attribute__((vector_size(VECTOR_BYTES)));
    static constexpr double LOG2_E = 1.4426950408889634, LN2_HIGH = 6.93147180369123816490e-01;
    static constexpr double LN2_LOW = 1.90821492927058770002e-10;
    static constexpr double ROUND = 6755399441055744.0;
    static constexpr int MANTISSA = 52;
    static constexpr unsigned long long ONE = 0x3ff0000000000000ull, SIGN = 0x8000000000000000ull;
    static constexpr double TANH_END = 20.0, TANH_NEAR = 0.625, SIGMOID_END = 708.0;
};

template <class Real>
using Vector = typename Numbers<Real>::Vector;

// How many numbers a vector holds.
template <class Real>
constexpr long LANES = VECTOR_BYTES / sizeof(Real);

inline long smaller(long a, long b) { return a < b ? a : b; }

// ``count`` rounded up to a multiple of ``unit``.
inline long rounded_up(long count, long unit) { return (count + unit - 1) / unit * unit; }

template <class Real>
inline Vector<Real> load(const Real* from) {
    Vector<Real> v;
    __builtin_memcpy(&v, from, sizeof v);
    return v;
}

template <class Real>
inline void store(Real* to, Vector<Real> v) {
    __builtin_memcpy(to, &v, sizeof v);
}

// Copies less than a vector in pieces of halving size, each one instruction.
template <class Real>
inline void copy_some(Real* to, const Real* from, long count) {
#pragma GCC unroll 8
    for (long piece = LANES<Real> / 2; piece >= 1; piece /= 2) {
        if (count & piece) {
            __builtin_memcpy(to, from, piece * sizeof(Real));
            to += piece;
            from += piece;
        }
    }
}

// The first ``count`` numbers of a vector, the others 0; none if ``count`` is below 0.
template <class Real>
inline Vector<Real> load_some(const Real* from, long count) {
    if (count >= LANES<Real>) return load(from);
    if (count <= 0) return Vector<Real>{};
    Real whole[LANES<Real>] = {};
    copy_some(whole, from, count);
    return load(whole);
}

template <class Real>
inline void store_some(Real* to, Vector<Real> v, long count) {
    if (count >= LANES<Real>) return store(to, v);
    Real whole[LANES<Real>];
    store(whole, v);
    copy_some(to, whole, count);
}

// v with zeros behind the first ``count`` numbers, whatever stood there.
template <class Real>
inline Vector<Real> first(Vector<Real> v, long count) {
    if (count >= LANES<Real>) return v;
    Real whole[LANES<Real>];
    store(whole, v);
    return load_some(whole, count);
}

// The smaller and the larger of each two numbers; b where one is NaN. x86 has an instruction for that, which compilers
// do not find: the tanh and sigmoids of an LSTM took 14 % longer without. (GCC warns of what it writes itself where
// there is no mask.)
//
// noexcept: GCC holds an instruction that came by a pragma for a call that may throw. Where memory would then have to
// be given back, a basic block ends with it, and no product is joined with a sum of the next.
#if VECTOR_BYTES == 64
inline Vector<float> lower(Vector<float> a, Vector<float> b) noexcept { return _mm512_maskz_min_ps(0xFFFF, a, b); }
inline Vector<float> upper(Vector<float> a, Vector<float> b) noexcept { return _mm512_maskz_max_ps(0xFFFF, a, b); }
inline Vector<double> lower(Vector<double> a, Vector<double> b) noexcept { return _mm512_maskz_min_pd(0xFF, a, b); }
inline Vector<double> upper(Vector<double> a, Vector<double> b) noexcept { return _mm512_maskz_max_pd(0xFF, a, b); }
#elif VECTOR_BYTES == 32
inline Vector<float> lower(Vector<float> a, Vector<float> b) noexcept { return _mm256_min_ps(a, b); }
inline Vector<float> upper(Vector<float> a, Vector<float> b) noexcept { return _mm256_max_ps(a, b); }
inline Vector<double> lower(Vector<double> a, Vector<double> b) noexcept { return _mm256_min_pd(a, b); }
inline Vector<double> upper(Vector<double> a, Vector<double> b) noexcept { return _mm256_max_pd(a, b); }
#else
template <class V>
inline V lower(V a, V b) { return a < b ? a : b; }
template <class V>
inline V upper(V a, V b) { return a > b ? a : b; }
#endif

// x between -end and end; NaN stays.
template <class V, class Real>
inline V clamped(V x, Real end) {
    return upper(-end - V{}, lower(end - V{}, x));
}

}  // namespace
