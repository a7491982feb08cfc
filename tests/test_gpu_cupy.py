"""CuPy as the kernels use it: its own arrays and its own signatures, which need no GPU. Without CuPy there are none."""

import ctypes
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from emulation import MISSING, Emulated
from emulation.build import COMPILER
from emulation.cupy_arrays import OnCuPy, cupy_without_gpu, unwrap, wrap
from subjects import CELLS

from xprnn import gpu, tree
from xprnn.gpu import CUPY
from xprnn.gpu import cupy as gpu_cupy
from xprnn.kernels import cuda
from xprnn.kernels.cuda_cluster import Cluster
from xprnn.kernels.cuda_graph import Graph
from xprnn.kernels.cuda_norm import CUDANorm
from xprnn.kernels.cuda_norm_cluster import NormCluster
from xprnn.kernels.cuda_tiling import Tiling
from xprnn.libraries import BackendError
from xprnn.testing import Case, compare

TESTS = Path(__file__).parent
NO_COMPILER = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@pytest.fixture
def no_gpu():
    """CuPy's error for whatever needs a GPU, which comes after it has looked at its arguments."""
    runtime = cupy_without_gpu("cupy.cuda.runtime")
    try:
        runtime.getDeviceCount()
    except runtime.CUDARuntimeError:
        return runtime.CUDARuntimeError
    pytest.skip("there is a GPU: the laws run on it")


@NO_COMPILER
@pytest.mark.parametrize("name, reverse, walk", [
    *((name, reverse, cuda.STEPS) for name in CELLS for reverse in (False, True)),
    *((name, True, Graph(2)) for name in ("RNN", "PeepholeLSTM", "GRU", "GRUResetBefore")),
])  # fmt: skip
def test_the_host_code_runs_on_arrays_of_cupy(name, reverse, walk):
    cupy_without_gpu()
    case = Case(CELLS[name], padding="holes", dropout=0.3)
    a = case.draw()
    a = a._replace(mask=a.mask[..., None])
    plain, other = cuda.CUDA(device=Emulated()), cuda.CUDA(device=OnCuPy(Emulated()), walk=walk)
    if not plain.accepts(case.cell, a.x, a.mask):
        pytest.skip("the kernel does not run this cell")
    same(case, plain, other, reverse, a)


WAYS = 2 * [Tiling(2, 4, 2)]


@NO_COMPILER
@pytest.mark.parametrize("name, kernel", [
    ("LSTM", cuda.CUDA(walk=Cluster(*WAYS))), ("GRU", cuda.CUDA(walk=Cluster(*WAYS))),
    ("LayerNormLSTM", CUDANorm()), ("LayerNormLSTM", CUDANorm(walk=NormCluster(*WAYS))),
])  # fmt: skip
def test_walks_by_name_run_on_arrays_of_cupy(name, kernel):
    cupy_without_gpu()
    case = Case(CELLS[name], padding="holes", dropout=0.3)
    a = case.draw()
    a = type(a)(*tree.map(lambda v: v.astype("float32"), a))._replace(mask=a.mask[..., None])
    plain, other = (replace(kernel, device=device) for device in (Emulated(), OnCuPy(Emulated())))
    same(case, plain, other, True, a)


def same(case, plain, other, reverse, a):
    """What a kernel gives on NumPy's arrays and another on CuPy's, which lie as a layer has them: batch first."""
    swapped = [wrap(array.swapaxes(0, 1)).swapaxes(0, 1) for array in (a.x, a.mask, a.dys)]
    placed = a._replace(p=tree.map(wrap, a.p), s=tree.map(wrap, a.s), ds=tree.map(wrap, a.ds))
    placed = placed._replace(x=swapped[0], mask=swapped[1], dys=swapped[2])
    assert other.accepts(case.cell, placed.x, placed.mask)
    met = tree.map(unwrap, both(other, case.cell, reverse, placed))
    compare.identical("cupy", case, met, both(plain, case.cell, reverse, a))


def both(kernel, cell, reverse, arrays):
    """Forward with a tape and without, a step, and backward; without the library around them."""
    p, x, s, mask, dys, ds = arrays
    y, end, tape = kernel.forward(cell, p, x, s, mask, reverse)
    bare = kernel.forward(cell, p, x, s, mask, reverse, False)[:2]
    back = kernel.backward(cell, p, tape, dys, ds)
    return {"forward": (y, end), "bare": bare, "step": kernel.step(cell, p, x[0, ...], s), "backward": back}


def test_kernels_and_arrays_are_asked_for_as_cupy_has_them(no_gpu):
    with pytest.raises(no_gpu):
        CUPY.kernel("arrays.cu", "add_through", (("REAL", "double"),))
    with pytest.raises(no_gpu):
        CUPY.empty((2, 3), "uint16")


def test_arrays_of_another_gpu_than_the_current_one_are_refused(monkeypatch):
    runtime, x = cupy_without_gpu("cupy.cuda.runtime"), wrap(np.zeros(3))
    monkeypatch.setattr(runtime, "getDevice", lambda: 0)
    assert CUPY.owns(x) and not CUPY.owns(np.zeros(3))
    monkeypatch.setattr(runtime, "getDevice", lambda: 1)
    with pytest.raises(ValueError, match=r"on cuda:0, and .* on cuda:1: .*`with cupy\.cuda\.Device\(0\):`"):
        gpu.device_for(x)
    assert not CUPY.owns(np.zeros(3))


def test_arrays_of_another_library_are_refused():
    cupy_without_gpu()
    case = Case(CELLS["LSTM"])
    a, kernel = case.draw(), cuda.CUDA(device=OnCuPy(Emulated()))
    p, x, s = tree.map(wrap, (a.p, a.x, a.s))
    words = "is a numpy.ndarray, expected an array on the GPU: move it there"
    for changed in ({"p": p | {"Wh": a.p["Wh"]}}, {"x": a.x}, {"s": a.s}, {"mask": np.ones((*a.x.shape[:2], 1), bool)}):
        given = {"p": p, "x": x, "s": s, "mask": None} | changed
        with pytest.raises(TypeError, match=words):
            kernel.forward(case.cell, **given, reverse=False)


@pytest.mark.parametrize("problem", ["CompileException", "RuntimeError"])
def test_a_source_that_cannot_be_compiled_says_what_mends_it(problem, monkeypatch):
    cupy, compiler = cupy_without_gpu(), cupy_without_gpu("cupy.cuda.compiler")

    class RawKernel:
        def __init__(self, code, name, options, backend):
            self.options = options

        def compile(self):
            if problem == "RuntimeError":
                raise RuntimeError('Failure finding "libnvrtc.so.13": No such file')
            raise compiler.CompileException("kern.cu(3): error: expected a ;", "", "kern.cu", self.options)

    monkeypatch.setattr(cupy, "RawKernel", RawKernel)
    with pytest.raises(BackendError) as caught:
        gpu_cupy._function.__wrapped__("recurrent.cu", "forward_step", (("CELL", "Gated"),))
    assert caught.value.reason.startswith("the CUDA source 'recurrent.cu' cannot be compiled by CuPy 1")
    assert ("libnvrtc" if problem == "RuntimeError" else "expected a ;") in caught.value.reason
    monkeypatch.setattr(gpu_cupy.cuda, "cupy_wheels", lambda: ["cupy-cuda12x"])
    assert gpu_cupy.explained("a.cu", "", "14")[1].startswith("pip install 'xprnn[cuda12-ctk]', which brings NVRTC")
    assert caught.value.remedy.startswith("pip install 'xprnn[cuda1")
    assert "XPRNN_KERNEL=loop" in caught.value.remedy


class Columns:
    """What stands in for CuPy's ``cublas``: it does what is asked with what it finds in memory."""

    CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_64F, CUBLAS_GEMM_DEFAULT = 68, 70, -1
    CUBLAS_COMPUTE_32F_FAST_TF32, CUBLAS_COMPUTE_32F_FAST_16BF = 77, 75

    def gemmEx(
        self, handle, transa, transb, m, n, k, alpha, A, Atype, lda, B, Btype, ldb, beta, C, Ctype, ldc, compute, algo
    ):
        a, b = self._matrix(A, Atype, transa, m, k, lda), self._matrix(B, Btype, transb, k, n, ldb)
        c = self._matrix(C, Ctype, False, m, n, ldc)
        scale = ctypes.c_double if compute == 70 else ctypes.c_float
        c[...] = scale.from_address(alpha).value * (a @ b) + scale.from_address(beta).value * c
        self.asked = handle, compute, algo

    def _matrix(self, place, kind, transposed, rows, columns, distance):
        number = {0: ctypes.c_float, 1: ctypes.c_double}[kind]
        if transposed:
            rows, columns = columns, rows
        assert distance >= max(rows, 1)
        size = distance * (columns - 1) + rows
        flat = np.ctypeslib.as_array((number * size).from_address(place))
        matrix = np.lib.stride_tricks.as_strided(flat, (rows, columns), (flat.itemsize, distance * flat.itemsize))
        return matrix.T if transposed else matrix


@pytest.mark.parametrize("dtype, precision, compute", [
    ("float32", "highest", 68), ("float32", "high", 77), ("float32", "medium", 75), ("float64", "medium", 70),
])  # fmt: skip
def test_products_are_those_of_matrices(dtype, precision, compute, monkeypatch):
    cupy_without_gpu()
    fake, rng = Columns(), np.random.default_rng(0)
    monkeypatch.setattr(cupy_without_gpu("cupy.cuda.device"), "get_cublas_handle", lambda: 7)
    monkeypatch.setitem(vars(cupy_without_gpu("cupy.cuda")), "cublas", fake)
    multiply = CUPY.product(precision)
    for n, k, m in ((3, 4, 5), (1, 4, 5), (3, 1, 5), (3, 4, 1), (1, 1, 1)):
        shapes = (n, k + 2), (k, n), (k, m + 3), (m, k), (n, m + 1)
        wide = [wrap(rng.normal(size=shape).astype(dtype)) for shape in shapes]
        for a in (wide[0][:, 1:-1], wide[1].T):
            for b in (wide[2][:, 2:-1], wide[3].T):
                out = wide[4][:, 1:]
                wanted = unwrap(a) @ unwrap(b)
                multiply(a, b, out)
                np.testing.assert_allclose(unwrap(out), wanted, rtol=1e-5)
                multiply(a, b, out, True)
                np.testing.assert_allclose(unwrap(out), 2 * wanted, rtol=1e-5)
    assert fake.asked == (7, compute, -1)


def test_a_launch_hands_its_arguments_on_as_they_are(monkeypatch):
    asked, arguments = [], (3, 0.5, np.zeros(2))
    monkeypatch.setattr(gpu_cupy, "_function", lambda *_: lambda *given: asked.append(given))
    CUPY.kernel("arrays.cu", "copy")(2, 64, arguments)
    assert asked == [((2,), (64,), arguments)] and asked[0][2] is arguments


def test_what_a_launch_hands_on_is_what_cupy_takes(no_gpu):
    """CuPy looks at all arguments before it asks for a GPU; a function that was never loaded does for that."""
    function = cupy_without_gpu("cupy.cuda.function").Function
    kernel, anywhere = function.__new__(function), SimpleNamespace(ptr=0)
    x = wrap(np.zeros(3))
    places, numbers = CUPY.struct((x[1:], 0, 2**40)), CUPY.struct((1.0, -2.5))
    assert places.tobytes() == struct.pack("QQQ", x.data.ptr + 8, 0, 2**40)
    assert numbers.tobytes() == struct.pack("dd", 1.0, -2.5)
    with pytest.raises(no_gpu):
        kernel((1,), (128,), (3, 0.5, x, 0, places, numbers), stream=anywhere)
    with pytest.raises(TypeError, match="Unsupported type"):
        kernel((1,), (128,), (3, (x, 0)), stream=anywhere)
    with pytest.raises(TypeError, match="ndarray of shape"):
        kernel((1,), (128,), (3, np.zeros(2)), stream=anywhere)


STUB = """
import ctypes, sys
ctypes.CDLL(sys.argv[1], ctypes.RTLD_GLOBAL)
import importlib, numpy as np
from emulation.cupy_arrays import wrap
cublas = importlib.import_module("cupy_backends.cuda.libs.cublas")
from cupy.cuda import device, runtime
from xprnn.gpu import cupy as gpu_cupy
device.get_cublas_handle = lambda: 7
a, b, out = (wrap(np.zeros(shape, dtype)) for shape, dtype in (((2, 3), "uint16"), ((3, 4), "uint16"), ((2, 4), "f4")))
multiply = gpu_cupy.CUPY.product("high")
try:
    multiply(a, b, out)
except runtime.CUDARuntimeError:
    print("bound")
try:
    cublas.gemmEx(7, False)
except TypeError:
    print("refused")
"""


@NO_COMPILER
def test_products_are_asked_for_as_cupy_has_them(no_gpu, tmp_path):
    """CuPy's ``cublas`` loads with a library of the right names; it looks at its arguments before it asks for a GPU."""
    backends = Path(cupy_without_gpu("cupy_backends").__file__).parent
    (module,) = (backends / "cuda" / "libs").glob("cublas.*.so")
    symbols = subprocess.run(["nm", "-D", "--undefined-only", module], capture_output=True, text=True, check=True)
    asked = [line.split()[-1].partition("@") for line in symbols.stdout.splitlines() if " cublas" in line]
    (library,) = {version.strip("@") for *_, version in asked}
    (tmp_path / "names.c").write_text("".join(f"int {name}() {{ return 0; }}\n" for name, *_ in asked))
    (tmp_path / "names.map").write_text(f"{library} {{ global: *; }};\n")
    options = ["-w", "-shared", "-fPIC", f"-Wl,-soname,{library}", "-Wl,--version-script=names.map", "-o", library]
    subprocess.run([COMPILER, "-x", "c", "names.c", *options], cwd=tmp_path, check=True)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", STUB, tmp_path / library], capture_output=True, text=True,
        env={"PYTHONPATH": f"{TESTS.parent}:{TESTS}", "PATH": "/usr/bin"},
    )  # fmt: skip
    assert done.stdout.split() == ["bound", "refused"], done.stderr


def test_numbers_are_as_wide_as_the_kernels_take_them():
    scalar = cupy_without_gpu("cupy._core._scalar")
    kinds = {type(value): scalar.CScalar(value).get_numpy_type() for value in (0, 1.5)}
    assert kinds == {int: np.int64, float: np.float64}
