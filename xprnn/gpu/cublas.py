"""cuBLAS past CuPy, which refuses all of its calls on a stream that records a graph; the library itself takes them.

Whoever records has a handle of its own, with memory for the library to work in that nobody else writes to: what was
recorded goes on using it.
"""

import ctypes
import weakref
from typing import Any

from ..types import Array

ROOM = 32 << 20
"""The bytes that NVIDIA advises to give the library on the GPUs that it wants most on."""

_POINTER, _INT = ctypes.c_void_p, ctypes.c_int
_MATRIX = _POINTER, _INT, _INT
_FUNCTIONS = {
    "cublasCreate_v2": (ctypes.POINTER(_POINTER),),
    "cublasDestroy_v2": (_POINTER,),
    "cublasSetStream_v2": (_POINTER, _POINTER),
    "cublasSetWorkspace_v2": (_POINTER, _POINTER, ctypes.c_size_t),
    "cublasGemmEx": (_POINTER, *5 * (_INT,), _POINTER, *_MATRIX, *_MATRIX, _POINTER, *_MATRIX, _INT, _INT),
}


class Blas:
    """A handle for the current GPU; what it is asked, it asks of the stream that it was last put ``on``.

    ``gemmEx`` takes what CuPy's function of that name takes. One thread at a time may use it.
    """

    def __init__(self) -> None:
        import cupy
        from cupy.cuda import cublas

        # The functions are those of the very library that CuPy's module needs: the linker looks there too.
        library = ctypes.CDLL(cublas.__file__)
        calls = {name: _called(library, name, kinds) for name, kinds in _FUNCTIONS.items()}
        handle = _POINTER()
        calls["cublasCreate_v2"](ctypes.byref(handle))
        self.handle = handle.value or 0
        self.gemmEx = calls["cublasGemmEx"]
        self._set_stream, self._set_room = calls["cublasSetStream_v2"], calls["cublasSetWorkspace_v2"]
        self._room: Array = cupy.empty(ROOM, dtype="uint8")
        # As the process ends, the GPU may be gone before this is.
        weakref.finalize(self, calls["cublasDestroy_v2"], self.handle).atexit = False

    def on(self, stream: Any) -> None:
        """Ask all of this stream from now on."""
        self._set_stream(self.handle, stream.ptr)
        self._set_room(self.handle, self._room.data.ptr, ROOM)  # which a new stream makes it forget


def _called(library: ctypes.CDLL, name: str, kinds: tuple) -> Any:
    """The function of the library, which raises RuntimeError where it says that something went wrong."""
    function = getattr(library, name)
    function.argtypes, function.restype = kinds, _INT

    def checked(status: int, *_: Any) -> None:
        if status:
            raise RuntimeError(f"cuBLAS: {name} returned the status {status}")

    function.errcheck = checked
    return function
