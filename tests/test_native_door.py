"""What the compiled kernel is handed and cannot take: an error that says so, or the loop; and threads at the end."""

import os
import subprocess
import sys

import numpy as np
import pytest
from subjects import CELLS, COMMON

import xprnn as xr
from xprnn import cells
from xprnn.kernels import KERNELS, choose, cpu
from xprnn.scan import scan, scan_vjp

pytestmark = pytest.mark.skipif(not cpu.INSTRUCTIONS, reason="the kernel for CPUs was not built")
T, B, D = 5, 2, 3


def drawn(cell, dtype="float32"):
    rng = np.random.default_rng(0)
    p = {name: a.astype(dtype) for name, a in cell.init(rng, D).items()}
    return p, rng.normal(size=(T, B, D)).astype(dtype), tuple(np.ones((B, n), dtype) for n in cell.state_sizes)


def printed(code, **environment):
    """What a program prints; it fails unless that ends well."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.returncode}: {done.stderr}"
    return done.stdout.split()


@pytest.mark.parametrize("name", sorted(COMMON))
def test_a_state_that_is_not_the_cells_is_refused(name):
    cell = CELLS[name]
    p, x, s = drawn(cell)
    ys, _, tape = scan(cell, p, x, s, kernel=cpu.CPU())
    h, said = s[0], r"the state is \(h, c\)" if len(s) == 2 else r"the state is \(h,\)"
    for wrong in ((h,), (h, None), (None, h), (None, None)) if len(s) == 2 else ((None,), (h, h), (None, h)):
        with pytest.raises(ValueError, match=said):
            scan(cell, p, x, wrong, kernel=cpu.CPU())
        with pytest.raises(ValueError, match=said):
            scan_vjp(cell, p, tape, ys, wrong)
        with pytest.raises(ValueError, match=said):
            cpu.CPU().step(cell, p, x[0], wrong)


@pytest.mark.parametrize("there", ["<", ">"])
def test_bytes_in_another_order(there):
    """x goes to the loop; parameters and states that do not are refused."""
    cell = cells.LSTM(4)
    p, x, s = drawn(cell)
    wanted = scan(cell, p, x, s)[0]
    turned, native = np.dtype(f"{there}f4"), np.dtype(f"{there}f4").isnative
    assert (choose(cell, x.astype(turned), None) is KERNELS["cpu"]) == native
    np.testing.assert_allclose(scan(cell, p, x.astype(turned), s)[0], wanted, rtol=1e-5, atol=1e-6)
    for changed in ((p | {"Wh": p["Wh"].astype(turned)}, s), (p, tuple(a.astype(turned) for a in s))):
        if native:
            np.testing.assert_array_equal(scan(cell, changed[0], x, changed[1])[0], wanted)
            continue
        with pytest.raises(TypeError, match=r"holds numbers of format [<>]f, expected f"):
            scan(cell, changed[0], x, changed[1])


def test_complex_numbers_are_refused():
    cell = cells.GRU(4)
    p, x, s = drawn(cell, "float64")
    with pytest.raises(TypeError, match="Wh holds numbers of format Zd, expected d"):
        scan(cell, p | {"Wh": p["Wh"].astype("complex128")}, x, s)


def test_a_number_of_threads_is_one_or_more():
    for threads in (0, -1, 1.5, "2", True):
        with pytest.raises(ValueError, match="threads is a whole number, 1 or more, or None, not"):
            cpu.CPU(threads)
    cell = cells.LSTM(64)
    p, _, s = drawn(cell)
    x, s = np.ones((100, 50, D), "f"), tuple(np.ones((50, 64), "f") for _ in s)
    wanted = scan(cell, p, x, s, kernel=cpu.CPU(50))[0]
    for many in (2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63):
        np.testing.assert_array_equal(scan(cell, p, x, s, kernel=cpu.CPU(many))[0], wanted)
    object.__setattr__(bad := cpu.CPU(), "threads", -1)
    with pytest.raises(ValueError, match="threads are 1 to 32768, not -1"):
        scan(cell, p, x, s, kernel=bad)


@pytest.mark.parametrize("said", ["²", "0", "-3", "two"])
def test_what_is_no_number_of_threads_is_passed_over(said):
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    assert printed("from xprnn.kernels import cpu; print(cpu.THREADS)", OMP_NUM_THREADS=said) == [str(cores)]


def test_no_more_threads_than_there_can_be():
    assert printed("from xprnn.kernels import cpu; print(cpu.THREADS)", OMP_NUM_THREADS="9" * 30) == ["32768"]


ENDING = """
import threading, time
import numpy as np
import xprnn as xr
model = xr.Model(xr.LSTM(128, bidirectional=True), input_shape=(None, 64))
x, rounds = np.ones((1, 200, 64), "f4"), []
def work():
    while True:
        rounds.append(float(model(x).sum()))
for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
while len(rounds) < 20:
    time.sleep(0.01)
print(len(set(rounds)))
"""


def test_the_process_ends_while_others_compute():
    """Two directions on two threads, which the interpreter ends where it is ending itself."""
    for _ in range(3):
        assert printed(ENDING, OMP_NUM_THREADS="2") == ["1"]


def test_torch_where_another_device_is_the_default():
    torch = pytest.importorskip("torch")
    model = xr.Model(xr.GRU(4), backend="torch", input_shape=(None, D))
    x = torch.randn(B, T, D)

    def answers():
        y, state, tape = model.forward(x)
        dx, dstate, grads = model.backward(tape, torch.ones_like(y, device="cpu"))
        return [y, dx, *xr.tree.leaves((state, dstate, grads))]

    here = answers()
    with torch.device("meta"):
        there = answers()
    for a, b in zip(there, here, strict=True):
        assert a.device.type == "cpu" and torch.equal(a, b)


def test_torch_with_a_sign_that_is_yet_to_be_turned():
    torch = pytest.importorskip("torch")
    model = xr.Model(xr.LSTM(4), backend="torch", input_shape=(None, D))
    x = torch.randn(B, T, D)
    lazy = torch.imag(torch.complex(x * 0, -x).conj())
    assert lazy.is_neg() and torch.equal(lazy, x)
    y, _, tape = model.forward(lazy)
    assert torch.equal(y, model(x))
    dy = torch.randn(B, T, 4)
    there = model.backward(tape, torch.imag(torch.complex(dy * 0, -dy).conj()))
    for a, b in zip(*(xr.tree.leaves(one) for one in (there, model.backward(tape, dy))), strict=True):
        assert torch.equal(a, b)
