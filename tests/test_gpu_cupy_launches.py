"""Launches of kernels that share memory or wait for each other, as CuPy has them; they need no GPU."""

from types import SimpleNamespace

import pytest
from emulation.cupy_arrays import cupy_without_gpu

from xprnn.gpu import CUPY
from xprnn.gpu import cupy as gpu_cupy


@pytest.fixture
def driver(monkeypatch):
    """CuPy's own functions that ask the driver, which answer here as for a GPU of 4 multiprocessors; what was asked."""
    driver, runtime = cupy_without_gpu("cupy_backends.cuda.api.driver"), cupy_without_gpu("cupy.cuda.runtime")
    asked, attributes = [], {runtime.cudaDevAttrMaxSharedMemoryPerBlockOptin: 1000, 16: 4}
    answers = {
        "funcGetAttribute": lambda attribute, place: 16 if attribute == 11 and place == 7 else 0,
        "funcSetAttribute": lambda place, attribute, value: asked.append((place, attribute, value)),
        "occupancyMaxActiveBlocksPerMultiprocessor": lambda place, threads, shared: 2048 // threads - shared // 500,
    }
    for name, answer in answers.items():
        assert callable(getattr(driver, name))
        monkeypatch.setattr(driver, name, answer)
    monkeypatch.setattr(runtime, "getDevice", lambda: 0)
    monkeypatch.setattr(runtime, "deviceGetAttribute", lambda attribute, device: attributes[attribute])
    return asked


class Loaded:
    """What stands in for CuPy's kernel on a GPU: it remembers its launches."""

    def __init__(self, ptr):
        self.ptr, self.launches, self.kernel = ptr, [], self

    def __call__(self, grid, block, args, shared_mem=0, stream=None, enable_cooperative_groups=False):
        self.launches.append((grid, block, args, shared_mem, stream, enable_cooperative_groups))


def test_shared_memory_and_room_are_asked_for(driver, monkeypatch):
    plain, clusters = Loaded(6), Loaded(7)
    monkeypatch.setattr(gpu_cupy, "_function", lambda file, name, defines: clusters if name == "clusters" else plain)
    assert CUPY.room("a.cu", "go", (), 512, 600) == (4 - 1) * 4 and CUPY.room("a.cu", "go", (), 512, 1001) == 0
    assert driver == [(6, 8, 600)]
    with pytest.raises(ValueError, match="a block of go needs 1001 bytes of shared memory, and this GPU gives it 1000"):
        CUPY.kernel("a.cu", "go", (), 1001)
    CUPY.kernel("a.cu", "clusters", (), 900)(32, 64, (1, 2))
    assert driver[1:] == [(7, 8, 900), (7, 14, 1)]  # more than 8 blocks in a cluster are to be allowed
    assert clusters.launches == [((32,), (64,), (1, 2), 900, None, False)]


def test_blocks_that_wait_for_each_other_are_there_or_refused(driver, monkeypatch):
    loaded = Loaded(6)
    monkeypatch.setattr(gpu_cupy, "_function", lambda file, name, defines: loaded)
    launch = CUPY.kernel("a.cu", "go", (), 600, together=True)
    launch(12, 512, (5,))
    assert loaded.launches == [((12,), (512,), (5,), 600, None, True)]
    words = "13 blocks of go, of 512 threads and 600 bytes of shared memory, wait for each other, .* has room for 12"
    with pytest.raises(ValueError, match=words):
        launch(13, 512, (5,))
    assert len(loaded.launches) == 1


def test_such_launches_are_what_cupy_takes():
    """CuPy looks at all arguments before it asks for a GPU; a function that was never loaded does for that."""
    driver, runtime = cupy_without_gpu("cupy_backends.cuda.api.driver"), cupy_without_gpu("cupy.cuda.runtime")
    assert driver.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES == 8
    assert (runtime.cudaDevAttrMaxSharedMemoryPerBlockOptin, runtime.cudaDevAttrMultiProcessorCount) == (97, 16)
    try:
        runtime.getDeviceCount()
    except runtime.CUDARuntimeError:
        function = cupy_without_gpu("cupy.cuda.function").Function
        kernel, anywhere = function.__new__(function), SimpleNamespace(ptr=0)
        assert kernel.ptr == 0
        with pytest.raises(runtime.CUDARuntimeError):
            kernel((1,), (128,), (3,), stream=anywhere, shared_mem=64, enable_cooperative_groups=True)
        with pytest.raises(runtime.CUDARuntimeError):
            CUPY.architecture()
