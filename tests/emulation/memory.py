"""The arguments of a kernel: arrays in memory with margins, and numbers."""

import ctypes

import numpy as np

from .build import SANITIZED

MARGIN = 0 if SANITIZED else 1 << 14
UNTOUCHED = b"\xff" * MARGIN
LETTERS = {"l": "q", "L": "Q"}  # NumPy has two names for 64 bits


class Struct(tuple):
    """The numbers, or the arrays, of a struct by value."""


class Argument(ctypes.Structure):
    """As in emulator.h."""

    _fields_ = (
        ("kind", ctypes.c_char), ("letter", ctypes.c_char), ("count", ctypes.c_int), ("value", ctypes.c_uint64),
    )  # fmt: skip


class Grid(ctypes.Structure):
    """As in schedule.h; the rest is the kernel's own affair."""

    _fields_ = (
        ("blocks", ctypes.c_longlong), ("threads", ctypes.c_int), ("meets", ctypes.c_bool), ("seed", ctypes.c_uint64),
        ("shared", ctypes.c_longlong), ("together", ctypes.c_bool), ("cluster", ctypes.c_int),
        ("most_threads", ctypes.c_int),
    )  # fmt: skip


def run(name, function, arguments, blocks, threads, seed=0, shared=0, together=False):
    """Run a kernel on copies of its arrays, and take over what it has done; RuntimeError if it did anything wrong."""
    copies, tuples = {}, []
    given = (Argument * len(arguments))(*(_argument(a, copies, tuples) for a in arguments))
    function.restype = ctypes.c_char_p
    grid = Grid(blocks=blocks, threads=threads, seed=seed % 2**64, shared=shared, together=together)
    wrong = function(given, len(arguments), ctypes.byref(grid))
    if wrong:
        raise RuntimeError(f"{name}: {wrong.decode()}")
    for low, size, copy, place in copies.values():
        if not (copy[:MARGIN].tobytes() == copy[MARGIN + size :].tobytes() == UNTOUCHED):
            raise RuntimeError(f"{name} writes beside an array of {size} bytes")
        ctypes.memmove(low, place, size)


def _argument(a, copies, tuples):
    """An argument as the emulator takes it; arrays that share memory do so in ``copies`` too."""
    if isinstance(a, np.ndarray):
        owner = a
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        if id(owner) not in copies:
            low, high = np.lib.array_utils.byte_bounds(owner)
            copy = np.full(high - low + 2 * MARGIN, 0xFF, np.uint8)
            copies[id(owner)] = low, high - low, copy, _place(copy) + MARGIN
            ctypes.memmove(copies[id(owner)][-1], low, high - low)
        low, _, _, place = copies[id(owner)]
        letter = LETTERS.get(a.dtype.char, a.dtype.char)
        return Argument(b"p", letter.encode(), 1, place + _place(a) - low)
    if isinstance(a, float):
        return Argument(b"d", b" ", 1, int(np.float64(a).view(np.uint64)))
    if type(a) is int:
        return Argument(b"i", b" ", 1, a % 2**64)
    if type(a) is Struct:
        tuples.append((Argument * len(a))(*(_argument(b, copies, tuples) for b in a)))
        return Argument(b"t", b" ", len(a), ctypes.addressof(tuples[-1]))
    raise TypeError(f"a kernel takes arrays, integers and floats, not {a!r}")


def _place(a):
    """Where an array begins; ``a.ctypes.data`` is the same, and takes three times as long."""
    return a.__array_interface__["data"][0]
