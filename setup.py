"""The one part of the package that is compiled, the kernel for CPUs, where XPRNN_NATIVE=1 asks for it.

It is left out without an error where there is no compiler for it.
"""

import os
import sys

from setuptools import Extension, setup

FOLDER = "xprnn/kernels/native"
SOURCES = ("module", "support", "plain", "avx2", "avx512")
HEADERS = ("interface", "arrays", "vector", "tile", "panels", "cells", "forward", "backward", "kernels")
OPTIONS = ["-std=gnu++17", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fvisibility=hidden", "-g0"]

kernel = Extension(
    "xprnn.kernels._native",
    [f"{FOLDER}/{name}.cpp" for name in SOURCES],
    depends=[f"{FOLDER}/{name}.h" for name in HEADERS],
    define_macros=[("Py_LIMITED_API", "0x030B0000")],
    extra_compile_args=OPTIONS,
    extra_link_args=[] if sys.platform == "darwin" else ["-pthread"],
    py_limited_api=True,
    optional=True,
)

if os.environ.get("XPRNN_NATIVE") == "1":
    setup(ext_modules=[kernel], options={"bdist_wheel": {"py_limited_api": "cp311"}})
else:
    setup()
