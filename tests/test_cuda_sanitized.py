"""The CUDA sources under AddressSanitizer and UBSan, each thread's accesses held to the arrays; asked for by

    XPRNN_SANITIZE=1 python -m pytest tests/test_cuda_sanitized.py
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_native_sanitized import library, obstacle

TESTS = Path(__file__).resolve().parent
CODE = """
import sys
from emulation import Emulated
from xprnn import cells
from xprnn.backend import backend
from xprnn.kernels import cuda
from xprnn.testing import Case
edits = tuple(map(tuple, [sys.argv[1:]] if len(sys.argv) > 1 else []))
made = [(cells.PeepholeLSTM, "float32", None), (cells.LSTM, "float32", "bfloat16"), (cells.RNN, "float32", None),
        (cells.GRU, "float64", None), (cells.GRUResetBefore, "float32", None)]
sizes = [(33, 3, 2, 5), (5, 40, 7, 4), (31, 2, 40, 9), (1, 1, 1, 1)]
runs = 0
for kind, dtype, storage in made:
    for seed, (hidden, features, steps, batch) in enumerate(sizes):
        kernel = cuda.CUDA(storage=storage, device=Emulated(edits=edits))
        if batch == 1 and kind is not cells.PeepholeLSTM:
            continue  # it is another program, and takes its time to build
        case = Case(kind(hidden), backend("numpy", dtype), kernel, seed % 2 == 1, "holes" if batch > 3 else "none",
                    dropout=0.4 * (seed % 2), features=features, steps=steps, batch=batch, seed=seed)
        a = case.place(case.draw())
        case.both(a)
        case.forward(a, tape=False)
        kernel.step(case.cell, a.p, a.x[0], a.s)
        runs += 1
print("runs", runs)
"""
OPERATIONS = """
import sys
import numpy as np
import test_gpu_operations as operations, test_gpu_optimizers as optimizers
from emulation import Emulated
from xprnn import gpu
from xprnn.optimizers import clip_by_norm, clip_by_value
gpu.DEVICES = Emulated(edits=tuple(map(tuple, [sys.argv[1:]] if len(sys.argv) > 1 else []))),
runs = len([*operations.masks(), *operations.tables(), *operations.entropies(), *operations.elements("binary")])
for name in ("adam", "rmsprop all"):
    runs += len(optimizers.updates(optimizers.RULES[name][0], "float32", 1))
grads = optimizers.arrays(optimizers.draw("float64"))
runs += len(clip_by_norm(grads, 1.0)) + len(clip_by_value(grads, 1.0))
print("runs", runs)
"""
CLUSTERS = """
import sys
from emulation import Emulated
from xprnn import cells
from xprnn.backend import backend
from xprnn.kernels import cuda
from xprnn.kernels.cuda_cluster import Cluster
from xprnn.kernels.cuda_norm import CUDANorm
from xprnn.kernels.cuda_norm_cluster import NormCluster
from xprnn.kernels.cuda_tiling import Tiling
from xprnn.testing import Case
device = Emulated(edits=tuple(map(tuple, [sys.argv[1:]] if len(sys.argv) > 1 else [])))
tilings = [(cells.GRU, "highest", Tiling(2, 3, 2)), (cells.PeepholeLSTM, "medium", Tiling(2, 8, 1, held=4)),
           (cells.LayerNormLSTM, "highest", Tiling(2, 3, 2))]
for kind, precision, way in tilings:
    kernel = cuda.CUDA(precision, device=device, walk=Cluster(way, way))
    if kind is cells.LayerNormLSTM:
        kernel = CUDANorm(precision, device, NormCluster(way, way))
    case = Case(kind(19), backend("numpy", "float32"), kernel, True, "holes", dropout=0.4, steps=4, batch=5)
    a = case.place(case.draw())
    case.both(a)
    case.forward(a, tape=False)
print("runs", len(tilings))
"""
GRID = """
import sys
from emulation import Emulated
from xprnn import cells
from xprnn.backend import backend
from xprnn.kernels import cuda
from xprnn.kernels.cuda_grid import Grid
from xprnn.testing import Case
device = Emulated(edits=tuple(map(tuple, [sys.argv[1:]] if len(sys.argv) > 1 else [])))
cuts = [(cells.PeepholeLSTM, "highest", Grid(units=8, rows=8, warps=2, held=2)), (cells.GRU, "medium", Grid(warps=4))]
for kind, precision, walk in cuts:
    kernel = cuda.CUDA(precision, device=device, walk=walk)
    case = Case(kind(19), backend("numpy", "float32"), kernel, True, "holes", dropout=0.4, steps=3, batch=9)
    a = case.place(case.draw())
    case.both(a)
    case.forward(a, tape=False)
print("runs", len(cuts))
"""
CODES = {
    "rows.cu": OPERATIONS, "random.cu": OPERATIONS, "cluster_forward.cu": CLUSTERS, "cluster_backward.cu": CLUSTERS,
    "cluster_norm_forward.cu": CLUSTERS, "grid_forward.cu": GRID,
}  # fmt: skip


def run(*edit, code=CODE):
    environment = os.environ | {
        "XPRNN_EMULATION": "sanitized",
        "LD_PRELOAD": f"{library('libasan.so')} {library('libstdc++.so')}",
        # The interpreter's own leaks, and stacks of threads that are none of the system's.
        "ASAN_OPTIONS": "detect_leaks=0,use_sigaltstack=0,detect_stack_use_after_return=0",
        "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}",
        "OPENBLAS_NUM_THREADS": "1",
    }
    return subprocess.run([sys.executable, "-c", code, *edit], env=environment, capture_output=True, text=True)


@pytest.mark.skipif(bool(obstacle()), reason=obstacle() or "nothing")
@pytest.mark.parametrize("code", [CODE, OPERATIONS, CLUSTERS, GRID], ids=["kernel", "operations", "clusters", "grid"])
def test_no_access_outside_and_nothing_undefined(code):
    done = run(code=code)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.startswith("runs ")


@pytest.mark.skipif(bool(obstacle()), reason=obstacle() or "nothing")
@pytest.mark.parametrize("edit", [
    ("arrays.cu", "    if (column < columns)\n", ""),  # reads what nobody uses
    ("stream.cu", "if (!inside) unit = H - 1;", ""),
    ("recurrent.cu", "    if (i >= B * H) return;\n    const bool real", "    const bool real"),
    ("cluster_forward.cu", "b < all.B && ", ""),
    ("cluster_backward.cu", " && j < all.H", ""),
    ("cluster_norm_forward.cu", "j < H && from ?", "from ?"),
    ("grid_forward.cu", "local < rows && unit < H", "local < rows"),
    ("rows.cu", "begin + lane < count && ids", "ids"),
    ("random.cu", "if (i + 1 < count) out", "out"),
])  # fmt: skip
def test_an_access_outside_is_seen(edit):
    done = run(*edit, code=CODES.get(edit[0], CODE))
    assert done.returncode != 0 and "AddressSanitizer: heap-buffer-overflow" in done.stderr
