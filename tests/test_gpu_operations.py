"""Masks, embedding gradients and losses as single launches, run on the CPU, beside the operations they stand for."""

import functools

import numpy as np
import pytest
from emulation import MISSING, Emulated
from test_losses import CASES, DENSE, MASK, Y

from xprnn import gpu
from xprnn.losses import cross_entropy, huber, mae, mse
from xprnn.ops.rows import add_rows
from xprnn.random import Key, threefry

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

TOLERANCE = {"float32": 2e-6, "float64": 1e-14}
EACH_DTYPE = pytest.mark.parametrize("dtype", TOLERANCE)
KEY = Key(2**64 - 1).fold("a").fold(2)


@pytest.fixture
def on(monkeypatch):
    """Put whatever NumPy's arrays are in on this device, which is given back."""

    def put(device):
        monkeypatch.setattr(gpu, "DEVICES", (device,))
        return device

    return put


def same(got, wanted, tolerance):
    assert got.dtype == wanted.dtype and got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=20 * tolerance, atol=tolerance * np.nanmax(np.abs(wanted), initial=0))


def launches(device):
    return next(device.launches)


@EACH_DTYPE
def test_masks_are_the_same_bits_in_one_launch(dtype, on):
    shapes, rates = [(), (1,), (2,), (5,), (255,), (256,), (257,), (3, 0), (7, 11, 13)], (0.0, 0.1, 0.5, 1 - 2.0**-53)
    like, drawn = np.zeros(1, dtype), [(shape, rate) for shape in shapes for rate in rates]
    wanted = [KEY.keep(np, like, shape, rate) for shape, rate in drawn]
    device = on(Emulated())
    for (shape, rate), mask in zip(drawn, wanted, strict=True):
        got = KEY.keep(np, like, shape, rate)
        assert got.dtype == dtype and got.shape == shape
        np.testing.assert_array_equal(got, mask)
    assert launches(device) == len(drawn) - len(rates)


def test_the_rate_of_a_mask_is_exact_to_the_last_bit(on):
    words = np.array([_word(KEY.fold(n)) for n in range(3)])
    on(Emulated())
    for n, word in enumerate(words):
        rate = (int(word) + 2**31) / 2**32
        assert KEY.fold(n).keep(np, np.zeros(1), (1,), rate)[0] > 0
        assert KEY.fold(n).keep(np, np.zeros(1), (1,), rate + 2.0**-32)[0] == 0


def _word(key):
    return threefry(key._words(), np.zeros(1, np.int32), np.zeros(1, np.int32))[0][0]


@pytest.mark.parametrize("kind, dtype", [("int32", "float32"), ("int64", "float64")])
def test_rows_are_added_in_one_launch(dtype, kind, on):
    rng, device = np.random.default_rng(0), Emulated()
    for shape, vocab, columns in [
        ((), 4, 3), ((1,), 1, 1), ((300,), 7, 33), ((13, 41), 101, 128), ((3, 0), 5, 2), ((600,), 2, 129),
        ((9,), 3, 300),
    ]:  # fmt: skip
        ids = rng.integers(0, max(vocab - 1, 1), shape).astype(kind)
        values = rng.normal(size=(*shape, columns)).astype(dtype)
        wanted = add_rows(np, (vocab, columns), ids, values)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gpu, "DEVICES", (device,))
            same(add_rows(np, (vocab, columns), ids, values), wanted, TOLERANCE[dtype])
    assert launches(device) == 6


def test_ids_of_every_kind(on):
    ids, values = np.random.default_rng(0).integers(0, 5, 40), np.random.default_rng(1).normal(size=(40, 3))
    wanted = add_rows(np, (5, 3), ids, values)
    on(Emulated())
    for kind in ("int8", "uint8", "int16", "uint32", "uint64"):
        same(add_rows(np, (5, 3), ids.astype(kind), values), wanted, 1e-14)


def test_rows_laid_out_otherwise(on):
    rng = np.random.default_rng(0)
    ids, values = rng.integers(0, 9, (6, 8))[:, ::2], rng.normal(size=(4, 6, 10)).swapaxes(0, 1)[..., ::2]
    flat, flat_values = rng.integers(0, 9, 40)[::2], rng.normal(size=(20, 10))[:, ::2]
    wanted = add_rows(np, (9, 5), ids, values), add_rows(np, (9, 5), flat, flat_values)
    on(Emulated())
    same(add_rows(np, (9, 5), ids, values), wanted[0], 1e-14)
    same(add_rows(np, (9, 5), flat, flat_values), wanted[1], 1e-14)


def test_no_number_crosses_from_one_row_into_another(on):
    values = np.ones((70, 2))
    values[33] = np.nan
    ids = np.arange(70) % 3
    on(Emulated())
    table = add_rows(np, (4, 2), ids, values)
    np.testing.assert_array_equal(table, [[np.nan] * 2, [23.0] * 2, [23.0] * 2, [0.0] * 2])


def compare(loss, on, y, target, mask, dtype, **options):
    given = y.astype(dtype), target.astype(dtype) if target.dtype.kind == "f" else target, mask
    wanted = loss(*given, **options)
    with pytest.MonkeyPatch.context() as patch:
        device = Emulated()
        patch.setattr(gpu, "DEVICES", (device,))
        value, dy = loss(*given, **options)
    assert value.shape == () and value.dtype == dtype
    np.testing.assert_allclose(value, wanted[0], rtol=20 * TOLERANCE[dtype])
    same(dy, wanted[1], TOLERANCE[dtype])
    return launches(device)


@EACH_DTYPE
@pytest.mark.parametrize("name", CASES)
def test_a_loss_is_two_launches_and_one_for_its_mask(name, dtype, on):
    loss, target, options = CASES[name]
    assert compare(loss, on, Y, target, None, dtype, **options) == 2
    assert compare(loss, on, Y, target, MASK, dtype, **options) == 3
    assert compare(loss, on, Y, target, MASK[:, 1], dtype, **options) == 3  # of the first axis
    assert compare(loss, on, Y, target, np.zeros_like(MASK), dtype, **options) == 3
    poisoned = np.where(MASK[..., None], Y, np.nan)
    assert compare(loss, on, poisoned, target, MASK, dtype, **options) == 3
    swapped = np.ascontiguousarray(Y.swapaxes(0, 1)).swapaxes(0, 1)
    assert compare(loss, on, swapped, target, np.repeat(MASK, 2, axis=1)[:, ::2], dtype, **options) == 3


@EACH_DTYPE
@pytest.mark.parametrize("shape", [(1, 1), (2, 31), (3, 32), (301, 33), (5, 1000)])
def test_sizes_that_fill_no_block(shape, dtype, on):
    rng = np.random.default_rng(1)
    y, target, mask = 3 * rng.normal(size=shape), rng.normal(size=shape), rng.random(shape[0]) < 0.7
    for loss in (mse, mae, huber):
        compare(loss, on, y, target, mask, dtype)
    for kind in ("uint8", "int64"):
        compare(cross_entropy, on, y, rng.integers(0, min(shape[1], 100), shape[0]).astype(kind), mask, dtype)
    compare(cross_entropy, on, y, np.abs(target), None, dtype, label_smoothing=0.3)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_logits_at_the_edges(smoothing, on):
    y = np.array([[-np.inf, 1.0, 2.0], [1e30, -1e30, 0.0], [np.nan, 0.0, 1.0], [-np.inf] * 3, [0.0, np.inf, 0.0]])
    with np.errstate(all="ignore"):
        for row in y:
            compare(cross_entropy, on, row[None], np.array([2]), None, "float32", label_smoothing=smoothing)
        for wrong in (-1, 3):
            classes = np.array([0, wrong, 1, 2, 0])
            compare(cross_entropy, on, Y[:, 0, :3].repeat(2, 0)[:5], classes, None, "float64")
            compare(cross_entropy, on, Y[0, :, :3], classes[:4], np.array([True, False, True, True]), "float64")


def test_others_are_left_to_the_library(on):
    device = on(Emulated())
    assert np.isfinite(mse(np.ones(3, np.float16), np.zeros(3, np.float16))[0])
    assert mse(np.ones((0, 3)), np.ones((0, 3)))[1].shape == (0, 3)
    assert cross_entropy(np.ones((0, 3)), np.ones(0, int))[0] == 0.0
    assert KEY.keep(np, np.zeros(1, np.float16), (3,), 0.5).dtype == np.float16
    assert add_rows(np, (3, 2), np.zeros(4, int), np.ones((4, 2), np.float16)).dtype == np.float16
    assert launches(device) == 0


def test_the_order_of_threads_changes_no_bit(on):
    rng = np.random.default_rng(2)
    y, classes, ids = rng.normal(size=(700, 40)).astype("f4"), rng.integers(0, 40, 700), rng.integers(0, 5, 700)
    results = []
    for seed in range(3):
        on(Emulated(seed))
        results.append((*cross_entropy(y, classes), *huber(y, y[::-1]), add_rows(np, (6, 40), ids, y)))
    for other in results[1:]:
        for a, b in zip(other, results[0], strict=True):
            np.testing.assert_array_equal(a, b)


def masks():
    exact = (int(_word(KEY)) + 2**31) / 2**32
    return [KEY.keep(np, np.zeros(1), (n,), rate) for n, rate in ((1, 0.3), (600, 0.3), (1, exact))]


def tables():
    ids = np.random.default_rng(0).integers(0, 6, 700)
    return [add_rows(np, (7, 140), ids, np.random.default_rng(1).normal(size=(700, 140)))]


def entropies():
    y = np.concatenate((1000 * Y, *7 * (Y,)), axis=-1).repeat(9, 0)
    target, mask = CASES["classes"][1].repeat(9, 0), MASK.repeat(9, 0)
    smooth = cross_entropy(y, np.concatenate(8 * (DENSE,), -1).repeat(9, 0), mask, label_smoothing=0.1)
    return [*cross_entropy(y, target, mask), *smooth, *cross_entropy(y, target)]


def elements(name):
    loss, target, options = CASES[name]
    y, target, mask = Y.repeat(9, 0), target.repeat(9, 0), MASK.repeat(9, 0)
    return [a for some in (mask, None) for a in loss(y, target, some, **options)]


DAMAGE = [
    (masks, "random.cu", "{13, 15, 26, 6}", "{13, 15, 26, 7}"),
    (masks, "random.cu", "+ group + 1;", "+ group;"),
    (masks, "random.cu", "static_cast<int>(words.second) >= least", "static_cast<int>(words.first) >= least"),
    (masks, "random.cu", "static_cast<int>(words.first) >= least", "static_cast<int>(words.first) > least"),
    (masks, "random.cu", "if (i + 1 < count) out", "out"),
    (masks, "random.cu", "0x1BD11BDAu", "0x1BD11BDBu"),
    (tables, "rows.cu", "begin + lane < count", "begin + lane + 1 < count"),
    (tables, "rows.cu", "begin + __ffs(found) - 1", "begin + __ffs(found)"),
    (tables, "rows.cu", "begin += WARPS * 32", "begin += WARPS * 64"),
    (tables, "rows.cu", "int other = 1; other", "int other = 2; other"),
    (tables, "rows.cu", "    __syncthreads();\n", ""),
    (tables, "rows.cu", "blockIdx.x % width * COLUMNS * 32 + lane", "lane"),
    (entropies, "losses.cu", "weight = classes ? Real(1)", "weight = true ? Real(1)"),
    (entropies, "losses.cu", "larger(largest, y[v])", "larger(y[v], y[v])"),
    (entropies, "losses.cu", "!mask[row / inner]", "!mask[row % inner]"),
    (entropies, "losses.cu", "if (lane == 0) losses[row] = 0;", ""),
    (entropies, "losses.cu", ") + spread;", ") - spread;"),
    (entropies, "losses.cu", "real > 0 ? real * inner : 1", "count * inner"),
    (entropies, "losses.cu", "i < count; i += WIDTH) total += parts[i]", "i < WIDTH; i += WIDTH) total += parts[i]"),
    (entropies, "losses.cu", "/ total) - q(v))", "/ total))"),
    ("binary", "losses.cu", "real ? each * here.slope : Real(0)", "each * here.slope"),
    ("mse", "losses.cu", "mask[i / inner]", "mask[i]"),
    ("mae", "losses.cu", "d < 0 ? Real(-1) : d}", "Real(1)}"),
    ("huber", "losses.cu", "d < -delta ? -delta : d", "d"),
    ("binary", "losses.cu", "1 - t - tail : tail - t", "1 - tail : tail - t"),
    ("mse", "losses.cu", "i += static_cast<Index>(gridDim.x) * WIDTH", "i += count / 2"),
    ("mse", "losses.cu", "        __syncthreads();\n        if (mine", "        if (mine"),
]


@pytest.mark.parametrize("results, file, old, new", DAMAGE)
def test_damage_is_seen(results, file, old, new, on):
    results = functools.partial(elements, results) if isinstance(results, str) else results
    with np.errstate(all="ignore"):
        wanted = results()
    on(Emulated(edits=((file, old, new),)))
    with pytest.raises((AssertionError, RuntimeError)):
        for a, b in zip(results(), wanted, strict=True):
            same(a, b, 1e-13)
