"""``xprnn backends``: the table of libraries, and what -v says of NumPy's products and of the compiled kernel."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import xprnn
from xprnn.backend import Status
from xprnn.cli import backends, blas, main
from xprnn.kernels import KERNELS, cpu

ROOT = Path(__file__).resolve().parents[1]
SLOW = "they leave this processor's AVX-512 unused; others would be faster"
CORES = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
MEND = "to fix it: set OPENBLAS_CORETYPE=SkylakeX in the environment"


def test_backends_lists_every_one_aligned(capsys):
    assert main(["backends"]) == 0
    lines = capsys.readouterr().out.splitlines()
    usable = lines[0].index("usable")
    for status in xprnn.available():
        (line,) = (line for line in lines if line.startswith(status.name + " "))
        assert line[usable:].split() == (["yes", status.device, status.version] if status.usable else ["no", "-", "-"])


def test_backends_says_why_not_and_what_fixes_it():
    reason = "backend 'cupy' cannot be used: CUDARuntimeError:\n  no device " + "and so on " * 40
    remedy = "pip install 'xprnn[cuda13]' for this machine, which is a line that is longer than others"
    statuses = [Status("numpy", True, "cpu", "2.4.6"), Status("cupy", False, reason=reason, remedy=remedy)]
    lines = backends.table(statuses, False, 60).splitlines()
    assert lines[0] == "backend  usable  device  version"
    assert lines[1:3] == ["numpy    yes     cpu     2.4.6", "cupy     no      -       -"]
    assert lines[3].startswith("         CUDARuntimeError: no device and so on")
    assert "(-v shows all)" in " ".join(map(str.strip, lines)) and lines[-1] == f"         to fix it: {remedy}"
    assert all(len(line) <= 60 for line in lines[:-1])
    assert " ".join(backends.table(statuses, True, 60).split()).count("and so on") == 40


def told(text, name):
    """What ``xprnn backends -v`` says of ``name``, in one line."""
    lines = text.partition("\n\n")[2].splitlines()
    (start,) = (n for n, line in enumerate(lines) if line.startswith(f"{name}  "))
    rest = itertools.takewhile(lambda line: line.startswith("  "), lines[start + 1 :])
    return " ".join([lines[start].removeprefix(name).strip(), *map(str.strip, rest)])


def elsewhere(code, **environment):
    """The lines that ``code`` prints in a process with another environment."""
    code = f"from xprnn.cli import backends, blas; from xprnn.kernels import cpu; print(*{code}, sep='\\n')"
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


PRODUCTS, KERNEL = "backends.products(blas.installed(), blas.features())", "backends.kernel(cpu.MISSING)"


def test_verbose_tells_of_all_there_is(capsys):
    assert main(["backends", "-v"]) == 0
    text = capsys.readouterr().out
    assert told(text, "Python").startswith(sys.version.split()[0])
    assert told(text, "NumPy") == np.__version__
    assert told(text, "BLAS") == " ".join(backends.products(blas.installed(), blas.features()))
    assert told(text, "CPU kernel") == " ".join(backends.kernel(cpu.MISSING))
    usable = any(status.name == "cupy" and status.usable for status in xprnn.available())
    assert told(text, "GPU kernel") == " ".join(backends.gpu_kernel(usable))
    usable = [status.name for status in xprnn.available() if status.usable]
    assert told(text, "kernels") == " ".join([backends.order(list(KERNELS)), *map(backends.takes, usable)])


def test_the_products_are_described_as_they_run():
    library, found = blas.openblas(), blas.installed()
    assert found.name.split()[1] == np.show_config(mode="dicts")["Build Dependencies"]["blas"]["version"]
    if library is None:
        assert found[1:] == (None, None)
        return
    before = library.scipy_openblas_get_num_threads64_()
    library.scipy_openblas_set_num_threads64_(1)
    try:
        assert blas.installed().threads == 1
    finally:
        library.scipy_openblas_set_num_threads64_(before)


@pytest.mark.skipif(blas.openblas() is None, reason="this NumPy has no OpenBLAS of its own")
@pytest.mark.skipif(not blas.features() & {"X86_V4", "AVX512_SKX"}, reason="this processor has no AVX-512")
@pytest.mark.parametrize("core, advice", [("Haswell", [SLOW, MEND]), ("SkylakeX", [])])
def test_another_core_type_is_named_where_it_is_faster(core, advice):
    first, *others = elsewhere(PRODUCTS, OPENBLAS_CORETYPE=core)
    assert first.endswith(f", kernels for {core}, 1 thread") and others == advice


@pytest.mark.parametrize(
    "core, features, wanted",
    [
        ("Haswell", {"X86_V3", "X86_V4"}, "SkylakeX"),  # as NumPy 2.4 calls AVX-512
        ("Zen", {"AVX2", "AVX512_SKX"}, "SkylakeX"),  # as NumPy 2.3 does
        ("Haswell", {"X86_V3", "AVX512F"}, None),  # the first of them had less
        ("SkylakeX", {"X86_V4"}, None),
        ("Cooperlake", {"X86_V4"}, None),
        ("SapphireRapids", {"X86_V4"}, None),
        ("neoversen1", {"NEON", "ASIMD"}, None),
        (None, {"X86_V4"}, None),
    ],
)
def test_which_core_type_is_faster(core, features, wanted):
    assert blas.faster(core, features) == wanted
    lines = backends.products(blas.Blas("some-blas 1.2", core, core and 4), features)
    if core is None:
        assert lines == ["some-blas 1.2; its kernels and threads cannot be asked for"]
    else:
        assert lines == [f"some-blas 1.2, kernels for {core}, 4 threads", *([SLOW, MEND] if wanted else [])]


def test_numpy_knows_this_processor():
    assert blas.features() & {"X86_V2", "SSE2", "NEON", "ASIMD", "VSX", "VX", "LSX", "RVV"}


@pytest.mark.skipif(bool(cpu.MISSING), reason="the kernel for CPUs is not there")
@pytest.mark.parametrize(
    "said, threads",
    [
        ("1", "1 thread, as OMP_NUM_THREADS says"),
        ("3,2", "3 threads, as OMP_NUM_THREADS says"),
        ("none", f"{CORES} thread{'s' * (CORES != 1)}, as many as there are cores"),
    ],
)
def test_the_kernel_is_described(said, threads):
    assert elsewhere(KERNEL, OMP_NUM_THREADS=said) == [
        f"built; runs {cpu.INSTRUCTIONS[0]}, of {', '.join(cpu.INSTRUCTIONS)}",
        threads,
        "takes RNN (tanh, relu, identity, linear), LSTM, PeepholeLSTM, GRU, GRUResetBefore",
        "in float32 and float64, on arrays of NumPy and of PyTorch on the CPU",
    ]


def test_a_kernel_that_is_left_out_is_missed():
    assert elsewhere(KERNEL, XPRNN_NATIVE="0") == [
        "not there: XPRNN_NATIVE=0 in the environment leaves it out; the loop runs in its place",
        "to fix it: unset XPRNN_NATIVE",
    ]


def test_a_kernel_that_was_not_built_is_missed():
    missing, mend = backends.kernel("no compiler built it when xprnn was installed")
    assert missing == "not there: no compiler built it when xprnn was installed; the loop runs in its place"
    assert mend.startswith("to fix it: install g++ or clang++, then") and mend.endswith(" --no-deps -e .")


def test_the_kernel_for_gpus_is_described_as_it_runs():
    assert backends.gpu_kernel(False) == ["nothing to run on: CuPy cannot be used here, as is said above"]
    text = " ".join(backends.gpu_kernel(True))
    assert "RNN (tanh, relu, identity, linear), LSTM, PeepholeLSTM, GRU, GRUResetBefore, and Zoneout of these" in text
    assert "multiplies float32 exactly: precision 'highest'" in text
    lines = elsewhere("backends.gpu_kernel(True)", XPRNN_PRECISION="high")
    assert "multiplies float32 by TF32 operands: precision 'high'" in lines


def test_which_kernel_runs_which_cell():
    common = "RNN, LSTM, PeepholeLSTM, GRU, GRUResetBefore"
    rest = "LayerNormLSTM, Zoneout, ProjectedLSTM, GeneralLSTM, GeneralGRU"
    here = f"cpu runs {common}; loop runs {rest}" if cpu.INSTRUCTIONS else "loop runs every cell"
    assert backends.takes("numpy") == f"on numpy, whatever the shape, {here}"
    told = elsewhere("[backends.takes('numpy')]", XPRNN_KERNEL="loop")
    assert told == ["on numpy, whatever the shape, loop runs every cell"]
    assert {type(cell).__name__ for cell in backends.CELLS} == set(xprnn.cells.__all__) - {"Cell"}


def test_the_environment_chooses_among_kernels():
    assert backends.order(["cpu", "loop"]).startswith("cpu, loop: the first that takes a cell on an array runs it")
    (line,) = elsewhere("[backends.order(list(backends.KERNELS))]", XPRNN_KERNEL="loop")
    assert line.startswith("loop: ") and line.endswith("XPRNN_KERNEL in the environment leaves out all others")
    (line,) = elsewhere("[*backends.KERNELS][:1]", XPRNN_KERNEL="cuda")
    assert line == "cuda"
    with pytest.raises(subprocess.CalledProcessError) as caught:
        elsewhere("[]", XPRNN_KERNEL="loops")
    assert "XPRNN_KERNEL=loops in the environment, but there are" in caught.value.stderr
