"""The CUDA sources compile, as CuPy has them compiled: by NVRTC from its wheel, and by nvcc where there is one."""

import re
import subprocess
from io import StringIO
from itertools import cycle
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


def some(file):
    """Each cell, and each kind of numbers; all of both take minutes."""
    return VARIANTS[file] if len(VARIANTS[file]) < 5 else VARIANTS[file][::5]


@pytest.mark.parametrize("file", VARIANTS)
def test_nvcc_compiles_it(file):
    if not registers.NVCC:
        pytest.skip("there is no nvcc")
    exact = registers.version() == registers.table()[0]
    for defines, architecture in zip(some(file), cycle(registers.architectures(file))):
        met = registers.uses(file, defines, registers.compiled(file, defines, [architecture]))
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
    # All for one architecture; for the other, which takes as long, what nvcc compiles for the first.
    for defines in VARIANTS[file] if architecture == registers.ARCHITECTURES[-1] else some(file)[1::2]:
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


# Each function of the headers, as no kernel uses all of them; by the capability that they need.
WORDS = """
extern "C" __global__ void __launch_bounds__(64, 1) words(float* y, unsigned* flags) {
    float d[4] = {}, *given = reinterpret_cast<float*>(shared_memory());
    const unsigned a[4] = {to_tf32(y[0]), to_tf32(y[1]), two_bf16(y[2], y[3]), 0};
    multiply_tf32(d, a, a[0], a[1]);
    multiply_bf16(d, a, a[2], a[3]);
    given[threadIdx.x] = d[0] + d[3];
    meet(1, 64);
    if (!flag_await(flags, 3, 1000)) return;
    const uint4 other = load_fresh16(y + 4 * threadIdx.x);
    store_fresh16(y, make_uint4(other.w, flag_read(flags + 1), __float_as_uint(given[63 - threadIdx.x]), 0));
    flag_raise(flags + 2, 4);
}"""
CLUSTERS = """
extern "C" __global__ void __cluster_dims__(4, 1, 1) clusters(unsigned* y) {
    Barrier* full = reinterpret_cast<Barrier*>(shared_memory());
    unsigned* given = reinterpret_cast<unsigned*>(shared_memory() + 128);
    if (threadIdx.x == 0) barrier_begin(full, 1);
    barrier_fence();
    if (threadIdx.x == 0) barrier_expect(full, 28 * 32);
    cluster_meet();
    push16(given, full, cluster_rank(), y[0], y[1], y[2], y[3]);
    push8(given + 4, full, threadIdx.x % 4, y[4], y[5]);
    push4(given + 6, full, 3, y[6]);
    barrier_wait(full, 0);
    y[threadIdx.x] = given[threadIdx.x];
}"""


def words(architecture):
    """A source with all that a GPU of this capability has."""
    newest = architecture == registers.ARCHITECTURES[-1]
    parts = [source(file) for file in ("cluster.cuh", "tensor.cuh", "flags.cuh")]
    return "\n".join([*parts, WORDS, CLUSTERS if newest else ""])


@pytest.mark.parametrize("architecture", registers.ARCHITECTURES)
def test_nvrtc_knows_each_instruction(architecture, compile_for):
    log = compile_for(words(architecture), (), architecture)[1]
    met = registers.uses("", (), log)
    assert {name.kernel for name in met} == {"80": {"words"}, "90": {"words", "clusters"}}[architecture]
    assert all(use.stored == 0 for use in met.values())


@pytest.mark.parametrize("architecture", registers.ARCHITECTURES)
def test_nvcc_knows_each_instruction(architecture, tmp_path):
    if not registers.NVCC:
        pytest.skip("there is no nvcc")
    (tmp_path / "words.cu").write_text(words(architecture))
    asked = f"-arch=sm_{architecture}", *options(()), "-Werror", "all-warnings", "-cubin"
    done = subprocess.run([registers.NVCC, *asked, "words.cu"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
