// The cells: what one step does to one unit of one row, and its reverse. The products are done elsewhere.
//
// Each says how its gates lie in a row of ``saved``, in blocks of H columns: first the sums z that a step bends, then
// what it leaves for the way back; and on the way back their cotangents. There are ``columns`` blocks. x drives those
// from ``first_drive`` on, in the order of Wx; ``recurrent(k)`` is the block of Wh that drives block k, or -1. The last
// ``zones`` blocks are no sums but what zoneout does to a unit.
// Where some gates must be known before the product for the others can be made, ``late`` is the first of those others.
#pragma once
#include "runtime.cuh"

// A unit on the way there; h and c are the state before the step and then the one after it.
struct Unit {
    Real z[6], h, c, peephole[3];
};

// A unit on the way back: dh and dc are of the state after the step; then dc is of the one before it, and ``carry``
// that part of the cotangent of h before it that does not come through the product with Wh. z is what the step has
// left.
struct Back {
    Real z[6], before, after, c_before, c_after, dh, dc, carry, d[6], peephole[3];
};

// ``again`` makes the state after a step once more, from the one before it and what the step has left.
struct Plain {
    static constexpr int first_drive = 0, late = 0, zones = 0;
    static constexpr bool memory = false, peepholes = false, saves = true;
    __device__ static int recurrent(int k) { return k; }
};

// Activations, and their slopes, told the output.
struct Tanh {
    __device__ static Real of(Real x) { return hyperbolic(x); }
    __device__ static Real slope(Real y) { return 1 - y * y; }
};

struct Relu {
    __device__ static Real of(Real x) { return x < 0 ? Real(0) : x; }  // NaN stays
    __device__ static Real slope(Real y) { return y > 0 ? Real(1) : Real(0); }
};

struct Identity {
    __device__ static Real of(Real x) { return x; }
    __device__ static Real slope(Real) { return 1; }
};

// h' = f(z)
template <class Activation>
struct Elman : Plain {
    static constexpr int columns = 1, recurrents = 1;
    static constexpr bool saves = false;

    __device__ static void forward(Unit& q) { q.h = q.z[0] = Activation::of(q.z[0]); }
    __device__ static void again(Back& q) { q.after = q.z[0]; }
    __device__ static void backward(Back& q) { q.d[0] = q.dh * Activation::slope(q.after); }
};

// i, f, o = σ(z), g = tanh(z), c' = f c + i g, h' = o tanh c'; with peepholes wi c, wf c, wo c' inside the σ.
template <bool looks>
struct Memory : Plain {
    static constexpr int columns = 4, recurrents = 4;
    static constexpr bool memory = true, peepholes = looks;

    __device__ static void forward(Unit& q) {
        const Real before = q.c;
        q.z[0] = sigmoid(looks ? q.z[0] + q.peephole[0] * before : q.z[0]);
        q.z[1] = sigmoid(looks ? q.z[1] + q.peephole[1] * before : q.z[1]);
        q.z[2] = hyperbolic(q.z[2]);
        q.c = q.z[1] * before + q.z[0] * q.z[2];
        q.z[3] = sigmoid(looks ? q.z[3] + q.peephole[2] * q.c : q.z[3]);
        q.h = q.z[3] * hyperbolic(q.c);
    }

    __device__ static void again(Back& q) {
        q.c_after = q.z[1] * q.c_before + q.z[0] * q.z[2];
        q.after = q.z[3] * hyperbolic(q.c_after);
    }

    __device__ static void backward(Back& q) {
        const Real i = q.z[0], f = q.z[1], g = q.z[2], o = q.z[3], t = hyperbolic(q.c_after);
        q.d[3] = q.dh * (t * o * (1 - o));
        Real dc = q.dc + q.dh * (o * (1 - t * t));
        if (looks) dc += q.d[3] * q.peephole[2];
        q.d[0] = dc * (g * i * (1 - i));
        q.d[1] = dc * (q.c_before * f * (1 - f));
        q.d[2] = dc * (i * (1 - g * g));
        q.dc = dc * f;
        if (looks) q.dc += q.d[0] * q.peephole[0] + q.d[1] * q.peephole[1];
    }
};

// r, s = σ(z), n = tanh(outer + r inner), h' = (1 - s) n + s h, in the order inner, r, s, outer: h drives the first
// three, x the last three. Left for the way back are inner, r, s and n.
struct Gated : Plain {
    static constexpr int columns = 4, recurrents = 3, first_drive = 1;
    __device__ static int recurrent(int k) { return k == 0 ? 2 : k == 3 ? -1 : k - 1; }

    __device__ static void forward(Unit& q) {
        q.z[1] = sigmoid(q.z[1]);
        q.z[2] = sigmoid(q.z[2]);
        q.z[3] = hyperbolic(q.z[3] + q.z[1] * q.z[0]);
        q.h = q.z[3] + q.z[2] * (q.h - q.z[3]);
    }

    __device__ static void again(Back& q) { q.after = q.z[3] + q.z[2] * (q.before - q.z[3]); }

    __device__ static void backward(Back& q) {
        const Real inner = q.z[0], r = q.z[1], s = q.z[2], n = q.z[3];
        q.d[3] = q.dh * ((1 - s) * (1 - n * n));
        q.d[0] = q.d[3] * r;
        q.d[1] = q.d[3] * (inner * r * (1 - r));
        q.d[2] = q.dh * ((q.before - n) * s * (1 - s));
        q.carry = q.dh * s;
    }
};

// r, s = σ(z), n = tanh(z), where h drives n as r h; h' = (1 - s) n + s h. The reset has come before: z[0] and z[1] are
// r and s, and on the way back the cotangent of r comes after.
struct GatedBefore : Plain {
    static constexpr int columns = 3, recurrents = 3, late = 2;

    __device__ static void forward(Unit& q) {
        q.z[2] = hyperbolic(q.z[2]);
        q.h = q.z[2] + q.z[1] * (q.h - q.z[2]);
    }

    __device__ static void again(Back& q) { q.after = q.z[2] + q.z[1] * (q.before - q.z[2]); }

    __device__ static void backward(Back& q) {
        const Real s = q.z[1], n = q.z[2];
        q.d[0] = 0;
        q.d[1] = q.dh * ((q.before - n) * s * (1 - s));
        q.d[2] = q.dh * ((1 - s) * (1 - n * n));
        q.carry = q.dh * s;
    }
};

// The layer-normalized LSTM in pieces, between which sums are made over the units of a row: i, f, o = σ(z),
// g = tanh(z), c' = f c + i g; then h' = o tanh m, where m is what the norm makes of c'.
struct Normalized : Plain {
    static constexpr int columns = 4, recurrents = 4;
    static constexpr bool memory = true;

    __device__ static void remember(Unit& q) {
        q.z[0] = sigmoid(q.z[0]);
        q.z[1] = sigmoid(q.z[1]);
        q.z[2] = hyperbolic(q.z[2]);
        q.z[3] = sigmoid(q.z[3]);
        q.c = q.z[1] * q.c + q.z[0] * q.z[2];
    }
    __device__ static void speak(Unit& q, Real m) { q.h = q.z[3] * hyperbolic(m); }

    // The cotangent of m.
    __device__ static Real speak_back(Back& q, Real m) {
        const Real o = q.z[3], t = hyperbolic(m);
        q.d[3] = q.dh * (t * o * (1 - o));
        return q.dh * (o * (1 - t * t));
    }
    __device__ static void remember_back(Back& q) {
        const Real i = q.z[0], f = q.z[1], g = q.z[2];
        q.d[0] = q.dc * (g * i * (1 - i));
        q.d[1] = q.dc * (q.c_before * f * (1 - f));
        q.d[2] = q.dc * (i * (1 - g * g));
        q.dc *= f;
    }
};

// Zoneout of a cell: h' = m ĥ + (1 - m) h with the cell's own ĥ, and so for c. m stands in a block behind the cell's
// own, that for c in the next; on the way back their cotangents do.
template <class Inner>
struct Zoned : Inner {
    static constexpr int own = Inner::columns, zones = Inner::memory ? 2 : 1, columns = own + zones;
    static constexpr bool saves = true;
    __device__ static int recurrent(int k) { return k < own ? Inner::recurrent(k) : -1; }

    __device__ static void forward(Unit& q) {
        const Real h = q.h, c = q.c;
        Inner::forward(q);
        q.h = q.z[own] * q.h + (1 - q.z[own]) * h;
        if (Inner::memory) q.c = q.z[own + 1] * q.c + (1 - q.z[own + 1]) * c;
    }

    __device__ static void backward(Back& q) {
        const Real dh = q.dh, dc = q.dc;
        Inner::again(q);
        q.d[own] = dh * (q.after - q.before);
        q.d[own + 1] = dc * (q.c_after - q.c_before);
        q.dh = q.z[own] * dh;
        if (Inner::memory) q.dc = q.z[own + 1] * dc;
        Inner::backward(q);
        q.carry += (1 - q.z[own]) * dh;
        if (Inner::memory) q.dc += (1 - q.z[own + 1]) * dc;
    }
};

typedef CELL Cell;
[[maybe_unused]] constexpr int SUMS = Cell::columns - Cell::zones;
