"""The compiled kernel's threads: they last, they help all callers at once, and a forked child has its own."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from xprnn import cells
from xprnn.kernels import cpu
from xprnn.scan import scan

pytestmark = pytest.mark.skipif(not cpu.INSTRUCTIONS, reason="the kernel for CPUs was not built")
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="threads are counted as Linux does it")

# Enough work for two threads and more.
BEGIN = """
import os, sys
import numpy as np
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
