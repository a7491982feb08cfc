"""The compiled kernel: its functions to the last bits, and its numbers beside the loop's on every instruction set."""

import functools
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from subjects import CELLS, COMMON, SIZED

from xprnn import cells
from xprnn.backend import backend
from xprnn.kernels import KERNELS, choose, cpu, loop
from xprnn.scan import scan, scan_vjp
from xprnn.testing import Case, compare

pytestmark = pytest.mark.skipif(not cpu.INSTRUCTIONS, reason="the kernel for CPUs was not built")
EACH_SET = pytest.mark.parametrize("instructions", cpu.INSTRUCTIONS)

SIZES = (1, 2, 3, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100)
EACH_CELL = pytest.mark.parametrize("make", SIZED.values(), ids=SIZED)


def curve(instructions, logistic, x):
    y = np.empty_like(x)
    cpu._native.curve(instructions, logistic, ord(x.dtype.char), x.size, x, y)
    return y


def exact(logistic, x):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x)) if logistic else np.tanh(x)


def check_ulps(instructions, logistic, x, wide, most=2.0):
    """Assert that the function of x is within ``most`` units in the last place of what ``wide`` makes of it."""
    met, wanted = curve(instructions, logistic, x), exact(logistic, x.astype(wide))
    unit = np.spacing(np.abs(wanted).astype(x.dtype)).astype(wide)
    wrong = np.abs(met.astype(wide) - wanted) / unit
    assert wrong.max() <= most, f"{wrong.max()} at {x[np.argmax(wrong)]!r}"


@EACH_SET
@pytest.mark.parametrize("logistic, lowest", [(False, -np.inf), (True, -87.3)], ids=["tanh", "sigmoid"])
def test_floats_are_within_two_units_in_the_last_place(instructions, logistic, lowest):
    x = np.arange(0, 2**32, 499, dtype=np.uint64).astype(np.uint32).view(np.float32)
    x = x[np.isfinite(x) & (x > lowest)]
    check_ulps(instructions, logistic, x, np.float64)


@EACH_SET
@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="longdouble is no wider than double here")
@pytest.mark.parametrize("logistic, lowest", [(False, -800), (True, -707)], ids=["tanh", "sigmoid"])
def test_doubles_are_within_two_units_in_the_last_place(instructions, logistic, lowest):
    rng = np.random.default_rng(0)
    tiny = np.ldexp(rng.uniform(-1, 1, 100_000), rng.integers(-60, 9, 100_000))
    x = np.concatenate([rng.uniform(-1, 1, 200_000), 5 * rng.normal(size=200_000), tiny])
    check_ulps(instructions, logistic, x[x > lowest], np.longdouble)


@EACH_SET
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_functions_at_the_ends(instructions, dtype):
    x = np.array([-np.inf, -1e30, -0.0, 0.0, 1e30, np.inf, np.nan], dtype)
    np.testing.assert_array_equal(curve(instructions, False, x), np.array([-1, -1, 0, 0, 1, 1, np.nan], dtype))
    low, *middle = curve(instructions, True, x)
    assert low == 0
    np.testing.assert_array_equal(middle[1:], np.array([0.5, 0.5, 1, 1, np.nan], dtype))
    smallest = np.array([np.finfo(dtype).smallest_subnormal], dtype)
    np.testing.assert_array_equal(curve(instructions, False, smallest), smallest)
    np.testing.assert_array_equal(np.signbit(curve(instructions, False, x[:-1])), np.signbit(x[:-1]))


def tame(case):
    """The case's inputs, weights small enough that long sequences do not blow rounding up."""
    a = case.draw()
    scale = min(1.0, 2.0 / np.sqrt(case.cell.hidden))
    return a._replace(p={name: v if name == "keep" else scale * v for name, v in a.p.items()})


@functools.lru_cache(maxsize=64)
def looped(case):
    """The tame inputs of a case of the loop and its results, which every instruction set is held to."""
    a = tame(case)
    return a, case.run(a)


def check_case(case):
    """Assert that the kernel gives the loop's numbers; the inputs and its results."""
    assert case.accepted()
    a, wanted = looped(replace(case, kernel=loop))
    met = case.run(a)
    compare.close("kernel", case, met, wanted, 10 * case.tolerance)
    return a, met


@EACH_SET
@EACH_CELL
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sizes_that_fill_no_vector(instructions, make, dtype):
    rng = np.random.default_rng(0)
    for seed, hidden in enumerate(SIZES * 2):
        batch, steps = int(rng.choice([1, 2, 3, 4, 5, 7, 14, 15, 29])), int(rng.choice([1, 2, 5, 30]))
        padding = rng.choice(["none", "ragged", "holes"]) if batch > 2 and steps > 1 else "none"
        check_case(
            Case(
                make(hidden), backend("numpy", dtype), cpu.CPU(1, instructions), reverse=bool(seed % 2),
                padding=str(padding), dropout=0.4 * (seed % 3 == 0), features=int(rng.choice(SIZES)), steps=steps,
                batch=batch, seed=seed,
            )
        )  # fmt: skip


@EACH_SET
@EACH_CELL
@pytest.mark.parametrize(("threads", "steps", "batch"), [(1, 131, 19), (2, 131, 19), (3, 131, 19), (2, 700, 2)])
def test_threads(instructions, make, threads, steps, batch):
    # Enough work that each thread is given some, more steps than are summed up at once, and chunks that do not divide;
    # at last each thread has a row of its own.
    case = Case(
        make(100), backend("numpy", "float64"), cpu.CPU(threads, instructions), padding="holes", reverse=True,
        dropout=0.4, features=90, steps=steps, batch=batch,
    )  # fmt: skip
    a, met = check_case(case)
    compare.identical("threads", case, case.run(a), met)


@EACH_SET
def test_large_weights_go_by_blocks(instructions):
    case = Case(cells.LSTM(272), backend("numpy", "float64"), cpu.CPU(1, instructions), features=5, steps=3, batch=131)
    check_case(case)


@EACH_SET
@pytest.mark.parametrize("batch", [1, 2])
def test_infinite_cotangents_stay_infinite(instructions, batch):
    # The weights' zero padding times infinity would be NaN.
    p = {"Wx": np.full((3, 19), 0.1), "Wh": np.full((19, 19), 0.1)}
    dys = np.zeros((4, batch, 19))
    dys[-1, 0, 7] = np.inf
    _, _, tape = scan(cells.RNN(19, "identity", bias=False), p, np.ones((4, batch, 3)), kernel=cpu.CPU(1, instructions))
    dx, ds, dp = scan_vjp(cells.RNN(19, "identity", bias=False), p, tape, dys)
    assert np.all(dx[:, 0] == np.inf) and np.all(dx[:, 1:] == 0)
    assert np.all(ds[0][0] == np.inf) and np.all(dp["Wx"] == np.inf)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_laid_out_otherwise(dtype):
    cell, rng = cells.LSTM(7), np.random.default_rng(0)
    p = {name: v.astype(dtype) for name, v in cell.init(rng, 5).items()}
    x, dys = rng.normal(size=(6, 4, 5)).astype(dtype), rng.normal(size=(6, 4, 7)).astype(dtype)
    mask = rng.random((6, 4, 1)) < 0.7
    s = tuple(rng.normal(size=(4, 7)).astype(dtype) for _ in range(2))
    flat = _run(cell, p, x, s, mask, dys)
    swapped = [np.ascontiguousarray(a.swapaxes(0, 1)).swapaxes(0, 1) for a in (x, mask, dys)]
    strided = [np.repeat(np.repeat(a, 2, axis=2), 3, axis=0)[::3, :, ::2] for a in (x, mask, dys)]
    backwards = [np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1] for a in (x, mask, dys)]
    fortran = {name: np.asfortranarray(v) for name, v in p.items()}, tuple(np.asfortranarray(v) for v in s)
    for x, mask, dys in (swapped, strided, backwards):
        compare.identical("layout", cell, _run(cell, fortran[0], x, fortran[1], mask, dys), flat)


def _run(cell, p, x, s, mask, dys):
    y, end, tape = scan(cell, p, x, s, mask=mask, kernel=cpu.CPU())
    return {"forward": (y, end), "backward": scan_vjp(cell, p, tape, dys)}


def test_torch_tensors_share_their_memory():
    torch = pytest.importorskip("torch")
    case = Case(cells.GRU(9), backend("torch", "float32"), cpu.CPU(), padding="holes", dropout=0.4)
    check_case(case)
    a = case.place(case.draw())
    assert not cpu.CPU().accepts(case.cell, a.x.clone().requires_grad_(), None)
    assert not cpu.CPU().accepts(case.cell, a.x.to("meta"), None)
    assert not cpu.CPU().accepts(case.cell, a.x.to(torch.bfloat16), None)
    assert isinstance(case.both(a).dx, torch.Tensor)


def test_what_it_accepts():
    class Mine(cells.LSTM):
        pass

    x = np.ones((2, 3, 4))
    assert choose(cells.LSTM(3), x, None) is KERNELS["cpu"]
    fine = {name for name, cell in CELLS.items() if cpu.CPU().accepts(cell, x, None)}
    assert fine == COMMON
    assert not cpu.CPU().accepts(Mine(3), x, None)
    assert not cpu.CPU().accepts(cells.LSTM(3), x.astype(np.float16), None)
    assert not cpu.CPU().accepts(cells.LSTM(3), x[:, :0], None)


def test_arguments_that_do_not_fit_are_told():
    cell, x = cells.LSTM(3), np.ones((2, 3, 4))
    p = cell.init(np.random.default_rng(0), 4)
    with pytest.raises(ValueError, match=r"Wx has the shape \(5, 12\), expected \(4, 12\)"):
        scan(cell, p | {"Wx": np.ones((5, 12))}, x, kernel=cpu.CPU())
    with pytest.raises(TypeError, match="Wh holds numbers of format f, expected d"):
        scan(cell, p | {"Wh": p["Wh"].astype("float32")}, x, kernel=cpu.CPU())
    with pytest.raises(ValueError, match="instruction set"):
        scan(cell, p, x, kernel=cpu.CPU(instructions="mmx"))


def test_other_threads_run_meanwhile():
    cell, rng = cells.LSTM(256), np.random.default_rng(0)
    p, x = cell.init(rng, 256), rng.normal(size=(60, 40, 256))
    done, ticks = threading.Event(), 0
    worker = threading.Thread(target=lambda: (scan(cell, p, x, kernel=cpu.CPU(1)), done.set()))
    worker.start()
    while not done.is_set():
        time.sleep(0.001)
        ticks += 1
    worker.join()
    assert ticks > 5


@pytest.mark.parametrize("said, count", [("3", 3), ("2,1", 2)])
def test_threads_are_those_of_the_environment(said, count):
    code = "from xprnn.kernels import cpu; print(cpu.THREADS)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env=os.environ | {"OMP_NUM_THREADS": said, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert int(done.stdout) == count


def peak_of(work):
    """What ``work`` gives, and the most bytes of Python's and NumPy's that it has at a time."""
    tracemalloc.start()
    result = work()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return result, most


@pytest.mark.parametrize("batch", [1, 3, 40])
def test_what_nobody_asks_for_takes_no_memory(batch):
    cell, kernel, rng = cells.GRU(16), cpu.CPU(2), np.random.default_rng(0)
    p, x, s = cell.init(rng, 16), rng.normal(size=(900, batch, 16)), (np.zeros((batch, 16)),)
    asked, most = peak_of(lambda: kernel.forward(cell, p, x, s, None, False, False))
    bare, least = peak_of(lambda: kernel.forward(cell, p, x, s, None, False, False, False))
    assert most > x.nbytes > 20 * least
    np.testing.assert_array_equal(bare[1], asked[1])
    mask, dys = np.ones((900, batch, 1), dtype=bool), rng.normal(size=x.shape)
    (_, _, tape), most = peak_of(lambda: kernel.forward(cell, p, x, s, mask, False))
    _, least = peak_of(lambda: kernel.forward(cell, p, x, s, mask, False, True, False))
    assert least < most - 0.9 * x.nbytes
    asked, most = peak_of(lambda: kernel.backward(cell, p, tape, dys, s))
    bare, least = peak_of(lambda: kernel.backward(cell, p, tape, dys, s, False))
    assert most > x.nbytes > 5 * least
    compare.identical("unasked", cell, {"dp": bare[2], "ds": bare[1]}, {"dp": asked[2], "ds": asked[1]})
