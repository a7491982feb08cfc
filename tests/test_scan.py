"""A cell over time where the answer is known without it: sums, masks, pieces, and which kernel ran what."""

import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest

from xprnn import cells, kernels
from xprnn.kernels import choose, loop
from xprnn.kernels.record import Pieces, Record
from xprnn.scan import scan, scan_vjp, zero_state
from xprnn.testing import check_cell

SUM = cells.RNN(1, "identity", bias=False)  # with weights of 1: the running sum
ONES = {"Wx": np.ones((1, 1)), "Wh": np.ones((1, 1))}


def column(*values):
    """One row of one feature over time, (T, 1, 1)."""
    return np.array(values, dtype=float)[:, None, None]


class Counting:
    """The general kernel, which writes down what it ran."""

    def __init__(self, takes=True):
        self.takes, self.calls = takes, []

    def accepts(self, cell, x, mask):
        return self.takes

    def forward(self, cell, p, x, s, mask, reverse, tape=True, outputs=True):
        self.calls.append(("forward", x.shape[0], tape))
        return loop.forward(cell, p, x, s, mask, reverse, tape, outputs)

    def backward(self, cell, p, tape, dys, ds, inputs=True):
        self.calls.append(("backward", tape.x.shape[0]))
        return loop.backward(cell, p, tape, dys, ds, inputs)


@pytest.mark.parametrize("segment", [None, 1, 2, 3, 4, 9])
@pytest.mark.parametrize(
    "reverse, ys, dx", [(False, (2, 4, 7, 11), (8, 7, 5, 3)), (True, (11, 10, 8, 5), (1, 3, 6, 7))]
)
def test_running_sum(reverse, ys, dx, segment):
    x, s = column(1, 2, 3, 4), (np.ones((1, 1)),)
    y, end, tape = scan(SUM, ONES, x, s, reverse=reverse, segment=segment)
    np.testing.assert_array_equal(y, column(*ys))
    np.testing.assert_array_equal(end, [[[11]]])
    dys = column(1, 2, 3, 1) if reverse else column(1, 2, 2, 3)
    got, ds, dp = scan_vjp(SUM, ONES, tape, dys, (np.zeros((1, 1)),))
    np.testing.assert_array_equal(got, column(*dx))
    before = np.array([11 - 1, 10 - 2, 8 - 3, 5 - 4]) if reverse else np.array([1, 2, 4, 7])
    np.testing.assert_array_equal(ds, [[[np.max(dx)]]])
    np.testing.assert_array_equal(dp["Wx"], [[np.dot((1, 2, 3, 4), dx)]])
    np.testing.assert_array_equal(dp["Wh"], [[np.dot(before, dx)]])


@pytest.mark.parametrize("segment", [None, 2])
@pytest.mark.parametrize("reverse, ys", [(False, (1, 0, 4, 0, 0)), (True, (4, 0, 3, 0, 0))])
def test_masked_steps_do_not_happen(reverse, ys, segment):
    x, mask = column(1, np.nan, 3, np.inf, np.nan), np.array([1, 0, 1, 0, 0], dtype=bool)[:, None, None]
    y, end, tape = scan(SUM, ONES, x, mask=mask, reverse=reverse, segment=segment)
    np.testing.assert_array_equal(y, column(*ys))
    np.testing.assert_array_equal(end, [[[4]]])
    dys = column(1, np.nan, 2, np.inf, np.nan)
    dx, ds, dp = scan_vjp(SUM, ONES, tape, dys, (np.full((1, 1), 10.0),))
    np.testing.assert_array_equal(dx, column(11, 0, 13, 0, 0) if reverse else column(13, 0, 12, 0, 0))
    np.testing.assert_array_equal(ds, [[[13]]])
    np.testing.assert_array_equal(dp["Wx"], [[11 + 39]] if reverse else [[13 + 36]])


def test_no_step_at_all():
    x, mask, s = column(np.nan, np.nan), np.zeros((2, 1, 1), dtype=bool), (np.full((1, 1), 5.0),)
    y, end, tape = scan(SUM, ONES, x, s, mask=mask)
    np.testing.assert_array_equal(y, column(0, 0))
    np.testing.assert_array_equal(end, [[[5]]])
    dx, ds, dp = scan_vjp(SUM, ONES, tape, column(7, 7), (np.full((1, 1), 3.0),))
    np.testing.assert_array_equal(dx, column(0, 0))
    np.testing.assert_array_equal(ds, [[[3]]])
    assert dp["Wx"].item() == dp["Wh"].item() == 0


def test_states_begin_at_zero():
    x = np.ones((2, 3, 1), dtype="float32")
    states = zero_state(cells.LSTM(5), x)
    assert [(s.shape, s.dtype, s.any()) for s in states] == [((3, 5), np.float32, False)] * 2
    np.testing.assert_array_equal(scan(SUM, ONES, column(1, 2))[0], column(1, 3))


@dataclass(frozen=True)
class Accumulator(cells.Cell):
    """h' = h + x Wx, whose way back needs nothing of the way there."""

    hidden: int

    def init(self, rng, features):
        return {"Wx": rng.normal(size=(features, self.hidden))}

    def project(self, xp, p, x):
        return x @ p["Wx"]

    def step(self, xp, p, u, s):
        return (s[0] + u,), ()

    def linearize(self, xp, p, s, new, saved):
        return ()

    def step_vjp(self, xp, p, k, ds):
        return ds, ds

    def project_vjp(self, xp, p, x, s, k, delta):
        return delta[0] @ p["Wx"].T, {"Wx": x.T @ delta[0]}


def test_a_cell_may_save_nothing():
    check_cell(Accumulator(3))


def test_truncation_is_not_passing_ds_on():
    _, s, _ = scan(SUM, ONES, column(1, 2))
    _, _, tape = scan(SUM, ONES, column(3, 4), s)
    dx, ds, _ = scan_vjp(SUM, ONES, tape, column(1, 1))
    np.testing.assert_array_equal(dx, column(2, 1))
    np.testing.assert_array_equal(ds, [[[2]]])


def test_checkpointing_keeps_no_tape_and_computes_each_piece_again():
    kernel = Counting()
    _, _, tape = scan(SUM, ONES, column(*range(7)), segment=3, kernel=kernel)
    assert tape.whole is None
    assert kernel.calls == [("forward", 3, False), ("forward", 3, False), ("forward", 1, False)]
    kernel.calls.clear()
    scan_vjp(SUM, ONES, tape, column(*range(7)))
    back = [(("forward", n, True), ("backward", n)) for n in (1, 3, 3)]
    assert kernel.calls == [call for pair in back for call in pair]


@pytest.mark.parametrize("segment", [0, -1, 2.5, "3"])
def test_pieces_have_a_step_or_more(segment):
    with pytest.raises(ValueError, match=f"segment is a number of steps, 1 or more, or None, not {segment!r}"):
        scan(SUM, ONES, column(1, 2, 3), segment=segment, outputs=False)


@pytest.mark.parametrize("segment", [None, 2])
def test_what_nobody_wants_does_not_come_back(segment):
    y, end, tape = scan(SUM, ONES, column(1, 2, 3), segment=segment, outputs=False)
    assert y is None
    np.testing.assert_array_equal(end, [[[6]]])
    dx, ds, dp = scan_vjp(SUM, ONES, tape, None, (np.ones((1, 1)),), inputs=False)
    assert dx is None
    np.testing.assert_array_equal(ds, [[[1]]])
    np.testing.assert_array_equal(dp["Wx"], [[6]])


def test_checkpointing_holds_a_piece_at_a_time():
    cell, x = cells.LSTM(16), np.random.default_rng(0).normal(size=(900, 4, 2))
    p = cell.init(np.random.default_rng(1), 2)

    def peak(segment):
        tracemalloc.start()
        _, end, tape = scan(cell, p, x, segment=segment, outputs=False)
        scan_vjp(cell, p, tape, None, end, inputs=False)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(30) < peak(None) / 10


class Heavy(Counting):
    """Its gradients are what takes memory."""

    def backward(self, cell, p, tape, dys, ds, inputs=True):
        return None, ds, {"W": np.ones(10**5)}


def test_the_gradients_of_two_pieces_at_most_are_held():
    _, end, tape = scan(SUM, ONES, column(1, 2, 3, 4), segment=1, kernel=Heavy())
    tracemalloc.start()
    _, _, dp = scan_vjp(SUM, ONES, tape, None, end, inputs=False)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(dp["W"], np.full(10**5, 4.0))
    assert most < 2.5 * dp["W"].nbytes


class Sharing(cells.RNN):
    """A cell that gives one array as the gradient of two parameters, as it may."""

    def project_vjp(self, xp, p, x, s, k, delta):
        dx, dp = super().project_vjp(xp, p, x, s, k, delta)
        return dx, dp | {"bh": dp["bx"]}


def test_gradients_of_pieces_are_summed_whatever_they_share():
    cell, x = Sharing(2, double_bias=True), np.random.default_rng(0).normal(size=(8, 3, 2))
    p, dys = cell.init(np.random.default_rng(1), 2), np.ones((8, 3, 2))
    whole, pieces = (scan_vjp(cell, p, scan(cell, p, x, segment=segment)[2], dys)[2] for segment in (None, 2))
    for name, wanted in whole.items():
        np.testing.assert_allclose(pieces[name], wanted, rtol=1e-13)


def test_pieces_become_one_array(row):
    steps = np.arange(12.0).reshape(6, 1, 2)
    pieces = Pieces(row.xp, 6)
    for cut in (slice(4, 6), slice(2, 4), slice(0, 2)):
        pieces.put(cut, row.put(steps[cut]))
    np.testing.assert_array_equal(row.get(pieces.array()), steps)


def test_the_only_piece_is_not_copied():
    pieces, whole = Pieces(np, 3), column(1, 2, 3)
    pieces.put(slice(0, 3), whole)
    assert pieces.array() is whole


def test_inference_keeps_nothing():
    kernel = Counting()
    y, end, tape = scan(SUM, ONES, column(1, 2), kernel=kernel, tape=False)
    assert tape is None
    assert kernel.calls == [("forward", 2, False)]
    np.testing.assert_array_equal(y, column(1, 3))
    np.testing.assert_array_equal(end, [[[3]]])


def test_the_way_back_takes_the_kernel_of_the_way_there(monkeypatch):
    kernel = Counting()
    _, _, tape = scan(SUM, ONES, column(1, 2), kernel=kernel)
    monkeypatch.setattr(loop, "accepts", lambda *a: pytest.fail("nobody chooses a kernel on the way back"))
    scan_vjp(SUM, ONES, tape, column(1, 2))
    assert kernel.calls == [("forward", 2, True), ("backward", 2)]


def test_the_first_kernel_that_accepts_is_taken(monkeypatch):
    unwilling, willing, x = Counting(takes=False), Counting(), column(1, 2)
    monkeypatch.setattr(kernels, "KERNELS", {"unwilling": unwilling, "willing": willing, "loop": loop})
    assert choose(SUM, x, None) is willing
    scan(SUM, ONES, x)
    assert willing.calls and not unwilling.calls


def test_a_kernel_that_raises_is_not_replaced():
    class Broken(Counting):
        def forward(self, *arguments):
            raise RuntimeError("broken kernel")

    with pytest.raises(RuntimeError, match="broken kernel"):
        scan(SUM, ONES, column(1, 2), kernel=Broken())


def test_record_of_steps(row):
    put = [row.put([[1.0, 2.0]]), row.put([[3.0, 4.0]]), row.put([[5.0, 6.0]])]
    record = Record(row.xp, 3)
    for step in (2, 0, 1):
        record.put(step, (put[step], 2 * put[step]))
    one, two = record.arrays()
    np.testing.assert_array_equal(row.get(one), [[[1, 2]], [[3, 4]], [[5, 6]]])
    np.testing.assert_array_equal(row.get(two), [[[2, 4]], [[6, 8]], [[10, 12]]])


def test_a_kernel_may_be_named():
    cell, x = cells.GRU(3), np.ones((4, 2, 5))
    p = cell.init(np.random.default_rng(0), 5)
    ys, _, tape = scan(cell, p, x, kernel="loop")
    assert tape.kernel is loop
    np.testing.assert_array_equal(ys, scan(cell, p, x, kernel=loop)[0])
    with pytest.raises(ValueError, match=r"there is no kernel 'loops'; there are .*loop"):
        scan(cell, p, x, kernel="loops")
