"""The compiled kernel's threads: they last, they help all callers at once, and a forked child has its own."""

import functools
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import xprnn as xr
from xprnn import cells
from xprnn.kernels import cpu
from xprnn.scan import scan

pytestmark = pytest.mark.skipif(not cpu.INSTRUCTIONS, reason="the kernel for CPUs was not built")
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="threads are counted as Linux does it")

# Enough work for two threads and more.
BEGIN = """
import os, sys
import numpy as np
import xprnn as xr
from xprnn import cells
from xprnn.kernels import cpu
from xprnn.scan import scan
cell, rng = cells.LSTM(64), np.random.default_rng(0)
p, x = cell.init(rng, 64), rng.normal(size=(60, 40, 64))
count = lambda: len(os.listdir("/proc/self/task"))
run = lambda threads: scan(cell, p, x, kernel=cpu.CPU(threads), tape=False)[0].tobytes()
"""
LASTING = """
run(1)
before = count()
run(2)
first = count()
for _ in range(20):
    run(2)
print(first - before, count() - before)
"""
FORKED = """
here = run(2)
child = os.fork()
if child == 0:
    before = count()
    os._exit(0 if run(2) == run(2) == here and count() == before + 1 else 1)
print(os.waitpid(child, 0)[1], run(2) == here)
"""


def printed(code):
    """What a program prints that begins with a problem for several threads."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code], capture_output=True, text=True, timeout=60, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@LINUX
def test_threads_last():
    assert printed(LASTING) == ["1", "1"]


@LINUX
def test_child_of_fork():
    assert printed(FORKED) == ["0", "True"]


def test_callers_at_once():
    cell, rng = cells.GRU(48), np.random.default_rng(0)
    p = cell.init(rng, 40)
    problems = [(threads, rng.normal(size=(60, 33, 40))) for threads in (2, 3, 4, 1)]

    def answer(threads, x):
        return scan(cell, p, x, kernel=cpu.CPU(threads), tape=False)[0]

    alone = [answer(*problem) for problem in problems]
    wrong = []

    def caller(n):
        for _ in range(10):
            if not np.array_equal(answer(*problems[n]), alone[n]):
                wrong.append(n)

    callers = [threading.Thread(target=caller, args=(n,)) for n in range(len(problems))]
    for one in callers:
        one.start()
    for one in callers:
        one.join()
    assert not wrong


@pytest.mark.parametrize(("sizes", "times"), [((1, 1700, 24), 2), ((1, 600, 24), 0), ((2, 1700, 24), 0)])
def test_directions_at_once(sizes, times, monkeypatch):
    """A long single row leaves a thread for the other direction; the numbers are those of one after the other."""
    model = xr.Model(xr.LSTM(40, bidirectional=True), dtype="float64", input_shape=(None, 24))
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=sizes), rng.normal(size=(*sizes[:2], 80))
    calls = []

    def answer(threads):
        monkeypatch.setattr(cpu, "THREADS", threads)
        y, state, tape = model.forward(x)
        dx, dstate, grads = model.backward(tape, dy)
        return [y, *xr.tree.leaves(state), dx, *xr.tree.leaves(dstate), *xr.tree.leaves(grads)]

    def both(self, *functions, plain=cpu.CPU.both):
        calls.append(functions)
        return plain(self, *functions)

    monkeypatch.setattr(cpu.CPU, "both", both)
    alone = answer(1)
    assert not calls
    beside = answer(2)
    assert len(calls) == times
    close = {1: np.array_equal, 2: lambda a, b: np.allclose(a, b, rtol=1e-12, atol=1e-12)}[sizes[0]]  # rows are shared
    assert all(map(close, beside, alone)) and len(beside) == len(alone) == 16


def test_an_error_beside_another():
    def failing(error):
        raise error

    here, there = ValueError("here"), TypeError("there")
    for first, second in ((here, None), (None, there), (here, there)):
        calls = [int if one is None else functools.partial(failing, one) for one in (first, second)]
        with pytest.raises(Exception, match=str(first or second)) as raised:
            cpu.CPU(2).both(*calls)
        assert raised.value is (first or second)
    assert cpu.CPU(2).both(lambda: "a", lambda: "b") == ("a", "b")


def test_context_beside():
    """What a context variable says holds on the other thread too, NumPy's handling of errors among them."""
    begun = threading.Event()

    def first():
        assert begun.wait(30)  # or this thread might do both
        return threading.get_ident(), np.geterr()["over"]

    def second():
        begun.set()
        return threading.get_ident(), np.geterr()["over"]

    with np.errstate(over="raise"):
        (here, one), (there, other) = cpu.CPU(2).both(first, second)
    assert here != there and one == other == "raise"
