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

HEADER = Path(__file__).parent / "emulator.h"
COMPILER = shutil.which("g++") or shutil.which("clang++")
MISSING = "" if COMPILER else "there is no C++ compiler to run CUDA sources with"
OPTIONS = ("-std=c++17", "-O1", "-U_FORTIFY_SOURCE", "-shared", "-fPIC", "-Wall", "-Wno-unused-function", "-Werror")
# Under sanitizers arrays have no margins: these see each access outside, to read as to write.
SANITIZED = "XPRNN_EMULATION" in os.environ
SANITIZERS = ("-O0", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all") if SANITIZED else ()
KERNEL = re.compile(r"extern \"C\" __global__ void (\w+)\(")
MEETING = ("__shared__", "__syncthreads", "__syncwarp", "__shfl", "__ballot")
ENTRY = """
extern "C" const char* run_{name}(const emulator::Argument* arguments, int count, long long blocks, int threads,
                                  bool barriers, std::uint64_t seed) {{
    return emulator::launch({name}, arguments, count, blocks, threads, barriers, seed);
}}"""


class NotCompiled(Exception):
    """A source that the compiler refuses."""


@functools.cache
def built(text, defines=()):
    """The source as a library with a function run_NAME for each of its kernels, and whether its threads meet."""
    entries = "".join(ENTRY.format(name=name) for name in KERNEL.findall(text))
    code = f'#include "{HEADER}"\n{text}\n{entries}\n'
    options = [f"-D{name}={value}" for name, value in defines]
    path = folder() / hashlib.sha256(repr((code, options)).encode()).hexdigest()[:24]
    path.with_suffix(".cpp").write_text(code, encoding="utf-8")
    command = [COMPILER, *OPTIONS, *SANITIZERS, *options, path.with_suffix(".cpp"), "-o", path.with_suffix(".so")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise NotCompiled(f"with {options}:\n{done.stderr[:3000]}")
    return ctypes.CDLL(str(path.with_suffix(".so"))), any(word in text for word in MEETING)


@functools.cache
def folder():
    """Where this process builds; it goes when the process ends."""
    return Path(_KEPT.name)


_KEPT = tempfile.TemporaryDirectory(prefix="xprnn-emulated-")
