"""The walk for NumPy: what is written down and what is not, and that either gives what the plain walk gives."""

import copy
import math

import numpy as np
import pytest
from subjects import CELLS

from xprnn import tree
from xprnn.kernels import loop, replay, walk
from xprnn.testing import CELL_LAWS, CELL_SETTINGS, Case, hold

LAWS = [law for law in CELL_LAWS if law not in ("gradient", "kernel", "namespaces", "linear")]


@pytest.fixture
def written(monkeypatch):
    """However few the steps: a walk that is not written down fails."""
    monkeypatch.setattr(replay, "FEW", 1)
    monkeypatch.setattr(replay, "FEW_REMEMBERED", 1)
    monkeypatch.setattr(replay, "plain", lambda *a: pytest.fail("this step was not written down"))


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("setting", CELL_SETTINGS, ids=str)
def test_the_steps_of_every_cell_are_written_down(cell, setting, written):
    case = Case(cell, kernel=loop, **setting)
    hold("gradient", case)
    hold("pure", case)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", ["LSTM", "GRU", "Zoneout-RNN-bare"])
def test_law(law, name, monkeypatch):
    monkeypatch.setattr(replay, "FEW", 1)
    monkeypatch.setattr(replay, "FEW_REMEMBERED", 1)
    for setting in CELL_SETTINGS[1:3]:
        hold(law, Case(CELLS[name], kernel=loop, **setting))


def drawn(steps=5, reverse=False, kept=1, dtype="float64"):
    """A state of two leaves and two slabs, all (3, 4) a step, and the flags of a walk."""
    rng = np.random.default_rng(0)
    s, slabs = (tuple(rng.normal(size=(*n, 3, 4)).astype(dtype) for _ in range(2)) for n in ((), (steps,)))
    return s, (*slabs, None), steps, reverse, kept


def same(step, *options, stretch=replay.STRETCH, **named):
    """Walk both ways -> whether it was written down; the two have to give the same."""
    met, wanted, plainly = None, None, []
    s, slabs, *flags = drawn(*options, **named)

    def counted(*arguments):
        plainly.append(arguments)
        return walk.walk(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replay, "FEW", 1)
        patch.setattr(replay, "STRETCH", stretch)
        patch.setattr(replay, "plain", counted)
        met, wanted = (
            one(np, step, {}, tuple(a.copy() for a in s), tuple(None if a is None else a.copy() for a in slabs), *flags)
            for one in (replay.walk, walk.walk)
        )
    for a, b in zip(tree.flatten({"r": met}).values(), tree.flatten({"r": wanted}).values(), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_array_equal(a, b)
    return not plainly


W = np.random.default_rng(1).normal(size=(4, 4))
b = np.random.default_rng(2).normal(size=(1, 4))


def in_place(p, s, at):
    (h, c), (u, v, _) = s, at
    z = h @ W
    z += u
    left, right = z[:, :2], z[..., 2:]
    left *= 0.5
    left[:, 1:][0:2] -= 3
    right += left
    v *= z
    v[1] = u[0]
    v[2, 1:] = v[1, :-1]
    z[0, :1] = 7
    return (np.tanh(z), c + v), (z, v, v[:, 1:3])


def turned(p, s, at):
    return (s[1], s[0] + at[0]), (s[0], s[0])


def alone(p, s, at):
    return (s[0] @ W, s[1] * s[0]), ()


def unchanged(p, s, at):
    return s, (at[0], np.zeros((3, 4)), 1.5 * at[1])


def one_for_all(p, s, at):
    h = np.minimum(s[0] - at[0], 2 - s[1])
    return (h, h), (h, h[:2])


def functions(p, s, at):
    (h, c), (u, v, _) = s, at
    a = np.where(u > 0, h, v) + np.concat([h[:, :2], c[:, 1:3]], axis=-1)
    a = a - np.mean(a, axis=-1, keepdims=True) / np.max(abs(a), axis=-1, keepdims=True)
    a = np.maximum(a, np.zeros_like(a)) + np.ones_like(a) / (1 - b * b) - W[:3]
    a = np.maximum(a, u, out=a)
    a = (a[None] @ W[None])[0]
    return (0.5 * a, np.exp(-abs(c)) + a[0:1]), (a[1], u > 0, np.sum(a, axis=0))


def arrays_of_its_own(p, s, at):
    a = np.ones_like(at[0])
    z = s[0] * a
    a += 1
    z = np.where(z > 0, a, z) - np.concat([a[:, :2], z[:, 2:]], axis=-1)
    a *= 0.25
    z[1:] += a[0]
    z[:1] = a[0]
    a -= 1
    return (np.maximum(z, a) if isinstance(z, np.ndarray) else z, s[1]), (a,)


def joined(p, s, at):
    (h, c), (u, v, _) = s, at
    a = np.ones((1, 4))
    rows = np.concat([h[1:], a], axis=0)
    a *= 2
    wide = np.concat((rows[:, :1], h[..., 1:3] > 0, c[:, 3:]), axis=-1)
    wide[:, 1:2] += u[:, :1] @ W[:1, :1]
    signs = u > 0
    signs[:, 1:] = v[:, 1:]
    v[1:] = signs[:2]
    return (rows, wide), (np.concat([u[:2], a, v[..., :]], axis=-2), signs)


def transposed(p, s, at):
    (h, c), (u, v, _) = s, at
    a = (h.T * u[:, 0]).T
    a.T[1:] += v[:, 1:].T
    return (a @ W[:, :3] @ h, c + a[1:].T[:, :1].T), (u.T @ v, v.T, h.T)


STEPS = [in_place, turned, transposed, alone, unchanged, one_for_all, functions, arrays_of_its_own, joined]


@pytest.mark.parametrize("kept", [0, 1, 2])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_what_steps_may_do_is_written_down(step, reverse, kept):
    assert replay.STRETCH % 2 == 0  # those that come next find states in turn where they look
    for steps, stretch in ((5, replay.STRETCH), (4, replay.STRETCH), (1, replay.STRETCH), (5, 2), (4, 2)):
        assert same(step, steps, reverse, kept, stretch=stretch)


def test_numbers_do_not_widen_float32():
    assert same(lambda p, s, at: ((0.5 * s[0] + at[0], s[1] / 3 - 1), (2 * (at[1] > 0.5), at[0] < 0)), dtype="float32")


DEPENDENT = {
    "truth": lambda h: -h if h[:1, :1] < 0 else h,
    "absent": lambda h: h * (2.0 if hasattr(h, "flags") else 1.0),
    "number": lambda h: h * math.tanh(float(h[0, 0])),
    "index": lambda h: h * [1.0, 2.0][int(h[0, 0] > 0)],
    "item": lambda h: h * h[0, 0].item(),
    "array": lambda h: h + np.asarray(h)[::-1],
    "mask": lambda h: h + h[h > 0][0],
    "fancy": lambda h: (h + 1)[[2, 0, 1]],
    "rows": lambda h: h[np.argsort(h[:, 0])],
    "any": lambda h: h * (1.0 if np.any(h > 1) else 0.5),
    "method": lambda h: h - h.mean(),
    "power": lambda h: h**2,
    "transposed cube": lambda h: h + (h[None] @ W).T[..., 0].T,
    "iteration": lambda h: np.stack([*h]),
    "words": lambda h: h * len(f"{h}"),
    "caught": lambda h: caught(h, lambda: h * np.var(h, axis=-1, keepdims=True)),
    "condition of numbers": lambda h: np.where(h, h, b),
    "errstate": lambda h: ignoring(h),
    "sum": lambda h: h * np.sum(h),
    "sum by name": lambda h: caught(h, lambda: np.sum(a=h, axis=0)),
    "sum of all": lambda h: twice_the_sum(h),
    "state in place": lambda h: operator_into(h, 1.0),
    "another class": lambda h: h * b.view(Other),
    "into a given array": lambda h: np.sum(h, axis=0, out=h[0] * 1.0) + h,
    "list": lambda h: h + np.array(h.tolist()),
    "out of constants": lambda h: caught(h, lambda: np.add(h, h, out=np.zeros((3, 4)))),
    "into constants": lambda h: operator_into(np.zeros((3, 4)), h),
    "reduction": lambda h: h + np.add.reduce(h, axis=0),
    "other shape": lambda h: h[:1] * np.ones((2, 1, 1)),
    "outer": lambda h: np.add.outer(h, b[0, :1])[..., 0],
    "options": lambda h: np.add(h, 0.1, dtype="float32"),
    "product with a list": lambda h: caught(h, lambda: h @ W.tolist()),
    "all in one row": lambda h: caught(h, lambda: np.concat([h, h], axis=None)[:4]),
    "two results": lambda h: np.modf(h)[0],
    "set by numbers": lambda h: set_last(h + 1),
    "copy": lambda h: copy.copy(h) + h,
}


def operator_into(a, h):
    a += h
    return a


def caught(h, function):
    try:
        return function()
    except (TypeError, ValueError, AttributeError):
        return 2 * h


def ignoring(h):
    with np.errstate(under="ignore", over="ignore"):
        return np.tanh(h)


def twice_the_sum(h):
    total = before = np.sum(h)
    total += 1
    return h * before


class Other(np.ndarray):
    """Not NumPy's own class."""


def set_last(h):
    h[h > 0] = 5
    return h


@pytest.mark.parametrize("name", DEPENDENT)
def test_what_may_hang_on_numbers_is_done_plainly(name):
    change = DEPENDENT[name]
    if name == "other shape":
        written = same(lambda p, s, at: (s, (change(s[0]),)))
        assert written  # what a step leaves may have any shape
        assert not same(lambda p, s, at: (s, (at[0], np.sum(s[0]))))
        written = same(lambda p, s, at: ((s[0][:1] + at[0][:1], s[1]), ()), 1)
    else:
        written = same(lambda p, s, at: ((change(s[0]) + at[0], s[1]), ()))
    assert not written


def test_a_step_that_is_wrong_says_so(monkeypatch):
    monkeypatch.setattr(replay, "FEW", 1)
    s, slabs, *flags = drawn()
    with pytest.raises(ValueError, match="matmul"):
        replay.walk(np, lambda p, s, at: ((s[0] @ np.ones((5, 5)), s[1]), ()), {}, s, slabs, *flags)


def test_what_numbers_raise_late_is_raised():
    s, slabs, *flags = drawn(steps=400)
    for one in (replay.walk, walk.walk):
        with np.errstate(over="raise"), pytest.raises(FloatingPointError, match="overflow encountered in multiply"):
            one(np, lambda p, s, at: ((s[0] * 10, s[1]), ()), {}, s, slabs, *flags)


@pytest.mark.parametrize("steps, times", [(replay.FEW - 1, replay.FEW - 1), (replay.FEW, 1)])
def test_few_steps_are_done_plainly(steps, times):
    done = []

    def step(p, s, at):
        done.append(at)
        return (s[0] + at[0], s[1]), ()

    s, slabs, *flags = drawn(steps)
    replay.walk(np, step, {}, s, slabs, *flags)
    assert len(done) == times


def test_what_a_step_hands_on_stays_where_it_is():
    s, slabs, *flags = drawn(steps=replay.FEW)
    _, _, (made, handed, part) = replay.walk(np, in_place, {}, s, slabs, *flags)
    assert handed is slabs[1]
    assert not np.shares_memory(made, part) and not np.shares_memory(part, handed)


def test_the_last_state_holds_no_more_than_itself():
    s, slabs, *flags = drawn(kept=2, steps=replay.FEW)
    for end in replay.walk(np, in_place, {}, s, slabs, *flags)[0]:
        assert end.base is None
