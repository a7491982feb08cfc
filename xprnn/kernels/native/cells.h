// The cells: what one step does to a vector of units of one row, and its reverse. The products are done elsewhere.
//
// There are two halves to a step: ``gates`` is what z alone decides, ``output`` what has to wait for that. Who does the
// first half of several vectors before the second of any does not wait.
//
// Each says how its gates lie in a row of z, the sums of products that a step bends, and of d, their cotangents. There
// are ``columns`` of them: h drives the first ``recurrents``, x drives those from ``first_drive`` on. What a step saves
// for the way back has ``saved`` parts.
#pragma once

#include "curves.h"

namespace {

// A vector of units on the way there; h and c are the state before the step and then the one after it.
template <class Real>
struct Unit {
    Vector<Real> z[4], h, c, saved[5], constant[3];
};

// A vector of units on the way back: dh and dc are of the state after the step; then dc is of the one before it, and
// ``carry`` that part of the cotangent of h before it that does not come through the product with Wh.
template <class Real>
struct Back {
    Vector<Real> saved[5], before, after, dh, dc, carry, d[4], constant[3], dconstant[3];
};

// Where in ``saved`` a vector of units begins, of one of so many rows at step t. All parts lie side by side, and the
// rows one behind the other, as both walks visit them.
template <class Cell, class Real>
inline long saved_place(long t, long unit, long row, long rows, long padded) {
    return (t * padded * rows + unit * rows + row * LANES<Real>)*Cell::saved;
}

// What most cells have; a cell says what is different.
struct Plain {
    static constexpr int first_drive = 0, constants = 0;  // constants: vectors that are the same for all rows
    static constexpr bool memory = false;    // whether the state has a c
    static constexpr bool carries = false;   // whether there is a ``carry``
    static constexpr bool two_steps = false; // whether the last gate's product has to wait for the others
    static int recurrent_gate(int place) { return place; }  // the gate of Wh in this place
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
    static Vector<Real> of(Vector<Real> x) { return upper(Vector<Real>{}, x); }  // NaN stays
    template <class Real>
    static Vector<Real> slope(Vector<Real> y) { return y > 0 ? 1 - Vector<Real>{} : Vector<Real>{}; }
};

struct Identity {
    template <class Real>
    static Vector<Real> of(Vector<Real> x) { return x; }
    template <class Real>
    static Vector<Real> slope(Vector<Real>) { return 1 - Vector<Real>{}; }
};

// h' = f(z)
template <class Activation>
struct Elman : Plain {
    static constexpr int recurrents = 1, columns = 1, saved = 0;

    template <class Real>
    static void gates(Unit<Real>&) {}

    template <class Real>
    static void output(Unit<Real>& q) { q.h = Activation::template of<Real>(q.z[0]); }

    template <class Real>
    static void backward(Back<Real>& q) { q.d[0] = q.dh * Activation::template slope<Real>(q.after); }
};

// i, f, o = σ(z), g = tanh(z), c' = f c + i g, h' = o tanh c'; with peepholes wi c, wf c, wo c' inside the σ.
template <bool peepholes>
struct Memory : Plain {
    static constexpr int recurrents = 4, columns = 4, saved = 5;
    static constexpr int constants = peepholes ? 3 : 0;
    static constexpr bool memory = true;

    template <class Real>
    static void gates(Unit<Real>& q) {
        using V = Vector<Real>;
        V zi = q.z[0], zf = q.z[1];
        if (peepholes) zi += q.constant[0] * q.c, zf += q.constant[1] * q.c;
        const V i = sigmoid<Real>(zi), f = sigmoid<Real>(zf), g = tanh<Real>(q.z[2]);
        q.saved[0] = i, q.saved[1] = f, q.saved[2] = g, q.saved[4] = q.c;
        q.c = f * q.c + i * g;
    }

    template <class Real>
    static void output(Unit<Real>& q) {
        const Vector<Real> zo = peepholes ? q.z[3] + q.constant[2] * q.c : q.z[3];
        q.saved[3] = sigmoid<Real>(zo);
        q.h = q.saved[3] * tanh<Real>(q.c);
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

// r, s = σ(z), n = tanh(outer + r inner), h' = (1 - s) n + s h. z holds inner, r, s, outer: h drives the first three,
// x the last three.
struct Gated : Plain {
    static constexpr int recurrents = 3, columns = 4, saved = 4, first_drive = 1;
    static constexpr bool carries = true;
    static int recurrent_gate(int place) { return place == 0 ? 2 : place - 1; }

    template <class Real>
    static void gates(Unit<Real>& q) {
        q.saved[0] = sigmoid<Real>(q.z[1]), q.saved[1] = sigmoid<Real>(q.z[2]), q.saved[3] = q.z[0];
        q.z[3] += q.saved[0] * q.z[0];
    }

    template <class Real>
    static void output(Unit<Real>& q) {
        const Vector<Real> n = tanh<Real>(q.z[3]);
        q.saved[2] = n;
        q.h = n + q.saved[1] * (q.h - n);
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

// r, s = σ(z), n = tanh(z), where h drives n as r h; h' = (1 - s) n + s h.
struct GatedBefore : Plain {
    static constexpr int recurrents = 3, columns = 3, saved = 3;
    static constexpr bool carries = true, two_steps = true;

    // Saves r and s, and makes r h of h as the product sees it.
    template <class Real>
    static void reset(Unit<Real>& q) {
        q.saved[0] = sigmoid<Real>(q.z[0]);
        q.saved[1] = sigmoid<Real>(q.z[1]);
        q.h *= q.saved[0];
    }

    template <class Real>
    static void gates(Unit<Real>&) {}

    template <class Real>
    static void output(Unit<Real>& q) {
        const Vector<Real> s = q.saved[1], n = tanh<Real>(q.z[2]);
        q.saved[2] = n;
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
