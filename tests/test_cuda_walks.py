"""Walks of the kernel for GPUs: which are asked, which are named, and what is told of what they do not run."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from emulation import MISSING, Emulated
from subjects import CELLS

from xprnn import cells, kernels
from xprnn.cli import backends
from xprnn.kernels import cuda, loop
from xprnn.kernels.cuda_steps import Steps
from xprnn.scan import scan
from xprnn.testing import Case

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@dataclass(frozen=True)
class Narrow(Steps):
    """A walk of LSTMs in float32 alone, of some sizes, precisions and storages."""

    runs: ClassVar[str] = "kernel='narrow' runs LSTM in float32, 'highest', up to 8 units and 4 rows"

    def refusal(self, wanted):
        met = {
            type(wanted.cell).__name__: wanted.kind.cell == "Memory<false>",
            str(wanted.dtype): wanted.dtype == np.float32,
            wanted.precision: wanted.precision == "highest",
            f"storage={wanted.storage!r}": wanted.storage is None,
            f"{wanted.cell.hidden} units": wanted.cell.hidden <= 8,
            f"{wanted.B} rows": wanted.B <= 4,
        }
        return next((name for name, fine in met.items() if not fine), "")


NARROW = cuda.CUDA(device=Emulated(), walk=Narrow())


@pytest.mark.parametrize("cell, kernel, dtype, batch, met", [
    (cells.GRU(4), NARROW, "float32", 2, "GRU"),
    (cells.LSTM(4), NARROW, "float64", 2, "float64"),
    (cells.LSTM(9), NARROW, "float32", 2, "9 units"),
    (cells.LSTM(4), NARROW, "float32", 5, "5 rows"),
    (cells.LSTM(4), replace(NARROW, precision="high"), "float32", 2, "high"),
    (cells.LSTM(4), replace(NARROW, storage="bfloat16"), "float32", 2, "storage='bfloat16'"),
])  # fmt: skip
@pytest.mark.parametrize("tape", [True, False])
def test_what_a_walk_does_not_run_is_told(cell, kernel, dtype, batch, met, tape, monkeypatch):
    monkeypatch.setattr(kernels, "NAMED", {"narrow": kernel})
    p = {name: v.astype(dtype) for name, v in cell.init(np.random.default_rng(0), 3).items()}
    x = np.ones((3, batch, 3), dtype)
    assert not kernel.accepts(cell, x, None) and not kernel.accepts(cell, x[0], None)
    with pytest.raises(ValueError, match=rf"'narrow' runs LSTM in float32, .* and 4 rows, not {met}; kernel='cuda'"):
        scan(cell, p, x, kernel="narrow", tape=tape)


def test_a_walk_takes_no_more_than_the_kernel_and_runs_what_it_takes():
    case = Case(CELLS["LSTM"], kernel=NARROW)
    a = case.draw()
    x = a.x.astype("float32")
    taken = {name for name, cell in CELLS.items() if NARROW.accepts(cell, x, None)}
    assert taken == {"LSTM", "LSTM-bare", "LSTM-double"}
    assert not cuda.CUDA(walk=Narrow()).accepts(case.cell, x, None)  # NumPy's are not CuPy's
    with pytest.raises(TypeError, match="x holds numbers of dtype float16, and the kernel for GPUs takes float32 or"):
        scan(case.cell, {name: v.astype("float16") for name, v in a.p.items()}, a.x.astype("float16"), kernel=NARROW)
    with pytest.raises(TypeError, match="dtype float64, and the kernel for GPUs takes float32 where it is stored as f"):
        scan(case.cell, a.p, a.x, kernel=cuda.CUDA(storage="float16", device=Emulated()))


def test_kernels_by_name_are_not_asked(monkeypatch):
    monkeypatch.setattr(kernels, "NAMED", {"narrow": NARROW})
    x = np.ones((3, 2, 3), "float32")
    assert kernels.find("narrow") is NARROW and NARROW.accepts(cells.LSTM(4), x, None)
    assert kernels.choose(cells.LSTM(4), x, None) is not NARROW
    with pytest.raises(ValueError, match=r"there is no kernel 'wide'; there are .*loop, narrow"):
        kernels.find("wide")


def test_the_environment_may_name_one_of_them(monkeypatch):
    monkeypatch.setattr(kernels, "WALKS", {"narrow": Narrow()})
    asked, named, only = kernels._listed("narrow", "high")
    assert list(asked) == ["narrow", "loop"] and not named
    assert asked["narrow"] is only and only == cuda.CUDA("high", walk=Narrow())
    asked, named, only = kernels._listed(None, "highest")
    assert "narrow" not in asked and list(named) == ["narrow", "norm"] and only is None
    assert kernels._listed("cuda", "highest").only is None
    with pytest.raises(ValueError, match=r"XPRNN_KERNEL=wide in the environment, but there are .*, loop, narrow"):
        kernels._listed("wide", "highest")


def test_one_that_the_environment_names_runs_what_is_on_a_gpu_or_says_why_not(monkeypatch):
    monkeypatch.setattr(kernels, "KERNELS", {"narrow": NARROW, "loop": loop})
    monkeypatch.setattr(kernels, "ONLY", NARROW)
    monkeypatch.setattr(backends, "KERNELS", kernels.KERNELS)
    x = np.ones((3, 2, 3), "float32")
    assert kernels.choose(cells.LSTM(4), x, None) is NARROW
    assert kernels.choose(cells.GRU(4), np.ma.asarray(x), None) is loop  # lies elsewhere
    with pytest.raises(ValueError, match=r"'narrow' runs LSTM in float32, .* not GRU"):
        scan(cells.GRU(4), {}, x)
    with pytest.raises(TypeError, match="does not run ProjectedLSTM"):
        scan(cells.ProjectedLSTM(4, 2), {}, x)
    assert backends.takes("numpy").startswith("on numpy, whatever the shape, nobody runs RNN, PeepholeLSTM, ")
    assert backends.takes("numpy").endswith("; narrow runs LSTM")


def test_each_walk_by_name_says_what_it_runs(monkeypatch):
    for name in kernels.WALKS:
        kernel = kernels.NAMED[name]
        each = (kernel.common, kernel.norm) if name in kernels.NORM_WALKS else (kernel,)
        assert all(one.walk.runs.startswith(f"kernel={name!r} runs ") for one in each)
    monkeypatch.setattr(backends, "WALKS", {"narrow": Narrow()})
    assert backends.gpu_kernel(True)[-1] == f"by that name alone, {Narrow.runs}"
