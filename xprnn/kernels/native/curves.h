// tanh and the logistic function of a vector.
#pragma once

#include "vector.h"

namespace {

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

#if VECTOR_BYTES == 64
// from[place], in each lane; noexcept as lower and upper are.
inline Vector<float> fetch(const float* from, Numbers<float>::Bits place) noexcept {
    return _mm512_maskz_permutexvar_ps(0xFFFF, (__m512i)place, load(from));
}

// Without a division, within 1.3 units: two pieces for each power of two from 1/8 to 9.5, and one for what is below,
// with a polynomial each in the distance from a point where tanh is almost a float. What ends a number's exponent and
// begins its mantissa says where a piece's numbers stand; one instruction fetches those of all lanes. By itself it
// takes 0.6 of the time of the tanh above.
template <>
inline Vector<float> tanh<float>(Vector<float> x) {
    using N = Numbers<float>;
    // The points, and the coefficients of distanceⁿ; the largest error beside tanh is the least. Pieces begin at 2, 3,
    // 4, 6 and 8; twice at numbers that never come; and at 0, 1/8, 3/16, 1/4, 3/8, 1/2, 3/4, 1 and 3/2.
    alignas(VECTOR_BYTES) static constexpr float C[][LANES<float>] = {
        {2.4997172f, 3.5005865f, 5.005379f, 6.9314713f, 8.66434f, 0, 0, 0, 0.15621144f, 0.21874551f,
         0.31252342f, 0.43750852f, 0.62510663f, 0.875142f, 1.2497119f, 1.749765f},
        {0.9866068f, 0.99818003f, 0.9999102f, 0.9999981f, 0.99999994f, 0, 0, 0, 0.15495309f, 0.21532206f,
         0.302731f, 0.41157714f, 0.55467355f, 0.7039772f, 0.8482028f, 0.9413488f},
        {0.026607161f, 0.003636692f, 0.00017988832f, 3.8194485e-6f, 1.1922779e-7f, 0, 0, 1, 0.9759895f,
         0.9536364f, 0.9083539f, 0.83060426f, 0.6923373f, 0.50441605f, 0.28055185f, 0.1138624f},
        {-0.02625051f, -0.003630053f, -0.00017984367f, -3.8115493e-6f, -1.1915455e-7f, 0, 0, -3.8979163e-8f,
         -0.15123262f, -0.20533897f, -0.27498692f, -0.34185773f, -0.3840212f, -0.35509744f, -0.23796499f,
         -0.10718421f},
        {0.017026745f, 0.0024089597f, 0.00011763629f, 2.5025467e-6f, 7.91615e-8f, 0, 0, -0.3333289f,
         -0.30189595f, -0.2736648f, -0.21953762f, -0.13616756f, -0.017778832f, 0.081839524f, 0.10834058f,
         0.06295021f},
        {-0.008055828f, -0.0011959024f, -5.8810718e-5f, -1.2800871e-6f, -4.01014e-8f, 0, 0, -0.00016401951f,
         0.0972297f, 0.1273939f, 0.15813215f, 0.16999596f, 0.13787307f, 0.060756147f, -0.012557339f,
         -0.023529297f},
        {0.0028880346f, 0.0004897038f, 2.8116809e-5f, 5.931134e-7f, 1.7177674e-8f, 0, 0, 0.13598487f,
         0.1073043f, 0.08499585f, 0.045504954f, -0.005966199f, -0.054359317f, -0.058540143f, -0.019716455f,
         0.0034808556f},
        {-0.00069630845f, -0.00015767437f, -9.373927e-6f, -1.7361208e-7f, -4.9018363e-9f, 0, 0, -0.019526307f,
         -0.07704655f, -0.079082124f, -0.07388f, -0.06168748f, -0.024337027f, 0.012868803f, 0.015102733f,
         0.0021054356f}};
    const auto sign = (N::Bits)x & N::SIGN;
    const Vector<float> size = lower(N::TANH_END - Vector<float>{}, (Vector<float>)((N::Bits)x ^ sign));
    const N::Bits piece = (N::Bits)upper(N::TANH_LOW - Vector<float>{}, size) >> (N::MANTISSA - 1);
    const auto c = [&](int n) { return fetch(C[1 + n], piece); };
    const Vector<float> t = size - c(-1), square = t * t;
    const Vector<float> high = (c(6) * t + c(5)) * square + (c(4) * t + c(3));
    const Vector<float> y = (high * square + (c(2) * t + c(1))) * t + c(0);
    return (Vector<float>)((N::Bits)y | sign);
}
#endif

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
