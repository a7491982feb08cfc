"""The CUDA sources compile, as CuPy has them compiled: by NVRTC from its wheel, and by nvcc where there is one."""

import re
from io import StringIO
from pathlib import Path

import pytest
import registers
from emulation.cupy_arrays import cupy_without_gpu
from emulation.variants import CELLS, VARIANTS

from xprnn.gpu import cupy as gpu_cupy
from xprnn.gpu.cupy import explained, options
from xprnn.gpu.sources import source
from xprnn.kernels import cuda

SOURCES = Path(gpu_cupy.__file__).parent / "source"
EACH = [(file, name) for file in VARIANTS for name in registers.architectures(file)]


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
def test_nvcc_compiles_it(file):
    if not registers.NVCC:
        pytest.skip("there is no nvcc")
    exact = registers.version() == registers.table()[0]
    # Each cell, and each kind of numbers; all of both take minutes.
    some = VARIANTS[file] if len(VARIANTS[file]) < 5 else VARIANTS[file][::5]
    for defines in some:
        met = registers.uses(file, defines, registers.compiled(file, defines))
        assert met
        if file in registers.FILES:
            assert not registers.differences(met, exact)


def test_the_table_of_registers_has_all_variants():
    """And no others: write it anew after a change of the sources or of what they are compiled as."""
    rows = registers.table()[1]
    listed = {(name.file, name.architecture, name.defines) for name in rows}
    assert listed == {
        (file, architecture, registers.told(defines))
        for file in registers.FILES
        for architecture in registers.architectures(file)
        for defines in VARIANTS[file]
    }
    for name in rows:
        assert re.search(rf'extern "C" __global__ void[^;{{]*\b{name.kernel}\(', source(name.file))


def test_what_a_compiler_says_is_read_and_compared():
    file, defines, log = "recurrent.cu", VARIANTS["recurrent.cu"][0], """
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'forward_step' for 'sm_90'
ptxas info    : Function properties for forward_step
    96 bytes stack frame, %d bytes spill stores, 60 bytes spill loads
ptxas info    : Used %d registers, used 1 barriers, 96 bytes cumulative stack size, 2048 bytes smem
"""
    name = registers.Name(file, "90", "forward_step", registers.told(defines))
    assert registers.uses(file, defines, log % (8, 40)) == {name: (40, 8, 60, 2048)}
    wanted = registers.table()[1][name]
    close, spilled = wanted._replace(registers=wanted.registers + 1), wanted._replace(stored=wanted.stored + 65)
    for use, exact, other in ((wanted, False, False), (close, True, False), (spilled, True, True)):
        assert bool(registers.differences({name: use}, True)) == exact
        assert bool(registers.differences({name: use}, False)) == other
    assert "is not in registers.txt" in registers.differences({name._replace(defines="CELL=Other"): wanted}, False)[0]


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
        verbose, log = (*options(defines), "--ptxas-options=-v"), StringIO()
        compiler._compile_with_cache_cuda(text, verbose, architecture, log_stream=log, cache_in_memory=True)
        return programs[-1], log.getvalue()

    return run


@pytest.mark.parametrize("file, architecture", EACH)
def test_nvrtc_compiles_it_as_cupy_asks(file, architecture, compile_for):
    # All for one architecture, some for the other, which takes as long.
    for defines in VARIANTS[file][:: 1 if architecture == registers.ARCHITECTURES[-1] else 4]:
        program, log = compile_for(source(file), defines, architecture)
        assert program.startswith(b"\x7fELF")
        met = registers.uses(file, defines, log)
        assert met
        if file in registers.FILES:
            assert not registers.differences(met, False)


def test_what_does_not_compile_is_told_with_what_mends_it(compile_for):
    cupy, compiler = cupy_without_gpu("cupy"), cupy_without_gpu("cupy.cuda.compiler")
    with pytest.raises(compiler.CompileException) as caught:
        compile_for(source("recurrent.cu").replace("Index t,", "Index t", 1), (("CELL", "Gated"),), "90")
    reason, remedy = explained("recurrent.cu", str(caught.value), cupy.__version__)
    assert "'recurrent.cu' cannot be compiled by CuPy" in reason and "error:" in reason
    assert remedy.startswith("pip install 'xprnn[cuda1")
