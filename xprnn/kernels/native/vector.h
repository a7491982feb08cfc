// A vector of floats or doubles, how it is loaded and stored, and tanh and the logistic function of it.
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
    static constexpr float TANH_END = 9.02f, TANH_NEAR = 0.625f, SIGMOID_END = 87.3f;
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
// do not find: the tanh and sigmoids of an LSTM take 14 % longer without. (GCC warns of what it writes itself where
// there is no mask.)
#if VECTOR_BYTES == 64
inline Vector<float> lower(Vector<float> a, Vector<float> b) { return _mm512_maskz_min_ps(0xFFFF, a, b); }
inline Vector<float> upper(Vector<float> a, Vector<float> b) { return _mm512_maskz_max_ps(0xFFFF, a, b); }
inline Vector<double> lower(Vector<double> a, Vector<double> b) { return _mm512_maskz_min_pd(0xFF, a, b); }
inline Vector<double> upper(Vector<double> a, Vector<double> b) { return _mm512_maskz_max_pd(0xFF, a, b); }
#elif VECTOR_BYTES == 32
inline Vector<float> lower(Vector<float> a, Vector<float> b) { return _mm256_min_ps(a, b); }
inline Vector<float> upper(Vector<float> a, Vector<float> b) { return _mm256_max_ps(a, b); }
inline Vector<double> lower(Vector<double> a, Vector<double> b) { return _mm256_min_pd(a, b); }
inline Vector<double> upper(Vector<double> a, Vector<double> b) { return _mm256_max_pd(a, b); }
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

// c[0] xⁿ + ... + c[n], by Horner's rule.
template <class V, class Real, int COUNT>
inline V polynomial(V x, const Real (&c)[COUNT]) {
    V sum = c[0] - V{};
    for (int n = 1; n < COUNT; n++) sum = sum * x + c[n];
    return sum;
}

// eʳ - 1 for |r| ≤ ln 2 / 2: r + r² times the polynomial whose largest error beside eʳ is the least (by Remez'
// exchange), a twentieth of what rounding does. Taylor's needs one coefficient more, and an LSTM's gates take 8 %
// longer.
inline Vector<float> expm1_near(Vector<float> r) {
    static constexpr float C[] = {1.38146011e-3f, 8.36871658e-3f, 4.1668389e-2f, 0.166665211f, 0.49999994f};
    return r * r * polynomial(r, C) + r;
}

inline Vector<double> expm1_near(Vector<double> r) {
    static constexpr double C[] = {2.5000056889455739e-8, 2.7630248660653718e-7, 2.7557586385125431e-6,
                                   2.48014930981182e-5, 1.9841269506570939e-4, 1.3888888943630851e-3,
                                   8.333333333494463e-3, 4.1666666666530155e-2, 0.16666666666666413,
                                   0.50000000000000111};
    return r * r * polynomial(r, C) + r;
}

// eˣ + 1 = 2ⁿ (1 + q) + 1, n = x / ln 2, rounded. Two parts of ln 2 keep what rounding would lose.
template <class Real>
inline Vector<Real> exp_plus_one(Vector<Real> x) {
    using N = Numbers<Real>;
    const Vector<Real> moved = x * N::LOG2_E + N::ROUND, n = moved - N::ROUND;
    const Vector<Real> q = expm1_near(x - n * N::LN2_HIGH - n * N::LN2_LOW);
    const Vector<Real> scale = (Vector<Real>)(((typename N::Bits)moved << N::MANTISSA) + N::ONE);
    return (scale * q + Real(1)) + scale;
}

// (tanh x - x) / x for |x| ≤ 0.625 as over / under, in x²; the coefficients are those of Moshier's Cephes library.
inline void tanh_near(Vector<float> square, Vector<float>& over, Vector<float>& under) {
    static constexpr float C[] = {-5.70498872745e-3f, 2.06390887954e-2f, -5.37397155531e-2f, 1.33314422036e-1f,
                                  -3.33332819422e-1f};
    over = square * polynomial(square, C);
    under = 1 - Vector<float>{};
}

inline void tanh_near(Vector<double> square, Vector<double>& over, Vector<double>& under) {
    static constexpr double OVER[] = {-9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3};
    static constexpr double UNDER[] = {1, 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3};
    over = square * polynomial(square, OVER);
    under = polynomial(square, UNDER);
}

// tanh x within 2 units in the last place: x + x q near 0, where q is a fraction of polynomials, else
// 1 - 2 / (e²ˣ + 1). The two share the division.
template <class Real>
inline Vector<Real> tanh(Vector<Real> x) {
    using N = Numbers<Real>;
    const auto sign = (typename N::Bits)x & N::SIGN;
    Vector<Real> size = (Vector<Real>)((typename N::Bits)x ^ sign), over, under;
    const auto near = size < N::TANH_NEAR;
    tanh_near(size * size, over, under);
    size = lower(N::TANH_END - Vector<Real>{}, size);
    const Vector<Real> q = (near ? over : -2 - Vector<Real>{}) / (near ? under : exp_plus_one<Real>(size + size));
    const Vector<Real> y = near ? size * q + size : q + 1;
    return (Vector<Real>)((typename N::Bits)y ^ sign);
}

// 1 / (1 + e⁻ˣ). Within 2 units in the last place from x = -87.3 (float) or -708 (double) up; below, 0.
template <class Real>
inline Vector<Real> sigmoid(Vector<Real> x) {
    constexpr Real END = Numbers<Real>::SIGMOID_END;
    const Vector<Real> y = Real(1) / exp_plus_one<Real>(-clamped(x, END));
    return x < -END ? Vector<Real>{} : y;
}

// Whole arrays, for tests.
template <class Real>
void curve(bool logistic, const Real* x, Real* y, long count) {
    for (long at = 0; at < count; at += LANES<Real>) {
        const Vector<Real> v = load_some(x + at, count - at);
        store_some(y + at, logistic ? sigmoid<Real>(v) : tanh<Real>(v), count - at);
    }
}

}  // namespace
