"""CUDA sources built for this machine."""

import ctypes
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
COMPILER = shutil.which("g++") or shutil.which("clang++")
MISSING = "" if COMPILER else "there is no C++ compiler to run CUDA sources with"
OPTIONS = (
    "-std=c++17", "-O1", "-U_FORTIFY_SOURCE", "-fPIC", "-Wall", "-Wno-unused-function", "-Wno-unknown-pragmas",
    "-Werror",
)  # fmt: skip
# Under sanitizers arrays have no margins: these see each access outside, to read as to write.
SANITIZED = "XPRNN_EMULATION" in os.environ
SANITIZERS = ("-O0", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all") if SANITIZED else ()
# What a kernel says of its clusters and of its threads stands before its name.
KERNEL = re.compile(r"extern \"C\" __global__ void\s+((?:__\w+__\([^;{]*?\)\s+)*)(\w+)\(")
MEETING = ("__shared__", "__syncthreads", "__syncwarp", "__shfl", "__ballot", "meet(", "multiply_", "flag_")
ENTRY = """
extern "C" const char* run_{name}(const emulator::Argument* arguments, int count, const emulator::Grid* grid) {{
    emulator::Grid whole = *grid;
    whole.cluster = {cluster}, whole.most_threads = {threads}, whole.meets = {meets};
    return emulator::launch({name}, arguments, count, whole);
}}"""


class NotCompiled(Exception):
    """A source that the compiler refuses."""


@functools.cache
def built(text, defines=()):
    """The source as a library with a function run_NAME for each of its kernels."""
    meets = "true" if any(word in text for word in MEETING) else "false"
    entries = "".join(entry(*found, meets) for found in KERNEL.findall(text))
    options = [f"-D{name}={value}" for name, value in defines]
    options += ["-shared", "-I", header().parent, "-include", "emulator.h", "-x", "c++", "-", "-x", "none", runtime()]
    return ctypes.CDLL(str(compiled("kernels.so", *options, code=f"{text}\n{entries}\n")))


@functools.cache
def header():
    """What all sources begin with, as the compiler keeps what it has read."""
    return compiled("emulator.h.gch", "-w", "-x", "c++-header", HERE / "emulator.h")


@functools.cache
def runtime():
    """What all sources are linked to."""
    return compiled("runtime.o", "-c", HERE / "runtime.cpp")


def compiled(name, *arguments, code=""):
    """The file that the compiler makes of these and of ``code``: once for all processes that build into the folder."""
    key = hashlib.sha256(repr((arguments, code, surroundings())).encode()).hexdigest()[:24]
    path, own = folder() / key / name, folder() / f"{os.getpid()}-{key}-{name}"
    if not path.exists():
        command = [COMPILER, *OPTIONS, *SANITIZERS, *arguments, "-o", own]
        done = subprocess.run(command, input=code, capture_output=True, text=True)
        if done.returncode:
            raise NotCompiled(f"{' '.join(map(str, arguments))}:\n{done.stderr[:3000]}")
        path.parent.mkdir(exist_ok=True)
        own.replace(path)  # whole, or not there
    return path


@functools.cache
def surroundings():
    """All that a build depends on beside its source."""
    return COMPILER, OPTIONS, SANITIZERS, [path.read_text() for path in sorted(HERE.glob("*.[ch]*"))]


def entry(attributes, name, meets):
    """The function that runs a kernel, which knows what the kernel says of itself."""
    cluster = re.search(r"__cluster_dims__\((.*?), 1, 1\)", attributes)
    threads = re.search(r"__launch_bounds__\((.*?)(, \w+)?\)\s", attributes)
    found = {"cluster": cluster[1] if cluster else "1", "threads": threads[1] if threads else "1024"}
    return ENTRY.format(name=name, meets=meets, **found)


@functools.cache
def folder():
    """Where to build: what conftest.py made for all processes of a run, or a folder that goes with this one."""
    return Path(os.environ.get("XPRNN_KEPT") or _KEPT.name)


_KEPT = tempfile.TemporaryDirectory(prefix="xprnn-emulated-")
