"""The GPU through CuPy."""

import ctypes
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import array_api_compat
import numpy as np

from ..libraries import BackendError, cuda
from ..types import Array, Shape
from .blas import gemm
from .cublas import Blas
from .device import Defines, Launch, Mark, Product, check_room, check_shared
from .graph import mark, record
from .lane import Lanes, T
from .sources import source

OPTIONS = ("-std=c++17",)

# CUDA's numbers of what a kernel can be asked and told, for which CuPy has no names.
_CLUSTER_WIDTH, _LARGE_CLUSTERS = 11, 14

# CUDA's names for dtypes, and for what a product computes in, by the precision.
_DTYPES = {"f": 0, "d": 1, "e": 2, "H": 14}
_COMPUTE = {
    "highest": "CUBLAS_COMPUTE_32F",
    "high": "CUBLAS_COMPUTE_32F_FAST_TF32",
    "medium": "CUBLAS_COMPUTE_32F_FAST_16BF",
}
# What BLAS multiplies with, read by it from this machine's memory.
_SCALES: dict[str, tuple] = {
    "f": (ctypes.c_float(0.0), ctypes.c_float(1.0)),
    "d": (ctypes.c_double(0.0), ctypes.c_double(1.0)),
}


@dataclass(frozen=True)
class CuPyDevice:
    """Kernels by NVRTC, which CuPy keeps on disk, and products by cuBLAS, on CuPy's current device and stream."""

    lanes: Lanes = field(default_factory=Lanes, compare=False, repr=False)

    def owns(self, x: Array) -> bool:
        """Whether x is an array of CuPy; ValueError if it lies on a GPU that is not the current one."""
        if not array_api_compat.is_cupy_array(x):
            return False
        import cupy

        there, current = x.data.device_id, cupy.cuda.runtime.getDevice()
        if there != current:
            within = f"do this within `with cupy.cuda.Device({there}):`"
            raise ValueError(f"an array is on cuda:{there}, and kernels are launched on cuda:{current}: {within}")
        return True

    def empty(self, shape: Shape, dtype: object) -> Array:
        """A dense array of undefined numbers, in memory that CuPy keeps at hand."""
        import cupy

        return cupy.empty(shape, dtype=dtype)

    def struct(self, values: tuple) -> np.ndarray:
        """The values as CuPy gives a struct to a kernel: one element of many bytes."""
        if type(values[0]) is float:
            numbers = np.array(values, "f8")
        else:
            numbers = np.array([a if type(a) is int else a.data.ptr for a in values], "u8")
        return numbers.view(f"V{8 * len(values)}")

    def kernel(
        self, file: str, name: str, defines: Defines = (), shared: int = 0, together: bool = False
    ) -> Launch:
        """The kernel ``name`` of the source ``file``; BackendError with what mends it if it cannot be compiled."""
        function = _function(file, name, defines)
        if not shared and not together:
            return lambda blocks, threads, arguments: function((blocks,), (threads,), arguments)
        check_shared(name, shared, _shared_limit())
        loaded = _allowed(function, shared)

        def launch(blocks: int, threads: int, arguments: tuple) -> None:
            if together:  # CuPy would begin fewer blocks than it is asked for
                check_room(name, blocks, threads, shared, _room(loaded, threads, shared))
            loaded((blocks,), (threads,), arguments, shared_mem=shared, enable_cooperative_groups=together)

        return launch

    def room(self, file: str, name: str, defines: Defines, threads: int, shared: int = 0) -> int:
        """How many blocks of so many threads of a kernel are on the GPU at once; 0 if not even one fits."""
        if shared > _shared_limit():
            return 0
        return _room(_allowed(_function(file, name, defines), shared), threads, shared)

    def architecture(self) -> int:
        """The compute capability of the current GPU."""
        import cupy

        return int(cupy.cuda.Device().compute_capability)

    def read(self, a: Array) -> list:
        """The numbers of a, once all that the current stream has to do is done."""
        return a.tolist()

    def product(self, precision: str = "highest") -> Product:
        """How float32 matrices are multiplied, on the stream that is current when they are."""
        from cupy.cuda import cublas, device

        lane = self.lanes.current
        if lane is not None:
            return CuPyProduct(cublas, lane.blas.gemmEx, lane.blas.handle, getattr(cublas, _COMPUTE[precision]))
        return CuPyProduct(cublas, cublas.gemmEx, device.get_cublas_handle(), getattr(cublas, _COMPUTE[precision]))

    def record(self, bind: Callable[[Product], Callable[[], None]], precision: str = "highest") -> Callable[[], None]:
        """A CUDA graph of what the function does that ``bind`` makes."""
        from cupy.cuda import cublas

        blas = Blas()
        product = CuPyProduct(cublas, blas.gemmEx, blas.handle, getattr(cublas, _COMPUTE[precision]))
        return record(blas, bind(product))

    def mark(self) -> Mark:
        """Where the current stream is now."""
        return mark()

    def beside(self, function: Callable[[], T]) -> tuple[T, Mark]:
        """What ``function`` gives, done on another stream than the current one; and where it ends there."""
        return self.lanes.run(self.place()[0], function)

    def place(self) -> tuple[int, bool]:
        """CUDA's number of the current GPU, and whether this is beside."""
        from cupy.cuda import runtime

        return runtime.getDevice(), self.lanes.current is not None


@dataclass(frozen=True)
class CuPyProduct:
    """A ``Product`` by cuBLAS.

    cublas:  CuPy's module, for its names; gemmEx: its function, or one like it, and ``handle`` what that takes.
    compute: how float32 is multiplied.
    """

    cublas: Any
    gemmEx: Callable
    handle: int
    compute: int

    def __call__(self, a: Array, b: Array, out: Array, accumulate: bool = False) -> None:
        """out = a b, or out += a b."""
        self.each(a[None, ...], b, out, accumulate)(0)

    def each(self, a: Array, b: Array, out: Array, accumulate: bool = False) -> Callable[[int], None]:
        """A function of n that does it with the matrix a[n]."""
        call, kind = gemm(a[0, ...], b, out), a.dtype.char
        zero, one = _SCALES["d" if kind == "d" else "f"]
        exact = self.cublas.CUBLAS_COMPUTE_64F if kind == "d" else self.cublas.CUBLAS_COMPUTE_32F
        before = (
            self.handle, call.transpose_a, call.transpose_b, call.m, call.n, call.k, ctypes.addressof(one),
            b.data.ptr, _DTYPES[b.dtype.char], call.lda,
        )  # fmt: skip
        after = (
            _DTYPES[kind], call.ldb, ctypes.addressof(one if accumulate else zero), out.data.ptr,
            _DTYPES[out.dtype.char], call.ldc, self.compute if kind == "f" else exact, self.cublas.CUBLAS_GEMM_DEFAULT,
        )  # fmt: skip
        run, place, distance = self.gemmEx, a.data.ptr, a.strides[0]
        held = a, b, out  # as long as the function is, so that their memory stays theirs

        def multiply(n: int, held: tuple = held) -> None:
            run(*before, place + n * distance, *after)

        return multiply


CUPY = CuPyDevice()


@functools.cache
def _function(file: str, name: str, defines: Defines) -> Any:
    """CuPy's kernel, compiled for the current device; for others CuPy compiles it when it is first launched there."""
    import cupy
    from cupy.cuda import compiler, runtime

    # Those of one source and the same options become one program, which CuPy keeps.
    function = cupy.RawKernel(source(file), name, options(defines), "nvrtc")
    try:
        function.compile()
    except runtime.CUDARuntimeError:  # no GPU, no memory: nothing that another compiler mends
        raise
    except (compiler.CompileException, RuntimeError, ImportError, OSError) as error:
        raise BackendError(*explained(file, str(error), cupy.__version__)) from error
    return function


def _shared_limit() -> int:
    """The bytes of shared memory that a block can be given by the current GPU."""
    from cupy.cuda import runtime

    return runtime.deviceGetAttribute(runtime.cudaDevAttrMaxSharedMemoryPerBlockOptin, runtime.getDevice())


def _allowed(function: Any, shared: int) -> Any:
    """The kernel as it is on the current GPU, allowed so many bytes, and the clusters of 16 blocks that it may have."""
    from cupy.cuda import driver

    loaded = function.kernel
    if shared:
        driver.funcSetAttribute(loaded.ptr, driver.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, shared)
    if driver.funcGetAttribute(_CLUSTER_WIDTH, loaded.ptr) > 8:
        driver.funcSetAttribute(loaded.ptr, _LARGE_CLUSTERS, 1)
    return loaded


def _room(loaded: Any, threads: int, shared: int) -> int:
    """How many blocks are on the current GPU at once."""
    from cupy.cuda import driver, runtime

    each = driver.occupancyMaxActiveBlocksPerMultiprocessor(loaded.ptr, threads, shared)
    return each * runtime.deviceGetAttribute(runtime.cudaDevAttrMultiProcessorCount, runtime.getDevice())


def options(defines: Defines) -> tuple[str, ...]:
    """What the compiler is told."""
    return (*OPTIONS, *(f"-D{name}={value}" for name, value in defines))


def explained(file: str, problem: str, version: str) -> tuple[str, str]:
    """What to say of a source that did not compile, and what mends it."""
    lines = "\n".join(problem.strip().splitlines()[:8])
    reason = f"the CUDA source {file!r} cannot be compiled by CuPy {version}: {lines}"
    # The wheel that is there decides: a second one would overwrite its files.
    found = [f"cuda{number}" for number in (12, 13) if f"cupy-cuda{number}x" in cuda.cupy_wheels()]
    install = f"pip install 'xprnn[{(found or [cuda.extra()])[0]}-ctk]', which brings NVRTC along"
    return reason, f"{install}; until then, XPRNN_KERNEL=loop in the environment does without it"
