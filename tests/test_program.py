"""What is written down of a step: for whom it is kept, and that it gives what the plain walk gives, bit for bit."""

import gc
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pytest
from subjects import CELLS

from xprnn import cells
from xprnn.kernels import loop, replay, walk
from xprnn.kernels.program import _remembered
from xprnn.ops.activations import Activation


@dataclass(frozen=True)
class Call:
    """Arguments for a cell, as drawn from ``seed``."""

    cell: cells.Cell
    seed: int = 0
    steps: int = 7
    batch: int = 3
    dtype: str = "float32"
    reverse: bool = False
    masked: bool = False
    dropped: bool = False
    silent: bool = False
    order: str = "C"
    odd: float = 0.5
    wide: bool = False

    def draw(self):
        rng, B = np.random.default_rng(self.seed), self.batch
        p = {name: 0.5 * rng.normal(size=a.shape) for name, a in self.cell.init(rng, 2).items()}
        for a in p.values():
            a.flat[0] = self.odd
        if self.dropped:
            p["keep"] = 2.0 * (rng.random((B, self.cell.state_sizes[0])) < 0.5)
        width = 2 + sum(self.cell.state_sizes) * bool(self.cell.zoneout)
        x, dys = (rng.normal(size=(self.steps, B, n)) for n in (width, self.cell.state_sizes[0]))
        s, ds = ([rng.normal(size=(B, n)) for n in self.cell.state_sizes] for _ in range(2))
        mask = rng.random((self.steps, B, 1)) < 0.6 if self.masked else None
        p = {name: np.asarray(a, self.dtype, order=self.order) for name, a in p.items()}
        x, dys, *leaves = (a.astype(self.dtype) for a in (x, dys, *s, *ds))
        x = x.astype("float64") if self.wide else x
        return p, x, dys, tuple(leaves[: len(s)]), tuple(leaves[len(s) :]), mask

    def forward(self):
        p, x, _, s, _, mask = self.draw()
        y, end, _ = loop.forward(self.cell, p, x, s, mask, self.reverse, tape=False)
        return [y, *end]

    def results(self):
        """All that the way there gives, without a tape and with one, and all that the way back gives."""
        p, x, dys, s, ds, mask = self.draw()
        y, end, tape = loop.forward(self.cell, p, x, s, mask, self.reverse)
        dx, ds, dp = loop.backward(self.cell, p, tape, None if self.silent else dys, ds)
        return [*self.forward(), y, dx, *end, *tape.states, *tape.saved, *ds, *dp.values()]


@pytest.fixture
def plainly(monkeypatch):
    """The results of a call that is walked plainly."""

    def results(call, of=Call.results):
        with monkeypatch.context() as patch:
            patch.setattr(replay, "FEW", 1000)
            patch.setattr(replay, "FEW_REMEMBERED", 1000)
            return of(call)

    return results


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """Nothing is remembered from other tests, and steps of all cells are written down."""
    monkeypatch.setattr(replay, "FEW", 1)
    _remembered.cache_clear()


def equal(met, wanted):
    for a, b in zip(met, wanted, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_array_equal(a, b)


def changed(call):
    """What may be different at the next call."""
    yield replace(call, seed=1)
    yield replace(call, batch=4)
    if getattr(call.cell, "reset_after", True):  # a row times a part of a matrix NumPy's two products round differently
        yield replace(call, batch=1)
    yield replace(call, dtype="float64")
    yield replace(call, steps=11)
    yield replace(call, reverse=True)
    yield replace(call, masked=True)
    yield replace(call, dropped=True)
    yield replace(call, silent=True)
    yield replace(call, order="F")
    yield replace(call, odd=np.nan)
    yield replace(call, odd=np.inf)
    yield altered(call, hidden=4)
    inner = getattr(call.cell, "cell", call.cell)
    if getattr(inner, "bias", False) and not getattr(inner, "double_bias", False):
        yield altered(call, bias=False)


def altered(call, **fields):
    """The call of a cell with other fields, or of a zoneout of such a cell."""
    cell = call.cell
    within = isinstance(cell, cells.Zoneout)
    return replace(call, cell=replace(cell, cell=replace(cell.cell, **fields)) if within else replace(cell, **fields))


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_was_written_down_serves_what_is_like_it(cell, plainly, monkeypatch):
    calls = [Call(cell), *changed(Call(cell))]
    wanted = [plainly(call) for call in calls]
    monkeypatch.setattr(replay, "plain", lambda *a: pytest.fail("this step was not written down"))
    for _ in range(2):
        for call, results in zip(calls, wanted, strict=True):
            equal(call.results(), results)


@pytest.mark.parametrize("name", CELLS)
def test_a_step_of_the_library_is_written_down_once(name):
    Call(CELLS[name]).results()
    once = _remembered.cache_info()
    Call(replace(CELLS[name]), seed=1, steps=9).results()
    twice = _remembered.cache_info()
    assert (once.misses, twice.misses - once.misses, twice.hits) == (3, 0, 3)


def test_not_more_is_kept_than_there_is_room_for():
    for batch in range(1, 40):
        Call(cells.RNN(2), batch=batch).results()
    info = _remembered.cache_info()
    assert info.misses == 3 * 39 and info.currsize == info.maxsize == 64


@pytest.mark.parametrize("cell", [cells.LSTM(5), cells.Zoneout(cells.LSTM(5), (0.2, 0.1))], ids=str)
@pytest.mark.parametrize("function", ["step", "step_vjp"])
def test_a_step_that_was_replaced_is_written_down_anew(function, cell, plainly, monkeypatch):
    call, original = Call(cell), getattr(cells.LSTM, function)
    before = call.results()

    def doubled(cell, xp, p, *arguments):
        (h, c), rest = original(cell, xp, p, *arguments)
        return (2 * h, c), rest

    with monkeypatch.context() as patch:
        patch.setattr(cells.LSTM, function, doubled)
        wanted = plainly(call)
        equal(call.results(), wanted)
        assert not all(np.array_equal(a, b) for a, b in zip(wanted, before, strict=True))
    equal(call.results(), before)


def bent(xp, x):
    return xp.tanh(x)


@dataclass(frozen=True)
class Own(cells.RNN):
    """A cell whose step calls what its file has under a name."""

    def step(self, xp, p, u, s):
        h = bent(xp, s[0] @ p["Wh"] + u)
        return (h,), ()


def test_what_a_cell_of_a_users_calls_may_be_defined_again(plainly, monkeypatch):
    held = Activation("bent", lambda xp, x: bent(xp, x), lambda xp, y: 1 - y * y, "output")
    for cell in (Own(4), cells.RNN(4, held), cells.Zoneout(Own(4), (0.5,))):
        call = Call(cell, dtype="float64")
        before = call.forward()
        with monkeypatch.context() as patch:
            patch.setitem(globals(), "bent", lambda xp, x: xp.tanh(0.5 * x))
            met = call.forward()
            equal(met, plainly(call, Call.forward))
        assert not np.array_equal(met[0], before[0])


def test_numbers_that_are_equal_and_not_alike_are_told_apart(plainly):
    for epsilon in (0.1, np.float64(0.1), 0.1):  # NumPy's widens float32
        call = Call(cells.LayerNormLSTM(3, epsilon=epsilon), wide=True)
        equal(call.forward(), plainly(call, Call.forward))


@pytest.mark.parametrize("cell", [cells.RNN(3), cells.RNN(3, "relu"), cells.LSTM(3), cells.GRU(3)], ids=str)
def test_threads_share_what_was_written_down_and_nothing_else(cell):
    calls = [Call(cell, seed=seed, steps=300) for seed in range(4)]
    wanted, interval = [call.results() for call in calls], sys.getswitchinterval()
    together = threading.Barrier(len(calls))

    def results(call):
        together.wait()
        return [call.results() for _ in range(5)]

    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(len(calls)) as pool:
            for met, one in zip(pool.map(results, calls), wanted, strict=True):
                for each in met:
                    equal(each, one)
    finally:
        sys.setswitchinterval(interval)


def test_nothing_of_the_callers_is_kept():
    p, x, _, s, *_ = Call(cells.RNN(5, "relu")).draw()
    y, end, _ = loop.forward(cells.RNN(5, "relu"), p, x, s, None, False)
    assert _remembered.cache_info().currsize == 1
    held = [weakref.ref(a) for a in (*p.values(), x, y, *s, *end)]
    del p, x, y, s, end, _
    gc.collect()
    assert not [one() for one in held if one() is not None]


def test_numbers_raise_what_they_raise_plainly():
    call = Call(cells.RNN(5, "relu"), odd=0.5)
    call.results()
    for odd in (np.inf, 1e38):
        with np.errstate(over="raise", invalid="raise"), pytest.raises(FloatingPointError):
            replace(call, odd=odd).results()


W, H0, U = (np.random.default_rng(n).normal(size=size) for n, size in enumerate([(4, 4), (3, 4), (7, 3, 4)]))
STEPS = {
    "numbers": (lambda p, s, at: ((s[0] * float(p["W"][0, 0]),), ()), False),
    "truth": (lambda p, s, at: ((-s[0] if np.any(p["W"] > 0) else s[0],), ()), False),
    "in place": (lambda p, s, at: ((s[0] @ p["W"].__iadd__(1.0),), ()), False),
    "handed on": (lambda p, s, at: ((s[0] + at[0],), (p["W"], p["W"][1:].T, p["W"])), True),
    "a state of p's": (lambda p, s, at: ((p["W"][:3],), (s[0],)), True),
    "views": (lambda p, s, at: ((s[0] @ p["W"].T[:, ::-1] * p["W"][1] + p["W"][1:, :],), ()), True),
}


@pytest.mark.parametrize("name", STEPS)
def test_what_is_kept_has_no_numbers_of_parameters(name, monkeypatch):
    (step, written), plainly = STEPS[name], []
    monkeypatch.setattr(replay, "plain", lambda *a: plainly.append(a) or walk.walk(*a))
    for factor in (1.0, 2.0, -3.0):
        met, wanted = (
            one(np, step, {"W": factor * W}, (H0.copy(),), (U.copy(),), 7, True, 1, **more)
            for one, more in ((replay.walk, {"lasts": True}), (walk.walk, {}))
        )
        for a, b in zip(met, wanted, strict=True):
            equal(a, b)
    assert len(plainly) == (0 if written else 3)


ROW = np.arange(4.0)
PARAMETERS = [
    {"a": ROW, "b": H0},
    {"b": ROW, "a": H0},
    {"a": H0, "b": H0},
    {"a": ROW.astype("float32"), "b": H0},
    {"a": ROW, "b": np.float64(2.0)},
    {"a": 3.0, "b": np.float64(3.0)},
    {"a": np.asarray(3.0), "b": ROW},
]


def test_parameters_may_have_other_names_shapes_and_types():
    def step(p, s, at):
        return (s[0] - p["b"] + at[0],), (p["a"] * 0.1 - p["a"] + at[0], s[0] * p["b"])

    for p in PARAMETERS * 2:
        met, wanted = (
            one(np, step, p, (H0,), (U,), 7, False, 1, **more)
            for one, more in ((replay.walk, {"lasts": True}), (walk.walk, {}))
        )
        equal([*met[1], *met[2]], [*wanted[1], *wanted[2]])


@pytest.mark.parametrize("steps, times", [(replay.FEW_REMEMBERED - 1, 0), (replay.FEW_REMEMBERED, 1)])
def test_few_steps_are_done_plainly(steps, times):
    p, x, _, s, *_ = Call(cells.GRU(3), steps=steps).draw()
    loop.forward(cells.GRU(3), p, x, s, None, False)
    assert _remembered.cache_info().misses == times
