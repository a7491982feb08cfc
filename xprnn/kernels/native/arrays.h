// Arrays of Python's as pointers, by the buffer protocol, and how a failure becomes a Python error.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

namespace {

// A Python error is set: leave.
struct Raised {};

[[noreturn]] void raise(PyObject* type, const std::string& message) {
    PyErr_SetString(type, message.c_str());
    throw Raised{};
}

long integer(PyObject* value) {
    const long number = PyLong_AsLong(value);
    if (number == -1 && PyErr_Occurred()) throw Raised{};
    return number;
}

template <class Shape>
std::string written(const Shape& shape) {
    std::string text = "(";
    for (long length : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(length);
    return text + ")";
}

// A buffer of Python's, given back at the end.
struct View : Py_buffer {
    View() : Py_buffer{} {}
    explicit View(PyObject* object, int flags = 0) : Py_buffer{} {
        if (PyObject_GetBuffer(object, this, PyBUF_STRIDES | PyBUF_FORMAT | flags)) throw Raised{};
    }
    ~View() { PyBuffer_Release(this); }  // does nothing where none was got
    View(const View&) = delete;

    // The letter of its numbers; 0 where they are not single numbers with their bytes in this machine's order.
    char letter() const {
        const char* last = said();
        last += *last == '@' || *last == '=';
        return std::strlen(last) == 1 ? *last : 0;
    }
    const char* said() const { return format ? format : "B"; }
};

// One array of Python's, held while the kernel needs it; None is a null pointer.
class Array {
  public:
    using Shape = std::initializer_list<long>;  // without memory of its own: a call of one step takes a microsecond

    // loose: how many of the axes may have any stride; the others must be dense.
    Array(PyObject* object, const char* name, char format, Shape shape, std::size_t loose = 0,
          bool written_to = false) {
        if (object == Py_None) return;
        if (PyObject_GetBuffer(object, &view_, PyBUF_STRIDES | PyBUF_FORMAT | (written_to ? PyBUF_WRITABLE : 0)))
            throw Raised{};
        check(name, format, shape);
        data_ = static_cast<char*>(view_.buf);
        for (std::size_t axis = 0; axis < 2 && axis < shape.size(); axis++) strides_[axis] = view_.strides[axis];
        if (!laid_out(shape, loose)) {
            if (written_to) raise(PyExc_ValueError, std::string(name) + " must be contiguous to be written to");
            copy(shape);
        }
    }

    template <class Value>
    Value* as() const {
        return reinterpret_cast<Value*>(data_);
    }
    long stride(int axis) const { return strides_[axis] / (data_ ? view_.itemsize : 1); }

  private:
    void check(const char* name, char format, Shape shape) {
        if (view_.letter() != format)
            raise(PyExc_TypeError,
                  std::string(name) + " holds numbers of format " + view_.said() + ", expected " + format);
        const Py_ssize_t* here = view_.shape;
        if (!std::equal(here, here + view_.ndim, shape.begin(), shape.end()))
            raise(PyExc_ValueError, std::string(name) + " has the shape " +
                                        written(std::vector<long>(here, here + view_.ndim)) + ", expected " +
                                        written(shape));
    }

    bool laid_out(Shape shape, std::size_t loose) const {
        Py_ssize_t dense = view_.itemsize;
        for (std::size_t axis = shape.size(); axis-- > loose;) {
            if (shape.begin()[axis] != 1 && view_.strides[axis] != dense) return false;
            dense *= shape.begin()[axis];
        }
        for (std::size_t axis = 0; axis < loose; axis++)
            if (view_.strides[axis] % view_.itemsize) return false;
        return reinterpret_cast<std::uintptr_t>(view_.buf) % view_.itemsize == 0;
    }

    void copy(Shape shape) {
        copied_.reset(new char[view_.len]);
        if (PyBuffer_ToContiguous(copied_.get(), &view_, view_.len, 'C')) throw Raised{};
        data_ = copied_.get();
        Py_ssize_t dense = view_.itemsize;
        for (std::size_t axis = shape.size(); axis-- > 0; dense *= shape.begin()[axis])
            if (axis < 2) strides_[axis] = dense;
    }

    View view_;
    char* data_ = nullptr;
    Py_ssize_t strides_[2] = {};
    std::unique_ptr<char[]> copied_;
};

}  // namespace
