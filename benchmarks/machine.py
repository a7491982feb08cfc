"""What a benchmark ran on: the processor, the versions, the BLAS and the kernel's instructions.

Nothing is imported before it is asked for: what the libraries read from the environment can be set first.
"""

import ctypes
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
PACKAGES = ("numpy", "torch", "onnxruntime", "jax")
sys.path.insert(0, str(ROOT))  # the xprnn of this checkout, installed or not


def threads(count):
    """The environment in which NumPy, torch and the kernel take ``count`` threads; they read it when imported."""
    return dict.fromkeys(VARIABLES, str(count))


def child(script, arguments, count, **environment):
    """What ``script`` prints as JSON in a process of its own with ``count`` threads."""
    environment = os.environ | threads(count) | environment
    command = [sys.executable, script, *map(str, arguments)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def compiled(count):
    """The environment for processes that import this checkout's xprnn and take ``count`` threads.

    Without compiled files Python would compile xprnn each time, and the others not: they are installed.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | threads(count) | {"PYTHONPATH": str(ROOT)}


def first_line(command, environment):
    """Start a process -> the first line it prints, the seconds until then, and its peak memory in MB at its end.

    On Linux its ru_maxrss begins with that of its parent: whoever calls this must have imported nothing large.
    """
    begin = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    line = process.stdout.readline()
    seconds = time.perf_counter() - begin
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode or not line:
        raise SystemExit(f"{command} ended with {process.returncode} before it had printed what was asked for")
    unit = 1 if sys.platform == "darwin" else 1024
    return line, seconds, usage.ru_maxrss * unit / 1e6


def peak_of(work):
    """The megabytes that ``work`` needs at its peak above what is there before it, by /proc (Linux with glibc)."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what is free already is not to be taken again unseen
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what there is now
    before = _status("VmRSS")
    work()
    return _status("VmHWM") - before


def _status(name):
    """A line of /proc/self/status, in megabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (found,) = (line.split()[1] for line in lines if line.startswith(name))
    return int(found) * 1024 / 1e6


def describe():
    """The machine and the software, for a result's file; it imports NumPy and xprnn, and none of the others."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": processor(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": versions(),
        "blas": blas(),
        "kernel": instructions(),
        "threads": os.environ.get(VARIABLES[0], "as many as there are cores"),
    }


def processor():
    """The processor's name."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def cores():
    """How many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def versions(names=PACKAGES):
    """The version of each of these packages that is installed."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def blas():
    """NumPy's BLAS with its version, and for an OpenBLAS of its wheels the kernels it runs: "Haswell", "SkylakeX"."""
    from xprnn.cli.blas import installed

    return {name: value for name, value in installed()._asdict().items() if value is not None}


def instructions():
    """The instruction set that xprnn's compiled kernel uses; None where it was not built."""
    from xprnn.kernels.cpu import INSTRUCTIONS

    return INSTRUCTIONS[0] if INSTRUCTIONS else None


def spread(values):
    """The median of ``values`` with the quarters below and above it, and the least and the most."""
    values = sorted(values)
    low, _, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {"median": statistics.median(values), "quarters": [low, high], "range": [values[0], values[-1]]}


def ratios(theirs, ours):
    """The spread of their time by ours, round by round: above 1 we are faster."""
    return spread([a / b for a, b in zip(theirs, ours, strict=True)])


def shown(found, digits=2):
    """A spread as people read it: the median and the quarters."""
    low, high = found["quarters"]
    return f"{found['median']:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def tell(found, table, as_json):
    """Print what a benchmark found: as JSON with the machine and the table beside it, or the table alone."""
    if as_json:
        print(json.dumps({"machine": describe(), "found": found, "markdown": table}, indent=1))
    else:
        print(table)


def table(header, rows):
    """A Markdown table; the first column is text, the others are numbers."""
    ruler = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [header, ruler, *rows])
