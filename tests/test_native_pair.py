"""A single row walked by two threads of the compiled kernel: the numbers of one thread, however the two meet."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_native import EACH_CELL, EACH_SET, tame
from test_native_sanitized import FOLDER, library

from xprnn import cells
from xprnn.backend import backend
from xprnn.kernels import cpu
from xprnn.testing import Case, compare

DRIVER = Path(__file__).with_name("native_pair.cpp")
BACK = ("dx", "ds", "dp")
CORES = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []


def obstacle(sanitizer=""):
    """Why the driver cannot be built or run here; empty if it can."""
    if len(CORES) < 2:
        return "two cores are told apart, as Linux does it"
    if shutil.which("g++") is None:
        return "there is no g++"
    if sanitizer and "XPRNN_SANITIZE" not in os.environ:
        return "asked for by XPRNN_SANITIZE=1"
    return f"this g++ came without {sanitizer}" if sanitizer and not Path(library(sanitizer)).is_absolute() else ""


def needs(sanitizer=""):
    return pytest.mark.skipif(bool(obstacle(sanitizer)), reason=obstacle(sanitizer) or "nothing")


def built(folder, *options):
    """The path of the driver, built with some options."""
    sources = [DRIVER, FOLDER / "memory.cpp", FOLDER / "threads.cpp"]
    command = ["g++", "-std=gnu++17", *options, "-ffp-contract=fast", "-pthread", f"-I{FOLDER}", *map(str, sources)]
    subprocess.run([*command, "-o", f"{folder}/pair"], check=True)
    return f"{folder}/pair"


def ways(program, interrupted):
    """How it went, by how they met."""
    command = [program, str(CORES[0]), str(CORES[-1]), str(int(interrupted))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    lines = [line.split() for line in done.stdout.splitlines()]
    return [(name, how) for name, how, *_ in lines]


def well(*names):
    """What each of three cells, plain and with all that there is, has to say, after whether few steps suit."""
    few = [("4-steps", "well"), ("5-steps", "well")]
    return few + [(name, "well") for name in names for _ in range(6)]


@needs()
def test_all_ways_to_meet(tmp_path):
    met = ways(built(tmp_path, "-O2"), True)
    assert met == well("behind", "before", "meanwhile", "beneath", "interrupted")


@needs("libtsan.so")
def test_nothing_is_read_while_it_is_written(tmp_path):
    met = ways(built(tmp_path, "-O1", "-g1", "-fsanitize=thread"), False)
    assert met == well("behind", "before", "meanwhile", "beneath")


def walked(case, kernel, a, tape=True, outputs=True):
    """What a kernel's walk gives, and with a tape what one thread gives of that."""
    y, end, kept = kernel.forward(case.cell, a.p, a.x, a.s, a.mask, case.reverse, tape, outputs)
    found = {"y": y, "end": end} if outputs else {"end": end}
    if tape:
        found |= zip(BACK, case.kernel.backward(case.cell, a.p, kept, a.dys, a.ds), strict=True)
    return found


@EACH_SET
@EACH_CELL
@pytest.mark.skipif(not cpu.INSTRUCTIONS, reason="the kernel for CPUs was not built")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_number_of_threads_is_not_in_the_numbers(instructions, make, dtype):
    rng = np.random.default_rng(0)
    for seed, hidden in enumerate((64, 100, 201)):
        features = int(rng.integers(1, 40))
        case = Case(
            make(hidden), backend("numpy", dtype), cpu.CPU(1, instructions), reverse=bool(seed & 1),
            padding="holes" if seed else "none", dropout=0.4 * (seed == 2), features=features,
            steps=9_000_000 // (hidden * (hidden + features)), batch=1, seed=seed,
        )  # fmt: skip
        a = case.place(tame(case))
        one = walked(case, case.kernel, a)
        for asked in ((True, True), (False, True), (False, False)):
            two = walked(case, cpu.CPU(2, instructions), a, *asked)
            compare.identical("two threads", case, two, {name: one[name] for name in two})


@pytest.mark.parametrize("steps", [2, 4, 5])
@pytest.mark.skipif(not cpu.INSTRUCTIONS, reason="the kernel for CPUs was not built")
def test_few_steps_of_many_units(steps):
    case = Case(cells.LSTM(800), backend("numpy", "float32"), cpu.CPU(1), features=800, steps=steps, batch=1)
    a = case.place(tame(case))
    one = walked(case, case.kernel, a, False)
    for _ in range(5):
        compare.identical("two threads", case, walked(case, cpu.CPU(2), a, False), one)
