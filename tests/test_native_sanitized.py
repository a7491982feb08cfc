"""The compiled kernel under AddressSanitizer and UBSan; building it so takes a while, so it is asked for:

    XPRNN_SANITIZE=1 python -m pytest tests/test_native_sanitized.py
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "xprnn" / "kernels" / "native"
OPTIONS = (
    "-std=gnu++17", "-O0", "-g1", "-fPIC", "-ffp-contract=fast", "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all", "-DPy_LIMITED_API=0x030B0000",
)  # fmt: skip

# Every cell on every instruction set, at sizes that fill no vector and ones that do, with all that can be left out.
CODE = """
import importlib.util, itertools, sys
spec = importlib.util.spec_from_file_location("_native", sys.argv[1])
native = importlib.util.module_from_spec(spec)
spec.loader.exec_module(native)
import numpy as np
from xprnn import cells
from xprnn.backend import backend
from xprnn.kernels import cpu
from xprnn.testing import Case, hold
cpu._native, cpu.INSTRUCTIONS = native, tuple(native.instruction_sets())
made = [cells.RNN, cells.LSTM, cells.PeepholeLSTM, cells.GRU, cells.GRUResetBefore]
sizes = [(1, 1, 1, 1), (3, 2, 5, 7), (33, 16, 1, 1), (16, 33, 2, 15), (65, 3, 40, 2), (100, 17, 3, 31),
         (17, 9, 1, 1), (75, 31, 3, 1), (64, 40, 4, 1), (7, 5, 3, 1), (75, 31, 30, 1), (64, 40, 7, 1), (130, 1, 50, 1)]
runs = 0
for name, kind, dtype in itertools.product(cpu.INSTRUCTIONS, made, ("float32", "float64")):
    for seed, (hidden, features, steps, batch) in enumerate(sizes):
        padding = "holes" if batch != 2 and steps > 1 else "none"
        threads = cpu.CPU(1 + seed % 3, name)
        case = Case(kind(hidden), backend("numpy", dtype), threads, seed % 2 == 1, padding, dropout=0.4 * (seed % 2),
                    features=features, steps=steps, batch=batch, seed=seed)
        hold("unasked", case)
        a = case.place(case.draw())
        case.forward(a, tape=False)
        case.kernel.step(case.cell, a.p, a.x[0], a.s)
        runs += 1
for steps, batch in ((30, 37), (400, 2)):  # so large that there are two threads
    case = Case(cells.LSTM(64), kernel=cpu.CPU(2), features=64, steps=steps, batch=batch)
    hold("unasked", case)
try:
    case.both(case.place(case.draw()._replace(x=np.zeros((3, 2, 1)))))
except ValueError as error:
    assert "expected" in str(error)
print("runs", runs)
"""


def built(folder):
    """The path of the kernel's module, built with the sanitizers."""
    compiler, include = shutil.which("g++"), sysconfig.get_paths()["include"]
    sources = sorted(FOLDER.glob("*.cpp"))
    commands = [[compiler, *OPTIONS, f"-I{include}", "-c", str(one), "-o", f"{folder}/{one.stem}.o"] for one in sources]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(partial(subprocess.run, check=True), commands))
    objects = [f"{folder}/{one.stem}.o" for one in sources]
    module = f"{folder}/_native.so"
    subprocess.run([compiler, "-shared", "-pthread", *OPTIONS, *objects, "-o", module], check=True)
    return module


def library(name):
    """The path of a library of the compiler's; the name alone where it has none."""
    asked = ["g++", f"-print-file-name={name}"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def obstacle():
    """Why this cannot run here; empty if it can."""
    if "XPRNN_SANITIZE" not in os.environ:
        return "takes half a minute: set XPRNN_SANITIZE=1"
    if sys.platform != "linux":
        return "the sanitizers' library is put in front as Linux does it"
    if shutil.which("g++") is None:
        return "there is no g++"
    missing = [name for name in ("libasan.so", "libubsan.so") if not Path(library(name)).is_absolute()]
    return f"this g++ came without {' and '.join(missing)}" if missing else ""


@pytest.mark.skipif(bool(obstacle()), reason=obstacle() or "nothing")
def test_no_access_outside_and_nothing_undefined(tmp_path):
    environment = os.environ | {
        "LD_PRELOAD": f"{library('libasan.so')} {library('libstdc++.so')}",
        "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter's own
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONPATH": str(ROOT),
        "OPENBLAS_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE, built(tmp_path)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.startswith("runs ")
