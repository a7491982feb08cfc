"""The memory that the compiled kernel keeps from call to call: enough for the next one, and no more."""

import ctypes
import os
import subprocess
import sys

import pytest

from xprnn.kernels import cpu


def can_be_counted():
    return sys.platform.startswith("linux") and hasattr(ctypes.CDLL(None), "mallinfo2")


pytestmark = [
    pytest.mark.skipif(not cpu.INSTRUCTIONS, reason="the kernel for CPUs was not built"),
    pytest.mark.skipif(not can_be_counted(), reason="what is in use is counted as glibc does it"),
]

# run(T) walks there and back; used() is what is in use, in bytes, of the heap and of maps of its own.
BEGIN = """
import ctypes
import numpy as np
from xprnn import cells
from xprnn.kernels import cpu
from xprnn.scan import scan, scan_vjp

class Counts(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Counts
def used():
    counts = libc.mallinfo2()
    return counts.uordblks + counts.hblkhd

cell, rng = cells.LSTM(64), np.random.default_rng(0)
p, kernel = cell.init(rng, 64), cpu.CPU(THREADS)
def run(steps):
    x = np.ones((steps, 1, 64))
    _, end, tape = scan(cell, p, x, kernel=kernel, outputs=False)
    scan_vjp(cell, p, tape, None, end, inputs=False)
"""


def kept(walks, threads):
    """The bytes that are in use after walks over so many steps each, beyond those that were before."""
    code = BEGIN.replace("THREADS", str(threads)) + f"""
run(10)
before = used()
for steps in {list(walks)}:
    run(steps)
print(used() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.parametrize("threads", [1, 2])
def test_what_is_kept_is_for_one_call(threads):
    once = kept([600], threads)
    assert once > 600 * 4 * 64 * 8  # there is something to keep: the cotangents of all gates
    assert kept([600] * 5, threads) < 1.1 * once
    assert kept(range(200, 601, 16), threads) < 1.1 * once  # one that was too small is not kept beside a larger one
    assert kept(range(600, 199, -16), threads) < 2 * once
