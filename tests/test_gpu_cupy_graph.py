"""Graphs as CuPy and cuBLAS have them: CuPy's own library calls, met by a stand-in for the library, without a GPU."""

import subprocess
import sys
from pathlib import Path

import pytest
from emulation import MISSING
from emulation.build import COMPILER
from emulation.cupy_arrays import cupy_without_gpu

from xprnn.gpu import CUPY

TESTS = Path(__file__).parent
NO_COMPILER = pytest.mark.skipif(bool(MISSING), reason=MISSING)

# It multiplies, says what it is asked, and refuses memory that does not begin where NVIDIA wants it to.
LIBRARY = r"""
#include <stdio.h>

#define SAY(...) (printf(__VA_ARGS__), putchar('\n'), fflush(stdout))

int cublasCreate_v2(void** handle) { return *handle = (void*)77, SAY("create"), 0; }
int cublasDestroy_v2(void* handle) { return SAY("destroy %zu", (size_t)handle), 0; }
int cublasSetStream_v2(void* handle, void* stream) { return SAY("%zu on %zu", (size_t)handle, (size_t)stream), 0; }
int cublasSetWorkspace_v2(void* handle, void* room, size_t size) {
    return SAY("%zu has %zu", (size_t)handle, size), (size_t)room % 256 ? 7 : 0;
}

static double at(const void* x, int kind, long n) { return kind ? ((const double*)x)[n] : ((const float*)x)[n]; }

int cublasGemmEx(void* handle, int ta, int tb, int m, int n, int k, const void* alpha, const void* a, int at_, int lda,
                 const void* b, int bt, int ldb, const void* beta, void* c, int ct, int ldc, int compute, int algo) {
    SAY("%zu multiplies %d %d", (size_t)handle, compute, algo);
    if (k == 13) return 15;
    for (int i = 0; i < m; ++i)
        for (int j = 0; j < n; ++j) {
            double sum = 0;
            for (int l = 0; l < k; ++l)
                sum += at(a, at_, ta ? i * (long)lda + l : l * (long)lda + i) *
                       at(b, bt, tb ? l * (long)ldb + j : j * (long)ldb + l);
            const int kind = compute == 70;
            const long place = j * (long)ldc + i;
            sum = at(alpha, kind, 0) * sum + at(beta, kind, 0) * at(c, ct, place);
            if (ct) ((double*)c)[place] = sum; else ((float*)c)[place] = sum;
        }
    return 0;
}
"""

SETTING = """
import ctypes, importlib, sys
ctypes.CDLL(sys.argv[1], ctypes.RTLD_GLOBAL)
importlib.import_module("cupy_backends.cuda.libs.cublas")
import cupy, numpy as np
from emulation.cupy_arrays import wrap, unwrap
from xprnn.gpu import CUPY

def say(*words):
    print(*words, flush=True)

class Stream:
    ptr = 12
    def __init__(self, non_blocking): assert non_blocking
    def __enter__(self): say("enter"); streams.append(self)
    def __exit__(self, *error): say("leave"); streams.pop()
    def begin_capture(self): say("begin")
    def end_capture(self): return say("end") or Graph()
    def wait_event(self, event): say(self.ptr, "waits for", event.place)
    def synchronize(self): say("synchronize")

class Graph:
    def launch(self): say("launch")

class Event:
    def __init__(self, disable_timing): assert disable_timing
    def record(self): self.place = say("mark on", streams[-1].ptr) or streams[-1].ptr

streams = [Stream(True)]
streams[0].ptr = 11

def empty(shape, dtype):
    raw = np.zeros(np.prod(shape) + 512, dtype)
    return wrap(raw[-raw.ctypes.data % 256:])

cupy.empty, cupy.cuda.Stream, cupy.cuda.Event = empty, Stream, Event
cupy.cuda.get_current_stream, cupy.cuda.runtime.getDevice = lambda: streams[-1], lambda: 0
"""
PRODUCTS = """
rng = np.random.default_rng(0)
for dtype, precision in (("f4", "high"), ("f8", "medium")):
    a, b, out = (wrap(rng.normal(size=shape).astype(dtype)) for shape in ((2, 3, 4), (5, 4), (3, 6)))
    wanted = unwrap(out).copy()
    wanted[:, 1:] += 2 * unwrap(a)[1] @ unwrap(b).T  # done at once, and once more to be recorded
    def bind(product):
        multiply = product.each(a, b.T, out[:, 1:], True)
        return lambda: multiply(1)
    replay = CUPY.record(bind, precision)
    np.testing.assert_allclose(unwrap(out), wanted, rtol=1e-5)
    replay()
    del replay, bind
"""
PROBLEMS = """
a, b, out = (wrap(np.zeros(shape, "f4")) for shape in ((2, 13), (13, 3), (2, 3)))
def bind(product):
    return lambda: product(a, b, out)
try:
    CUPY.record(bind)
except RuntimeError as error:
    say(error)
called = []
try:
    CUPY.record(lambda product: lambda: called.append(1) or 1 / (2 - len(called)))
except ZeroDivisionError:
    say("broken off", len(streams))
cupy.empty = lambda shape, dtype: empty(shape, dtype)[1:]
try:
    CUPY.record(bind)
except RuntimeError as error:
    say(error)
"""
BESIDE = """
a, b, out = (wrap(np.ones(shape, "f4")) for shape in ((2, 3), (3, 4), (2, 4)))
for n in range(2):
    found, end = CUPY.beside(lambda: CUPY.product("high")(a, b, out) or (n, CUPY.place()[1]))
    assert found == (n, True) and CUPY.lanes.current is None and not CUPY.place()[1]
    end.wait()
assert (unwrap(out) == 3).all()
try:
    CUPY.beside(lambda: 1 / 0)
except ZeroDivisionError:
    assert streams[-1].ptr == 11 and CUPY.lanes.current is None
"""


@pytest.fixture
def said(tmp_path):
    """What a script says of the library that stands in for cuBLAS where CuPy looks for it."""
    backends = Path(cupy_without_gpu("cupy_backends").__file__).parent
    (module,) = (backends / "cuda" / "libs").glob("cublas.*.so")
    symbols = subprocess.run(["nm", "-D", "--undefined-only", module], capture_output=True, text=True, check=True)
    asked = [line.split()[-1].partition("@") for line in symbols.stdout.splitlines() if " cublas" in line]
    (library,) = {version.strip("@") for *_, version in asked}
    rest = "".join(f"int {name}() {{ return 0; }}\n" for name, *_ in asked if f"int {name}(" not in LIBRARY)
    (tmp_path / "names.c").write_text(LIBRARY + rest)
    (tmp_path / "names.map").write_text(f"{library} {{ global: *; }};\n")
    options = ["-w", "-shared", "-fPIC", f"-Wl,-soname,{library}", "-Wl,--version-script=names.map", "-o", library]
    subprocess.run([COMPILER, "-x", "c", "names.c", *options], cwd=tmp_path, check=True)

    def run(script):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", SETTING + script, tmp_path / library],
            env={"PYTHONPATH": f"{TESTS.parent}:{TESTS}", "PATH": "/usr/bin"}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


@NO_COMPILER
def test_products_are_recorded_past_cupy(said):
    once = ["77 on {}", "77 has 33554432"]
    for compute, lines in zip((77, 70), _halves(said(PRODUCTS)), strict=True):
        product = f"77 multiplies {compute} -1"
        first, then = ([line.format(stream) for line in once] for stream in (11, 12))
        assert lines == [
            "create", *first, product, *then, "enter", "begin", product, "end", "leave", "launch", "destroy 77",
        ]  # fmt: skip


@NO_COMPILER
def test_what_is_done_beside_has_a_stream_and_a_handle_of_its_own(said):
    lines = said(BESIDE)
    once = ["mark on 11", "enter", "12 waits for 11", "77 multiplies 77 -1", "mark on 12", "leave", "11 waits for 12"]
    failed = [*once[:3], "synchronize", "leave"]
    assert lines == ["create", "77 on 12", "77 has 33554432", *once, *once, *failed]


def _halves(lines):
    return lines[: len(lines) // 2], lines[len(lines) // 2 :]


@NO_COMPILER
def test_what_the_library_refuses_is_told(said):
    lines = said(PROBLEMS)
    assert lines[lines.index("begin") :][:4] == ["begin", "end", "leave", "broken off 1"]
    assert [line for line in lines if line.startswith("cuBLAS")] == [
        "cuBLAS: cublasGemmEx returned the status 15", "cuBLAS: cublasSetWorkspace_v2 returned the status 7",
    ]  # fmt: skip


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of a stream that never came to be
def test_streams_events_and_graphs_are_asked_for_as_cupy_has_them():
    cupy = cupy_without_gpu()
    runtime = cupy.cuda.runtime
    try:
        runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        for ask in (lambda: cupy.cuda.Stream(non_blocking=True), CUPY.mark, CUPY.place):
            with pytest.raises(type(error)):
                ask()
    for kind, names in (
        (cupy.cuda.Stream, ("begin_capture", "end_capture", "wait_event", "__enter__")),
        (cupy.cuda.Event, ("record", "synchronize")),
        (cupy.cuda.Graph, ("launch",)),
    ):
        assert all(callable(getattr(kind, name)) for name in names)
