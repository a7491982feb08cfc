"""The one part of the package that is compiled: the kernel for CPUs.

It is left out without an error where there is no compiler for it, and where the environment says XPRNN_NATIVE=0;
``xprnn backends -v`` says whether it is there.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from glob import glob

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

OPTIONS = ["-std=gnu++17", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fvisibility=hidden", "-g0"]

kernel = Extension(
    "xprnn.kernels._native",
    sorted(glob("xprnn/kernels/native/*.cpp")),
    depends=sorted(glob("xprnn/kernels/native/*.h")),
    define_macros=[("Py_LIMITED_API", "0x030B0000")],
    extra_compile_args=OPTIONS,
    extra_link_args=[] if sys.platform == "darwin" else ["-pthread"],
    py_limited_api=True,
    optional=True,
)


class BuildKernel(build_ext):
    """Compiles the sources side by side."""

    def build_extension(self, ext: Extension) -> None:
        compile_some = self.compiler.compile

        def compile_all(sources: list[str], **options: object) -> list[str]:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                objects = pool.map(lambda source: compile_some([source], **options), sources)
                return [one for some in objects for one in some]

        self.compiler.compile = compile_all
        super().build_extension(ext)


if os.environ.get("XPRNN_NATIVE") == "0":
    setup()
else:
    setup(
        ext_modules=[kernel],
        cmdclass={"build_ext": BuildKernel},
        options={"bdist_wheel": {"py_limited_api": "cp311"}},
    )
