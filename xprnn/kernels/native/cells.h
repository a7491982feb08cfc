// The cells: what one step does to a vector of units of one row, and its reverse. The products are done elsewhere.
//
// Each says how its gates lie in four rows of numbers per step:
//     u  what x drives, x Wx + b, ``drives`` gates
//     z  what h drives, h Wh, ``recurrents`` gates
//     d  the cotangents, ``columns`` gates: those of z are the first, those of u begin at ``first_drive``
//     saved  ``saved`` gates
#pragma once

#include "vector.h"

namespace {

// A vector of units on the way there; h and c are the state before the step and then the one after it.
template <class Real>
struct Unit {
    Vector<Real> u[4], z[4], h, c, saved[5], constant[3];
};

// A vector of units on the way back: dh and dc are of the state after the step; then dc is of the one before it, and
// ``carry`` that part of the cotangent of h before it that does not come through the product with Wh.
template <class Real>
struct Back {
    Vector<Real> saved[5], before, after, dh, dc, carry, d[4], constant[3], dconstant[3];
};

// What most cells have; a cell says what is different.
struct Plain {
    static constexpr int first_drive = 0, constants = 0;
    static constexpr bool memory = false;    // whether the state has a c
    static constexpr bool carries = false;   // whether there is a ``carry``
    static constexpr bool two_steps = false; // whether the last gate's product has to wait for the others
    static constexpr bool splits_bias = false;  // whether the last gate's bh is added to z, not to u
    static int recurrent_gate(int place) { return place; }  // the gate of W in this place of d and z
};

// Activations, and their slopes, told the output.
struct Tanh {
    template <class Real>
    static Vector<Real> of(Vector<Real> x) { return tanh<Real>(x); }
    template <class Real>
    static Vector<Real> slope(Vector<Real> y) { return 1 - y * y; }
};

struct Relu {
    template <class Real>
    static Vector<Real> of(Vector<Real> x) { return x < 0 ? Vector<Real>{} : x; }  // NaN stays
    template <class Real>
    static Vector<Real> slope(Vector<Real> y) { return y > 0 ? 1 - Vector<Real>{} : Vector<Real>{}; }
};

struct Identity {
    template <class Real>
    static Vector<Real> of(Vector<Real> x) { return x; }
    template <class Real>
    static Vector<Real> slope(Vector<Real>) { return 1 - Vector<Real>{}; }
};

// h' = f(u + z)
template <class Activation>
struct Elman : Plain {
    static constexpr int drives = 1, recurrents = 1, columns = 1, saved = 0;

    template <class Real>
    static void forward(Unit<Real>& q) { q.h = Activation::template of<Real>(q.u[0] + q.z[0]); }

    template <class Real>
    static void backward(Back<Real>& q) { q.d[0] = q.dh * Activation::template slope<Real>(q.after); }
};

// i, f, o = σ(u + z), g = tanh(u + z), c' = f c + i g, h' = o tanh c'; with peepholes wi c, wf c, wo c' inside the σ.
template <bool peepholes>
struct Memory : Plain {
    static constexpr int drives = 4, recurrents = 4, columns = 4, saved = 5;
    static constexpr int constants = peepholes ? 3 : 0;
    static constexpr bool memory = true;

    template <class Real>
    static void forward(Unit<Real>& q) {
        using V = Vector<Real>;
        V zi = q.u[0] + q.z[0], zf = q.u[1] + q.z[1], zo = q.u[3] + q.z[3];
        if (peepholes) zi += q.constant[0] * q.c, zf += q.constant[1] * q.c;
        const V i = sigmoid<Real>(zi), f = sigmoid<Real>(zf), g = tanh<Real>(q.u[2] + q.z[2]);
        const V c = f * q.c + i * g;
        if (peepholes) zo += q.constant[2] * c;
        const V o = sigmoid<Real>(zo);
        q.saved[0] = i, q.saved[1] = f, q.saved[2] = g, q.saved[3] = o, q.saved[4] = q.c;
        q.c = c;
        q.h = o * tanh<Real>(c);
    }

    template <class Real>
    static void backward(Back<Real>& q) {
        using V = Vector<Real>;
        const V i = q.saved[0], f = q.saved[1], g = q.saved[2], o = q.saved[3], c = q.saved[4];
        const V after = f * c + i * g, t = tanh<Real>(after);
        const V dzo = q.dh * (t * o * (1 - o));
        V dc = q.dc + q.dh * (o * (1 - t * t));
        if (peepholes) dc += dzo * q.constant[2];
        const V dzi = dc * (g * i * (1 - i)), dzf = dc * (c * f * (1 - f));
        q.d[0] = dzi, q.d[1] = dzf, q.d[2] = dc * (i * (1 - g * g)), q.d[3] = dzo;
        q.dc = dc * f;
        if (peepholes) {
            q.dc += dzi * q.constant[0] + dzf * q.constant[1];
            q.dconstant[0] = dzi * c, q.dconstant[1] = dzf * c, q.dconstant[2] = dzo * after;
        }
    }
};

// r, s = σ(u + z), n = tanh(u + r (z + bh)), h' = (1 - s) n + s h. d holds n's z first, then r, s, n's u.
struct Gated : Plain {
    static constexpr int drives = 3, recurrents = 3, columns = 4, saved = 4, first_drive = 1, constants = 1;
    static constexpr bool carries = true, splits_bias = true;
    static int recurrent_gate(int place) { return place == 0 ? 2 : place - 1; }

    template <class Real>
    static void forward(Unit<Real>& q) {
        using V = Vector<Real>;
        const V inner = q.z[0] + q.constant[0];
        const V r = sigmoid<Real>(q.u[0] + q.z[1]), s = sigmoid<Real>(q.u[1] + q.z[2]);
        const V n = tanh<Real>(q.u[2] + r * inner);
        q.saved[0] = r, q.saved[1] = s, q.saved[2] = n, q.saved[3] = inner;
        q.h = n + s * (q.h - n);
    }

    template <class Real>
    static void backward(Back<Real>& q) {
        using V = Vector<Real>;
        const V r = q.saved[0], s = q.saved[1], n = q.saved[2], inner = q.saved[3];
        const V dn = q.dh * ((1 - s) * (1 - n * n));
        q.d[0] = dn * r, q.d[1] = dn * (inner * r * (1 - r)), q.d[2] = q.dh * ((q.before - n) * s * (1 - s));
        q.d[3] = dn;
        q.carry = q.dh * s;
    }
};

// r, s = σ(u + z), n = tanh(u + z), where z of n is the product with r h; h' = (1 - s) n + s h.
struct GatedBefore : Plain {
    static constexpr int drives = 3, recurrents = 3, columns = 3, saved = 3;
    static constexpr bool carries = true, two_steps = true;

    // Leaves r and s in u's place and r h, h as the product sees it, in h's.
    template <class Real>
    static void reset(Unit<Real>& q) {
        q.u[0] = sigmoid<Real>(q.u[0] + q.z[0]);
        q.u[1] = sigmoid<Real>(q.u[1] + q.z[1]);
        q.h *= q.u[0];
    }

    template <class Real>
    static void forward(Unit<Real>& q) {
        const Vector<Real> s = q.u[1], n = tanh<Real>(q.u[2] + q.z[2]);
        q.saved[0] = q.u[0], q.saved[1] = s, q.saved[2] = n;
        q.h = n + s * (q.h - n);
    }

    template <class Real>
    static void backward(Back<Real>& q) {
        const Vector<Real> s = q.saved[1], n = q.saved[2];
        q.d[1] = q.dh * ((q.before - n) * s * (1 - s));
        q.d[2] = q.dh * ((1 - s) * (1 - n * n));
        q.carry = q.dh * s;
    }

    // From dh, here the cotangent of r h: that of r in d, that of h (as the product sees it) in carry, and r h itself
    // in ``after``; ``before`` is h as the product sees it.
    template <class Real>
    static void backward_reset(Back<Real>& q) {
        const Vector<Real> r = q.saved[0];
        q.d[0] = q.dh * (q.before * r * (1 - r));
        q.carry = q.dh * r;
        q.after = q.before * r;
    }
};

}  // namespace
