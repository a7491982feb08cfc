"""A device that runs the CUDA sources of the package on the CPU, over NumPy arrays."""

import ctypes
import functools
import hashlib
import itertools
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from xprnn.gpu import blas
from xprnn.gpu.sources import source

HEADER = Path(__file__).parent / "emulator.h"
COMPILER = shutil.which("g++") or shutil.which("clang++")
MISSING = "" if COMPILER else "there is no C++ compiler to run CUDA sources with"
KERNEL = re.compile(r"extern \"C\" __global__ void (\w+)\(")
BARRIERS = ("__syncthreads", "__syncwarp", "__shfl")
GUARD = 1 << 14


class Argument(ctypes.Structure):
    """As in emulator.h."""

    _fields_ = (("kind", ctypes.c_char), ("letter", ctypes.c_char), ("value", ctypes.c_uint64))


@dataclass(frozen=True)
class Emulated:
    """A ``Device`` over NumPy arrays.

    seed:  decides the order of threads, other for each launch.
    edits: (file, old, new) to run damaged sources.

    Fresh arrays are full of NaN. Around each array that a kernel is given there is a margin of NaN: a kernel that
    writes there raises, and what it reads there is seen in its results.
    """

    seed: int = 0
    edits: tuple[tuple[str, str, str], ...] = ()
    launches: itertools.count = field(default_factory=itertools.count, compare=False, repr=False)

    def owns(self, x):
        return type(x) is np.ndarray

    def empty(self, shape, dtype):
        dtype = np.dtype(dtype)
        return np.full(shape, np.nan if dtype.kind == "f" else 0x7FFF if dtype.kind == "u" else -1, dtype)

    def kernel(self, file, name, defines=()):
        library, barriers = compiled(file, defines, self.edits)
        run = library[f"run_{name}"]
        run.restype = ctypes.c_char_p

        def launch(blocks, threads, arguments):
            memory = Guarded(arguments)
            given = (Argument * len(arguments))(*map(memory.argument, arguments))
            seed = ctypes.c_uint64(self.seed * 1_000_003 + next(self.launches))
            wrong = run(given, len(arguments), ctypes.c_longlong(blocks), threads, barriers, seed)
            if wrong:
                raise RuntimeError(f"{name} of {file}: {wrong.decode()}")
            memory.leave(f"{name} of {file}")

        return launch

    def product(self, precision="highest"):
        return functools.partial(multiply, precision)


class Guarded:
    """Copies of the arrays among a kernel's arguments, those that share memory in one, with margins around them."""

    def __init__(self, arguments):
        self._copies = {}
        for a in arguments:
            if isinstance(a, np.ndarray):
                owner = _owner(a)
                if id(owner) not in self._copies:
                    low, high = np.lib.array_utils.byte_bounds(owner)
                    copy = np.full(high - low + 2 * GUARD, 0xFF, np.uint8)
                    ctypes.memmove(copy.ctypes.data + GUARD, low, high - low)
                    self._copies[id(owner)] = low, high, copy

    def argument(self, a):
        """An argument as the emulator takes it."""
        if isinstance(a, np.ndarray):
            low, _, copy = self._copies[id(_owner(a))]
            return Argument(b"p", a.dtype.char.encode(), copy.ctypes.data + GUARD + a.ctypes.data - low)
        if isinstance(a, float):
            return Argument(b"d", b" ", int(np.float64(a).view(np.uint64)))
        if type(a) is int:
            return Argument(b"i", b" ", a % 2**64)
        raise TypeError(f"a kernel takes arrays, integers and floats, not {a!r}")

    def leave(self, name):
        """Copy back what the kernel has done; RuntimeError if it wrote beside the arrays."""
        for low, high, copy in self._copies.values():
            if not (np.all(copy[:GUARD] == 0xFF) and np.all(copy[-GUARD:] == 0xFF)):
                raise RuntimeError(f"{name} writes beside an array of {high - low} bytes")
            ctypes.memmove(low, copy.ctypes.data + GUARD, high - low)


def _owner(a):
    while isinstance(a.base, np.ndarray):
        a = a.base
    return a


@functools.cache
def compiled(file, defines, edits=()):
    """The source built for this machine, and whether its threads meet."""
    text = source(file)
    for name, old, new in edits:
        if name == file:
            assert old in text, f"{file} has no {old!r}"
            text = text.replace(old, new)
    names = KERNEL.findall(text)
    entries = "\n".join(ENTRY.format(name=name) for name in names)
    code = f'#include <tuple>\n#include "{HEADER}"\n{text}\n{entries}\n'
    options = [f"-D{name}={value}" for name, value in defines]
    path = folder() / hashlib.sha256(repr((code, options)).encode()).hexdigest()[:24]
    path.with_suffix(".cpp").write_text(code, encoding="utf-8")
    target = path.with_suffix(".so")
    command = [COMPILER, "-std=c++17", "-O1", "-g0", "-shared", "-fPIC", "-Wall", "-Wno-unused-function", "-Werror"]
    done = subprocess.run([*command, *options, path.with_suffix(".cpp"), "-o", target], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{file} with {options} does not compile:\n{done.stderr[:3000]}")
    return ctypes.CDLL(str(target)), any(word in text for word in BARRIERS)


ENTRY = """
extern "C" const char* run_{name}(const emulator::Argument* arguments, int count, long long blocks, int threads,
                                   bool barriers, std::uint64_t seed) {{
    return emulator::launch({name}, arguments, count, blocks, threads, barriers, seed);
}}"""


@functools.cache
def folder():
    """Where this process builds."""
    kept = tempfile.TemporaryDirectory(prefix="xprnn-emulated-")
    FOLDERS.append(kept)
    return Path(kept.name)


FOLDERS = []


def multiply(precision, a, b, out, accumulate=False):
    """out = a b or out += a b, asked of BLAS as a GPU is asked, on what BLAS would find at these places in memory."""
    call = blas.gemm(a, b, out)
    A, B, C = (by_columns(x, *shape) for x, shape in ((b, _a(call)), (a, _b(call)), (out, (call.m, call.n, call.ldc))))
    A, B = (numbers(x, precision) for x in (A, B))
    exact = (A.T if call.transpose_a else A) @ (B.T if call.transpose_b else B)
    C[...] = narrowed(exact + numbers(C, "highest") if accumulate else exact, C.dtype)


def _a(call):
    return (*((call.k, call.m) if call.transpose_a else (call.m, call.k)), call.lda)


def _b(call):
    return (*((call.n, call.k) if call.transpose_b else (call.k, call.n)), call.ldb)


def by_columns(x, rows, columns, distance):
    """The matrix that BLAS reads where x begins."""
    if distance < max(rows, 1):
        raise ValueError(f"columns of {rows} numbers cannot be {distance} apart")
    strides = x.itemsize, distance * x.itemsize
    return np.lib.stride_tricks.as_strided(x, (rows, columns), strides)


def numbers(x, precision):
    """x as what the product is made of: bfloat16 and float16 as float32, float32 rounded as the precision says."""
    if x.dtype == np.uint16:
        return (x.astype(np.uint32) << 16).view(np.float32)
    if x.dtype == np.float16:
        return x.astype(np.float32)
    bits = {"highest": 0, "high": 13, "medium": 16}[precision]
    if x.dtype == np.float64 or not bits:
        return x
    return rounded(x, bits)


def rounded(x, bits):
    """float32 without its last bits, to the nearest, to even of two."""
    raw = np.ascontiguousarray(x).view(np.uint32).astype(np.uint64)
    near = ((raw + (1 << (bits - 1)) - 1 + ((raw >> bits) & 1)) >> bits) << bits
    return np.where(np.isfinite(x), near.astype(np.uint32).view(np.float32), x)


def narrowed(x, dtype):
    """x as an array of the dtype holds it."""
    if dtype == np.uint16:
        return (rounded(x.astype(np.float32), 16).view(np.uint32) >> 16).astype(np.uint16)
    return x.astype(dtype)
