"""The CUDA sources compile, as CuPy has them compiled: by NVRTC from its wheel, and by nvcc where there is one."""

import shutil
import subprocess
from pathlib import Path

import pytest
from emulation.cupy_arrays import cupy_without_gpu
from emulation.variants import CELLS, OLDEST, VARIANTS

from xprnn.gpu import cupy as gpu_cupy
from xprnn.gpu.cupy import explained, options
from xprnn.gpu.sources import source
from xprnn.kernels import cuda

SOURCES = Path(gpu_cupy.__file__).parent / "source"
ARCHITECTURES = ("80", "90")
NVCC = shutil.which("nvcc")
EACH = [(file, name) for file in VARIANTS for name in ARCHITECTURES if name >= OLDEST.get(file, "")]


def test_every_source_is_compiled_in_all_its_variants():
    assert {path.name for path in SOURCES.glob("*.cu")} == set(VARIANTS)
    kinds = {kind.cell for kind in cuda.KINDS.values()} | {f"Elman<{name}>" for name in cuda.ACTIVATIONS.values()}
    assert kinds == set(CELLS)


@pytest.mark.parametrize("file", sorted(path.name for path in SOURCES.iterdir()))
def test_no_source_needs_a_header_or_adds_in_an_order_of_its_own(file):
    text = source(file)
    assert "#include" not in text and "#pragma once" not in text
    assert "atomic" not in text
    assert text.isascii()  # CuPy writes it down in the locale's encoding


@pytest.mark.parametrize("file", VARIANTS)
def test_nvcc_compiles_it(file, tmp_path):
    if not NVCC:
        pytest.skip("there is no nvcc")
    (tmp_path / file).write_text(source(file), encoding="utf-8")
    code = [f"-gencode=arch=compute_{name},code=sm_{name}" for each, name in EACH if each == file]
    # Each cell, and each kind of numbers; all of both take minutes.
    some = VARIANTS[file] if len(VARIANTS[file]) < 5 else VARIANTS[file][::5]
    for defines in some:
        command = [NVCC, *options(defines), "-ftz=true", *code, "-fatbin", "-Werror", "all-warnings", file, "-o", "out"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{defines}: {done.stdout}{done.stderr}"


@pytest.fixture
def compile_for(monkeypatch):
    """CuPy's own way from a source to a program, for an architecture that is told and not asked of a GPU."""
    compiler, programs = cupy_without_gpu("cupy.cuda.compiler"), []
    try:
        compiler._get_nvrtc_version()
    except (RuntimeError, ImportError, OSError) as error:
        pytest.skip(f"CuPy finds no NVRTC: {str(error).splitlines()[0]}")

    class Module:
        """What CuPy loads a program into, without a GPU to load it."""

        def _set_mapping(self, mapping):
            pass

        def load(self, program):
            programs.append(program)

    monkeypatch.setattr(compiler.function, "Module", Module)

    def run(text, defines, architecture):
        told = f"-arch=sm_{architecture}", "cubin"
        monkeypatch.setattr(compiler, "_get_arch_for_options_for_nvrtc", lambda arch=None: told)
        compiler._compile_with_cache_cuda(text, options(defines), architecture, cache_in_memory=True)
        return programs[-1]

    return run


@pytest.mark.parametrize("file, architecture", EACH)
def test_nvrtc_compiles_it_as_cupy_asks(file, architecture, compile_for):
    # All for one architecture, some for the other, which takes as long.
    for defines in VARIANTS[file][:: 1 if architecture == ARCHITECTURES[-1] else 4]:
        program = compile_for(source(file), defines, architecture)
        assert program.startswith(b"\x7fELF")


def test_what_does_not_compile_is_told_with_what_mends_it(compile_for):
    cupy, compiler = cupy_without_gpu("cupy"), cupy_without_gpu("cupy.cuda.compiler")
    with pytest.raises(compiler.CompileException) as caught:
        compile_for(source("recurrent.cu").replace("Index t,", "Index t", 1), (("CELL", "Gated"),), "90")
    reason, remedy = explained("recurrent.cu", str(caught.value), cupy.__version__)
    assert "'recurrent.cu' cannot be compiled by CuPy" in reason and "error:" in reason
    assert remedy.startswith("pip install 'xprnn[cuda1")
