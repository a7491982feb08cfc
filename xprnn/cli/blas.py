"""The library that computes NumPy's matrix products: which it is, the kernels that it picked, its threads."""

import ctypes
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np

# OpenBLAS's names of the core types whose kernels use AVX-512; and NumPy's names of processors that have it.
WITH_AVX512 = ("SkylakeX", "Cooperlake", "SapphireRapids")
HAS_AVX512 = ("X86_V4", "AVX512_SKX")


class Blas(NamedTuple):
    """What there is to know; ``core`` and ``threads`` are None for a library that cannot be asked."""

    name: str
    core: str | None = None
    threads: int | None = None


def openblas() -> ctypes.CDLL | None:
    """The OpenBLAS that NumPy's wheel brought along and has loaded, if it did."""
    package = Path(np.__file__).parent
    folders = (package.parent / "numpy.libs", package / ".dylibs")
    found = [file for folder in folders for file in folder.glob("libscipy_openblas64_*")]
    return ctypes.CDLL(str(found[0])) if found else None


def installed() -> Blas:
    """NumPy's BLAS as it runs in this process."""
    built, library = np.show_config(mode="dicts")["Build Dependencies"]["blas"], openblas()
    name = f"{built['name']} {built['version']}"
    if library is None:
        return Blas(name)
    library.scipy_openblas_get_corename64_.restype = ctypes.c_char_p
    return Blas(name, library.scipy_openblas_get_corename64_().decode(), library.scipy_openblas_get_num_threads64_())


def features() -> set[str]:
    """What NumPy knows of this processor's instructions, by its names."""
    found = np.show_config(mode="dicts")["SIMD Extensions"]
    return {*found.get("baseline", ()), *found.get("found", ())}


def faster(core: str | None, features: Collection[str]) -> str | None:
    """The core type that would be faster than ``core`` on a processor with these features, if one is known to be.

    OpenBLAS goes by the processor's family, and takes Haswell's kernels for families that it does not know.
    """
    if core is None or core in WITH_AVX512 or not any(name in features for name in HAS_AVX512):
        return None
    return WITH_AVX512[0]
