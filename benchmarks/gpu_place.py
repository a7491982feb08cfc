"""Where the GPU benchmark runs, and its clocks; the CPU stands in for a dry run."""

import shutil
import subprocess
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import machine

WHEELS = (
    "cupy-cuda12x", "cupy-cuda13x", "nvidia-cublas", "nvidia-cuda-nvrtc", "nvidia-cudnn-cu13", "torch", "jax", "jaxlib",
    "jax-cuda13-plugin",
)  # fmt: skip
CARD = ("name", "driver_version", "memory.total", "power.limit", "clocks.max.sm", "clocks.max.mem")
SHORT = 1 / 3  # of the memory: less than this must be free before any is given back
NOW = ("clocks.sm", "clocks.mem", "temperature.gpu", "power.draw")


class Place(NamedTuple):
    """The arrays' library, its name as a backend, torch's device, what times work there, and what waits for it.

    clock: a function of work, which gives its outputs -> its seconds and these outputs.
    """

    xp: Any
    backend: str
    device: str
    clock: Callable
    wait: Callable


def gpu():
    """CuPy's current device."""
    import cupy

    return Place(cupy, "cupy", "cuda", by_events, cupy.cuda.runtime.deviceSynchronize)


def cpu():
    """This processor, by NumPy."""
    import numpy

    return Place(numpy, "numpy", "cpu", by_host(lambda _: None), lambda: None)


def by_events(work):
    """The time between two CUDA events on the default stream, which CuPy and torch share."""
    import cupy

    start, end = cupy.cuda.Event(), cupy.cuda.Event()
    start.record()
    found = work()
    end.record()
    end.synchronize()
    return cupy.cuda.get_elapsed_time(start, end) / 1e3, found


def by_host(wait):
    """A clock of the host's, which stops when ``wait`` is done with the outputs."""

    def clock(work):
        start = time.perf_counter()
        found = work()
        wait(found)
        return time.perf_counter() - start, found

    return clock


def free(place):
    """Give back the memory that the libraries keep at hand, for one another, where little of it is left.

    Not otherwise: they would have to ask the driver for each array again.
    """
    if place.device == "cuda":
        import cupy

        left, whole = cupy.cuda.runtime.memGetInfo()
        if left >= SHORT * whole:
            return
        cupy.get_default_memory_pool().free_all_blocks()
        try:
            import torch
        except ImportError:
            return
        torch.cuda.empty_cache()


def describe(place):
    """The device and what runs on it, for a result's file."""
    about = {"device": "the CPU, in place of a GPU"}
    if place.device == "cuda":
        from cupy.cuda import runtime

        properties = runtime.getDeviceProperties(runtime.getDevice())
        about = {"device": properties["name"].decode(), "multiprocessors": properties["multiProcessorCount"]}
        about |= {"CUDA runtime": runtime.runtimeGetVersion(), "CUDA of the driver": runtime.driverGetVersion()}
        about |= {"card": _told(CARD), "now": _told(NOW)}
    return about | {"versions": machine.versions(WHEELS), "torch": _torch()}


def _told(names):
    """What nvidia-smi tells of the first GPU; {} without it."""
    if not shutil.which("nvidia-smi"):
        return {}
    command = ["nvidia-smi", f"--query-gpu={','.join(names)}", "--format=csv,noheader", "--id=0"]
    done = subprocess.run(command, capture_output=True, text=True)
    return dict(zip(names, map(str.strip, done.stdout.split(",")), strict=False))


def _torch():
    """What torch says of cuDNN, and whether its RNNs take TF32 unless told otherwise; None without torch."""
    try:
        import torch
    except ImportError:
        return None
    cudnn = torch.backends.cudnn
    return {"cuDNN": cudnn.version(), "CUDA": torch.version.cuda, "TF32 in RNNs, as it stands": cudnn.allow_tf32}
