// The Python module ``_native``: from Python's arguments to the plain structs of interface.h, and back.
//
// Arrays come in by the buffer protocol. Whatever is not laid out as the kernel reads it is copied; what is written to
// must be laid out so already. The lock of the interpreter is released while the kernel computes.
#include "arrays.h"

#include <atomic>
#include <chrono>
#include <exception>
#include <new>
#include <stdexcept>
#include <thread>

#ifdef __GLIBCXX__
#include <cxxabi.h>
#endif

#include "interface.h"

namespace {

using namespace native;

struct Instructions {
    const char* name;
    bool (*usable)();
    const Kernels<float>& in_float;
    const Kernels<double>& in_double;
};

const Instructions ALL[] = {
#if defined(__x86_64__)
    {"avx512",
     [] {
         return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
     },
     avx512_float, avx512_double},
    {"avx2", [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }, avx2_float, avx2_double},
#endif
    {"plain", [] { return true; }, plain_float, plain_double},
};

// Call work with the kernel of the instructions of this name, in the precision of a format.
template <class Work>
void with_kernels(PyObject* name, char format, Work work) {
    for (const Instructions& one : ALL)
        if (PyUnicode_CompareWithASCIIString(name, one.name) == 0)
            return format == 'f' ? work(one.in_float) : work(one.in_double);
    raise(PyExc_ValueError, "no such instruction set in this build");
}

// The arguments that forward and backward begin with, and those from x on that a step has too.
enum Place { KERNELS, KIND, THREADS, REVERSE, FORMAT, T, B, D, H, INPUTS };
enum Input { X, MASK, WX, WH, BX, BH, WC, KEEP, REST };

struct Sizes {
    Kind kind;
    char format;
    long T, B, D, H, G;

    Sizes(long kind, char format, long T, long B, long D, long H)
        : kind(static_cast<Kind>(kind)), format(format), T(T), B(B), D(D), H(H) {
        if (kind < 0 || this->kind >= Kind::count) raise(PyExc_ValueError, "no such kind of cell");
        if (format != 'f' && format != 'd') raise(PyExc_ValueError, "the format is f or d");
        if (T < 1 || B < 1 || D < 1 || H < 1) raise(PyExc_ValueError, "an axis is empty");
        G = gates_of(this->kind) * H;
    }
};

Sizes sizes_said(PyObject* const* a) {
    return {integer(a[KIND]), static_cast<char>(integer(a[FORMAT])), integer(a[Place::T]), integer(a[Place::B]),
            integer(a[Place::D]), integer(a[Place::H])};
}

// Those of a step x (B, D).
Sizes sizes_of_step(long kind, long H, PyObject* x) {
    const View view(x);
    if (view.ndim != 2) raise(PyExc_ValueError, "x of a step is (B, D), not of " + std::to_string(view.ndim) + " axes");
    return {kind, view.letter(), 1, view.shape[0], view.shape[1], H};
}

// The inputs and parameters, held.
struct Inputs {
    Array x, mask, Wx, Wh, bx, bh, Wc, keep;

    // Of x, the first axes may have any stride.
    Inputs(PyObject* const* a, const Sizes& n, Array::Shape shape)
        : x(a[X], "x", n.format, shape, shape.size() - 1), mask(a[MASK], "mask", '?', {n.T, n.B, 1}, 2),
          Wx(a[WX], "Wx", n.format, {n.D, n.G}), Wh(a[WH], "Wh", n.format, {n.H, n.G}),
          bx(a[BX], "bx", n.format, {n.G}), bh(a[BH], "bh", n.format, {n.G}), Wc(a[WC], "Wc", n.format, {3 * n.H}),
          keep(a[KEEP], "keep", n.format, {n.B, n.H}) {
        const bool peepholes = n.kind == Kind::peephole_lstm;
        if (a[X] == Py_None || a[WX] == Py_None || a[WH] == Py_None || peepholes != (a[WC] != Py_None))
            raise(PyExc_ValueError, "x, Wx and Wh are needed, and Wc for peepholes only");
    }

    template <class Real>
    void fill(Problem<Real>& p, const Sizes& n, int threads, bool reverse) const {
        p.kind = n.kind, p.threads = threads, p.reverse = reverse;
        p.steps = n.T, p.batch = n.B, p.features = n.D, p.hidden = n.H;
        p.x = x.as<Real>(), p.x_step = x.stride(0), p.x_row = x.stride(1);
        p.mask = mask.as<unsigned char>(), p.mask_step = mask.stride(0), p.mask_row = mask.stride(1);
        p.Wx = Wx.as<Real>(), p.Wh = Wh.as<Real>(), p.bx = bx.as<Real>(), p.bh = bh.as<Real>();
        p.Wc = Wc.as<Real>(), p.keep = keep.as<Real>();
    }
};

// A state has h, and c where the kind has a memory.
void check_state(Kind kind, std::initializer_list<PyObject*> h, std::initializer_list<PyObject*> c) {
    bool fits = true;
    for (PyObject* leaf : h) fits &= leaf != Py_None;
    for (PyObject* leaf : c) fits &= (leaf != Py_None) == has_memory(kind);
    if (!fits) raise(PyExc_ValueError, has_memory(kind) ? "the state is (h, c)" : "the state is (h,)");
}

// Whether the interpreter is about to end.
std::atomic<bool> ending{false};

[[noreturn]] void stay() {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

// Do what takes the lock of the interpreter. Where that is ending, it ends any thread but the main one, with glibc by
// an exception that runs all destructors: but others may be at work with what it holds, and arrays are not to be given
// back without the lock. So it stays where it is, as Python itself has it from 3.14 on.
template <class Work>
void locking(Work work) {
#ifdef __GLIBCXX__
    try {
        work();
    } catch (const abi::__forced_unwind&) {
        stay();
    }
#else
    work();
#endif
}

// Run the kernel without the lock; what it throws is raised with it.
template <class Arguments>
void unlocked(void (*kernel)(const Arguments&), const Arguments& arguments) {
    std::exception_ptr failure;
    PyThreadState* const here = PyEval_SaveThread();
    try {
        kernel(arguments);
    } catch (...) {
        failure = std::current_exception();
    }
    locking([&] { PyEval_RestoreThread(here); });
    if (failure) std::rethrow_exception(failure);
}

// Two functions of Python's without arguments, and what became of them: each has a result or an error.
struct Calls {
    PyObject* const functions[2];
    mutable PyObject *results[2], *errors[2][3];

    void make(int which) const {
        if (ending) stay();  // there may be no lock any more
        locking([&] {
            const PyGILState_STATE held = PyGILState_Ensure();
            make_here(which);
            PyGILState_Release(held);
        });
    }

    void make_here(int which) const {
        results[which] = PyObject_CallNoArgs(functions[which]);
        PyErr_Fetch(&errors[which][0], &errors[which][1], &errors[which][2]);
    }
};

void make_both(const Calls& calls) {
    in_parallel(2, [](const void* what, int which) { static_cast<const Calls*>(what)->make(which); }, &calls);
}

int threads_of(PyObject* const* a) {
    const long said = integer(a[THREADS]);
    if (said < 1 || said > 1 << 15) raise(PyExc_ValueError, "threads are 1 to 32768, not " + std::to_string(said));
    return static_cast<int>(said);
}

template <class Real>
void forward_as(const Kernels<Real>& kernels, PyObject* const* a, const Sizes& n) {
    const char format = n.format;
    const long width = kernels.saved_width(n.kind, n.H);
    PyObject* const* rest = a + INPUTS + REST;
    const Inputs inputs(a + INPUTS, n, {n.T, n.B, n.D});
    check_state(n.kind, {rest[0], rest[2]}, {rest[1], rest[3]});
    const Array h(rest[0], "h", format, {n.B, n.H}), c(rest[1], "c", format, {n.B, n.H});
    const Array h_end(rest[2], "h_end", format, {n.B, n.H}, 0, true);
    const Array c_end(rest[3], "c_end", format, {n.B, n.H}, 0, true);
    const Array ys(rest[4], "ys", format, {n.T, n.B, n.H}, 0, true);
    const Array states(rest[5], "states", format, {n.T + 1, n.B, n.H}, 0, true);
    const Array saved(rest[6], "saved", format, {n.T, n.B, width}, 0, true);
    Forward<Real> f{};
    inputs.fill(f, n, threads_of(a), integer(a[REVERSE]) != 0);
    f.h = h.as<Real>(), f.c = c.as<Real>(), f.h_end = h_end.as<Real>(), f.c_end = c_end.as<Real>();
    f.ys = ys.as<Real>(), f.states = states.as<Real>(), f.saved = saved.as<Real>();
    unlocked(kernels.forward, f);
}

template <class Real>
void backward_as(const Kernels<Real>& kernels, PyObject* const* a, const Sizes& n) {
    const char format = n.format;
    const long width = kernels.saved_width(n.kind, n.H);
    PyObject* const* rest = a + INPUTS + REST;
    const Inputs inputs(a + INPUTS, n, {n.T, n.B, n.D});
    check_state(n.kind, {rest[3], rest[6]}, {rest[4], rest[7]});
    const Array states(rest[0], "states", format, {n.T + 1, n.B, n.H});
    const Array saved(rest[1], "saved", format, {n.T, n.B, width});
    const Array dys(rest[2], "dys", format, {n.T, n.B, n.H}, 2);
    const Array dh_end(rest[3], "dh", format, {n.B, n.H}), dc_end(rest[4], "dc", format, {n.B, n.H});
    const Array dx(rest[5], "dx", format, {n.T, n.B, n.D}, 0, true);
    const Array dh(rest[6], "dh", format, {n.B, n.H}, 0, true), dc(rest[7], "dc", format, {n.B, n.H}, 0, true);
    const Array dWx(rest[8], "dWx", format, {n.D, n.G}, 0, true), dWh(rest[9], "dWh", format, {n.H, n.G}, 0, true);
    const Array dbx(rest[10], "dbx", format, {n.G}, 0, true), dbh(rest[11], "dbh", format, {n.G}, 0, true);
    const Array dWc(rest[12], "dWc", format, {3 * n.H}, 0, true);
    Backward<Real> b{};
    inputs.fill(b, n, threads_of(a), integer(a[REVERSE]) != 0);
    b.states = states.as<Real>(), b.saved = saved.as<Real>();
    b.dys = dys.as<Real>(), b.dys_step = dys.stride(0), b.dys_row = dys.stride(1);
    b.dh_end = dh_end.as<Real>(), b.dc_end = dc_end.as<Real>();
    b.dx = dx.as<Real>(), b.dh = dh.as<Real>(), b.dc = dc.as<Real>();
    b.dWx = dWx.as<Real>(), b.dWh = dWh.as<Real>();
    b.dbx = dbx.as<Real>(), b.dbh = dbh.as<Real>(), b.dWc = dWc.as<Real>();
    unlocked(kernels.backward, b);
}

// One step, on this thread.
template <class Real>
void step_as(const Kernels<Real>& kernels, PyObject* const* a, const Sizes& n) {
    PyObject* const* rest = a + REST;
    const Inputs inputs(a, n, {n.B, n.D});
    check_state(n.kind, {rest[0], rest[3]}, {rest[1], rest[4]});
    const Array h(rest[0], "h", n.format, {n.B, n.H}), c(rest[1], "c", n.format, {n.B, n.H});
    const Array y(rest[2], "y", n.format, {n.B, n.H}, 0, true);
    const Array h_end(rest[3], "h_end", n.format, {n.B, n.H}, 0, true);
    const Array c_end(rest[4], "c_end", n.format, {n.B, n.H}, 0, true);
    Forward<Real> f{};
    inputs.fill(f, n, 1, false);
    f.x_row = inputs.x.stride(0);
    f.h = h.as<Real>(), f.c = c.as<Real>(), f.h_end = h_end.as<Real>(), f.c_end = c_end.as<Real>();
    f.ys = y.as<Real>();
    unlocked(kernels.forward, f);
}

template <class Real>
void curve_as(const Kernels<Real>& kernels, bool sigmoid, char format, PyObject* const* a) {
    const long length = integer(a[0]);
    const Array x(a[1], "x", format, {length}), y(a[2], "y", format, {length}, 0, true);
    kernels.curve(sigmoid, x.as<Real>(), y.as<Real>(), length);
}

// Run what may throw; Python's way to say that it did.
template <class Work>
PyObject* guarded(Work work) {
    try {
        return work();
    } catch (const Raised&) {
        return nullptr;
    } catch (const std::bad_alloc&) {
        return PyErr_NoMemory();
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
        return nullptr;
    }
}

void expect(Py_ssize_t count, Py_ssize_t wanted) {
    if (count != wanted) raise(PyExc_TypeError, "expected " + std::to_string(wanted) + " arguments");
}

PyObject* forward(PyObject*, PyObject* const* a, Py_ssize_t count) {
    return guarded([&] {
        expect(count, INPUTS + REST + 7);
        const Sizes n = sizes_said(a);
        with_kernels(a[KERNELS], n.format, [&](const auto& kernels) { forward_as(kernels, a, n); });
        Py_RETURN_NONE;
    });
}

PyObject* step(PyObject*, PyObject* const* a, Py_ssize_t count) {
    return guarded([&] {
        expect(count, 3 + REST + 5);
        PyObject* const* inputs = a + 3;
        const Sizes n = sizes_of_step(integer(a[1]), integer(a[2]), inputs[X]);
        with_kernels(a[0], n.format, [&](const auto& kernels) { step_as(kernels, inputs, n); });
        Py_RETURN_NONE;
    });
}

PyObject* backward(PyObject*, PyObject* const* a, Py_ssize_t count) {
    return guarded([&] {
        expect(count, INPUTS + REST + 13);
        const Sizes n = sizes_said(a);
        with_kernels(a[KERNELS], n.format, [&](const auto& kernels) { backward_as(kernels, a, n); });
        Py_RETURN_NONE;
    });
}

PyObject* both(PyObject*, PyObject* const* a, Py_ssize_t count) {
    return guarded([&]() -> PyObject* {
        expect(count, 2);
        const Calls calls{{a[0], a[1]}, {}, {}};
        if (ending) for (int which : {0, 1}) calls.make_here(which);
        else unlocked(make_both, calls);
        PyObject *const one = calls.results[0], *const other = calls.results[1];
        PyObject* pair = one && other ? PyTuple_Pack(2, one, other) : nullptr;
        for (int which = 1; which >= 0; which--) {  // of two errors the first stays
            Py_XDECREF(calls.results[which]);
            PyObject** error = calls.errors[which];
            if (error[0]) PyErr_Restore(error[0], error[1], error[2]);
        }
        return pair;
    });
}

PyObject* end(PyObject*, PyObject*) {
    ending = true;
    Py_RETURN_NONE;
}

PyObject* instruction_sets(PyObject*, PyObject*) {
    PyObject* names = PyList_New(0);
    for (const Instructions& one : ALL) {
        if (!names || !one.usable()) continue;
        PyObject* name = PyUnicode_FromString(one.name);
        if (!name || PyList_Append(names, name)) Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

PyObject* saved_width(PyObject*, PyObject* const* a, Py_ssize_t count) {
    return guarded([&] {
        expect(count, 4);
        const long kind = integer(a[1]), hidden = integer(a[3]);
        if (kind < 0 || kind >= static_cast<long>(Kind::count)) raise(PyExc_ValueError, "no such kind of cell");
        long width = 0;
        with_kernels(a[0], static_cast<char>(integer(a[2])), [&](const auto& kernels) {
            width = kernels.saved_width(static_cast<Kind>(kind), hidden);
        });
        return PyLong_FromLong(width);
    });
}

PyObject* curve(PyObject*, PyObject* const* a, Py_ssize_t count) {
    return guarded([&] {
        expect(count, 6);
        const char format = static_cast<char>(integer(a[2]));
        with_kernels(a[0], format, [&](const auto& kernels) { curve_as(kernels, integer(a[1]) != 0, format, a + 3); });
        Py_RETURN_NONE;
    });
}

template <class Function>
PyCFunction method(Function* function) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

PyMethodDef METHODS[] = {
    {"forward", method(forward), METH_FASTCALL, "Walk over time; the arguments are those of cpu.py."},
    {"step", method(step), METH_FASTCALL, "One step forward; the arguments are those of cpu.py."},
    {"backward", method(backward), METH_FASTCALL, "Walk back; the arguments are those of cpu.py."},
    {"both", method(both), METH_FASTCALL, "(first, second): what the two give, called on two threads at once."},
    {"end", method(end), METH_NOARGS, "The interpreter is about to end: no other thread is to call Python any more."},
    {"instruction_sets", method(instruction_sets), METH_NOARGS, "The names of those usable here, the fastest first."},
    {"saved_width", method(saved_width), METH_FASTCALL, "(instructions, kind, format, hidden): a row of saved."},
    {"curve", method(curve), METH_FASTCALL, "(instructions, sigmoid, format, count, x, y): y = tanh(x) or sigmoid(x)."},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef_Slot SLOTS[] = {{0, nullptr}};
PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, "_native", "The recurrent kernel for CPUs.", 0, METHODS, SLOTS,
                      nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__native() { return PyModuleDef_Init(&MODULE); }
