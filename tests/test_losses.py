"""Losses: values from their equations, gradients from central differences and torch, and what masks and shapes do."""

import math

import numpy as np
import pytest

from xprnn import losses
from xprnn.losses import binary_cross_entropy, cross_entropy, huber, mae, mse
from xprnn.ops.softmax import log_softmax, softmax, softmax_vjp

rng = np.random.default_rng(7)
Y = rng.normal(size=(3, 4, 5))
DENSE = rng.dirichlet(np.ones(5), size=(3, 4))
MASK = np.array([[1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 0]], dtype=bool)
CASES = {
    "mse": (mse, rng.normal(size=Y.shape), {}),
    "mae": (mae, rng.normal(size=Y.shape), {}),
    "huber": (huber, rng.normal(size=Y.shape), {"delta": 0.7}),
    "binary": (binary_cross_entropy, rng.uniform(size=Y.shape), {}),
    "classes": (cross_entropy, rng.integers(0, 5, size=(3, 4)), {}),
    "classes smoothed": (cross_entropy, rng.integers(0, 5, size=(3, 4)), {"label_smoothing": 0.1}),
    "probabilities": (cross_entropy, DENSE, {}),
    "weights of any sum": (cross_entropy, 1.5 * DENSE, {}),
    "probabilities smoothed": (cross_entropy, DENSE, {"label_smoothing": 0.1}),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def evaluate(backend, loss, y, target, mask=None, **options):
    given = [None if x is None else backend.asarray(x) for x in (y, target, mask)]
    value, dy = loss(*given, **options)
    assert tuple(value.shape) == () and value.dtype == given[0].dtype == dy.dtype
    return float(backend.to_numpy(value)), backend.to_numpy(dy)


def equation(loss, y, target, mask=None, delta=1.0, label_smoothing=0.0):
    """Each loss as written in a textbook, element by element, on NumPy."""
    d = y - target if target.shape == y.shape else None
    if loss is cross_entropy:
        q = target if d is not None else np.eye(y.shape[-1])[target]
        q = (1 - label_smoothing) * q + label_smoothing / y.shape[-1]
        each = -np.sum(q * np.log(np.exp(y) / np.sum(np.exp(y), axis=-1, keepdims=True)), axis=-1)
    elif loss is binary_cross_entropy:
        p = 1 / (1 + np.exp(-y))
        each = -target * np.log(p) - (1 - target) * np.log(1 - p)
    elif loss is huber:
        each = np.where(np.abs(d) <= delta, d**2 / 2, delta * (np.abs(d) - delta / 2))
    else:
        each = d**2 if loss is mse else np.abs(d)
    return np.mean(each if mask is None else each[mask])


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
def test_value_and_gradient(backend, case, mask):
    loss, target, options = case
    value, dy = evaluate(backend, loss, Y, target, mask, **options)
    assert value == pytest.approx(equation(loss, Y, target, mask, **options), rel=1e-13)
    for direction in np.eye(Y.size).reshape(-1, *Y.shape)[::7]:
        up, down = (equation(loss, Y + h * direction, target, mask, **options) for h in (1e-6, -1e-6))
        assert np.sum(dy * direction) == pytest.approx((up - down) / 2e-6, abs=1e-9)


def test_torch_gives_the_same(backend, case):
    torch = pytest.importorskip("torch")
    loss, target, options = case
    functions = {
        mse: torch.nn.functional.mse_loss,
        mae: torch.nn.functional.l1_loss,
        huber: torch.nn.functional.huber_loss,
        binary_cross_entropy: torch.nn.functional.binary_cross_entropy_with_logits,
        cross_entropy: torch.nn.functional.cross_entropy,
    }
    y = torch.tensor(Y, requires_grad=True)
    rows, classes = (y.reshape(-1, 5), torch.tensor(target.reshape(12, *target.shape[2:])))
    expected = functions[loss](rows, classes.reshape(rows.shape) if loss is not cross_entropy else classes, **options)
    expected.backward()
    value, dy = evaluate(backend, loss, Y, target, **options)
    assert value == pytest.approx(expected.item(), rel=1e-13)
    np.testing.assert_allclose(dy, y.grad.numpy(), atol=1e-15)


@pytest.mark.parametrize("junk", [np.nan, np.inf, 1e300])
def test_padding_changes_nothing(backend, case, junk):
    loss, target, options = case
    dirty, wrong = np.where(MASK[..., None], Y, junk), target.copy()
    wrong[~MASK] = -7 if target.dtype.kind == "i" else junk
    value, dy = evaluate(backend, loss, dirty, wrong, MASK, **options)
    expected, slopes = evaluate(backend, loss, Y, target, MASK, **options)
    assert value == expected
    np.testing.assert_array_equal(dy, slopes)
    assert not np.any(dy[~MASK])


def test_nothing_real_is_zero(backend, case):
    loss, target, options = case
    value, dy = evaluate(backend, loss, Y * np.nan, target, np.zeros((3,), dtype=bool), **options)
    assert value == 0.0
    np.testing.assert_array_equal(dy, np.zeros_like(Y))


def test_empty_batch_is_zero(backend, case):
    loss, target, options = case
    for mask in (None, MASK[:0]):
        value, dy = evaluate(backend, loss, Y[:0], target[:0], mask, **options)
        assert value == 0.0 and dy.shape == (0, 4, 5)


def test_mask_of_any_leading_axes(backend):
    target, mask = np.zeros_like(Y), np.array([True, False, True])
    for wide in (mask, np.repeat(mask[:, None], 4, 1), np.broadcast_to(mask[:, None, None], Y.shape)):
        assert evaluate(backend, mse, Y, target, wide)[0] == pytest.approx(np.mean(Y[[0, 2]] ** 2), rel=1e-14)


def test_literal_numbers(backend):
    y, target = np.array([[1.0, -3.0]]), np.array([[0.5, 1.0]])
    for loss, value, slopes in (
        (mse, 8.125, [[0.5, -4.0]]),
        (mae, 2.25, [[0.5, -0.5]]),
        (huber, 1.8125, [[0.25, -0.5]]),
    ):
        got, dy = evaluate(backend, loss, y, target)
        assert got == value
        np.testing.assert_array_equal(dy, slopes)
    value, dy = evaluate(backend, cross_entropy, np.log([[1.0, 3.0]]), np.array([1]))
    assert value == pytest.approx(math.log(4 / 3), rel=1e-14)
    np.testing.assert_allclose(dy, [[0.25, -0.25]], rtol=1e-14)


def test_integers_serve_as_numbers(backend):
    target = rng.integers(0, 2, size=Y.shape)
    for loss in (mse, mae, huber, binary_cross_entropy):
        (value, dy), (expected, slopes) = (evaluate(backend, loss, Y, t) for t in (target, target * 1.0))
        assert value == expected
        np.testing.assert_array_equal(dy, slopes)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_huge_logits(backend, dtype):
    y = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]])
    slopes = np.array([[1.0, -1.0, 0.0], [0.0, 0.5, -0.5]]) / 2
    wrong_and_tied = backend.asarray(y, dtype=dtype), backend.asarray(np.array([1, 2]))
    value, dy = cross_entropy(*wrong_and_tied)
    assert float(backend.to_numpy(value)) == pytest.approx((2e4 + math.log(2)) / 2, rel=1e-6)
    np.testing.assert_allclose(backend.to_numpy(dy), slopes, rtol=1e-6)
    target = np.array([[0.0, 1.0, 0.5], [0.0, 1.0, 1.0]])
    value, dy = binary_cross_entropy(backend.asarray(y, dtype=dtype), backend.asarray(target, dtype=dtype))
    assert float(backend.to_numpy(value)) == pytest.approx((2e4 + math.log(2)) / 6, rel=1e-6)
    np.testing.assert_allclose(backend.to_numpy(dy), np.array([[1, -1, 0], [0, 0, 0]]) / 6, rtol=1e-6)


def test_small_losses_keep_their_digits(backend):
    value, dy = evaluate(backend, binary_cross_entropy, np.array([30.0, -30.0]), np.array([1.0, 0.0]))
    tail = math.exp(-30.0)
    assert value == pytest.approx(math.log1p(tail), rel=1e-12, abs=0.0)
    np.testing.assert_allclose(dy, np.array([-0.5, 0.5]) * tail / (1 + tail), rtol=1e-12)


def test_excluded_classes_may_have_no_logit(backend):
    value, dy = evaluate(backend, cross_entropy, np.array([[0.0, -np.inf, 0.0]]), np.array([2]))
    assert value == pytest.approx(math.log(2.0))
    np.testing.assert_allclose(dy, [[0.5, 0.0, -0.5]])


@pytest.mark.parametrize("wrong", [-1, 5, 300])
def test_class_that_does_not_exist_is_nan(backend, wrong):
    target = np.array([1, wrong, 2])
    value, dy = evaluate(backend, cross_entropy, Y[0, :3], target)
    assert math.isnan(value)
    np.testing.assert_array_equal(np.isnan(dy), np.repeat(target[:, None] == wrong, 5, axis=1))


def test_narrow_integers_serve_as_classes(backend):
    y, target = rng.normal(size=(2, 300)), np.array([255, 3])
    expected = evaluate(backend, cross_entropy, y, target)[0]
    assert evaluate(backend, cross_entropy, y, target.astype(np.uint8))[0] == expected


def test_nan_in_what_is_real_shows(backend, case):
    loss, target, options = case
    value, dy = evaluate(backend, loss, np.where(np.arange(5) == 2, np.nan, Y), target, **options)
    assert math.isnan(value) and np.all(np.isnan(dy[..., 2]))


@pytest.mark.parametrize(
    "loss, y, target, mask, error, words",
    [
        (mse, Y[..., :1], Y[..., 0], None, ValueError, r"mse.*\(3, 4\).*\(3, 4, 1\).*broadcast"),
        (huber, Y, Y[0], None, ValueError, r"huber.*\(4, 5\).*\(3, 4, 5\)"),
        (mae, Y, Y.astype(np.float32), None, TypeError, "float32.*float64"),
        (mse, Y.astype(int), Y, None, TypeError, "prediction has dtype .*int64"),
        (mse, Y, Y, MASK * 1.0, TypeError, "mask has dtype .*float64.*bool"),
        (mse, Y, Y, MASK.T, ValueError, r"mask has shape \(4, 3\).*\(3, 4, 5\)"),
        (mse, Y, Y, np.ones((3, 4, 5, 1), dtype=bool), ValueError, "mask has shape"),
        (cross_entropy, Y, np.zeros((3, 5), dtype=int), None, ValueError, r"\(3, 5\).*integers \(3, 4\)"),
        (cross_entropy, Y, np.zeros((3, 4, 1), dtype=int), None, ValueError, r"\(3, 4, 1\).*integers \(3, 4\)"),
        (cross_entropy, Y, np.zeros((3, 4)), None, ValueError, r"\(3, 4\).*probabilities.*\(3, 4, 5\)"),
        (cross_entropy, Y, Y.astype(np.float32), None, TypeError, "float32.*float64"),
        (cross_entropy, Y, DENSE > 0.5, None, TypeError, "bool.*integers"),
        (cross_entropy, Y, DENSE, np.ones(Y.shape, dtype=bool), ValueError, r"mask.*\(3, 4, 5\).*wanted \(3, 4\)"),
        (cross_entropy, Y[..., :0], DENSE[..., :0], None, ValueError, "V > 0"),
        (binary_cross_entropy, Y[..., :1], Y[..., 0], None, ValueError, "broadcast"),
    ],
)
def test_what_does_not_fit_is_refused(backend, loss, y, target, mask, error, words):
    given = [None if x is None else backend.asarray(x, dtype=str(x.dtype)) for x in (y, target, mask)]
    with pytest.raises(error, match=words):
        loss(*given)


@pytest.mark.parametrize("smoothing", [1.0, -0.1, math.nan])
def test_smoothing_out_of_range(smoothing):
    with pytest.raises(ValueError, match="label_smoothing"):
        cross_entropy(Y, DENSE, label_smoothing=smoothing)


@pytest.mark.parametrize("delta", [0.0, -1.0, math.nan])
def test_delta_out_of_range(delta):
    with pytest.raises(ValueError, match="delta"):
        huber(Y, Y, delta=delta)


def test_no_loss_waits_for_its_device(case):
    torch = pytest.importorskip("torch")
    loss, target, options = case
    given = [torch.tensor(x, device="meta") for x in (Y, target, MASK)]
    value, dy = loss(*given, **options)
    assert value.shape == () and dy.shape == Y.shape and dy.device.type == "meta"


def test_get():
    assert losses.get("mean_squared_error") is losses.get("mse") is mse
    assert losses.get("mean_absolute_error") is losses.get("mae") is mae
    assert losses.get("sparse_categorical_crossentropy") is losses.get("cross_entropy") is cross_entropy
    assert losses.get("binary_crossentropy") is binary_cross_entropy
    assert losses.get(huber) is losses.get("huber") is huber
    with pytest.raises(ValueError, match=r"'hinge'.*cross_entropy"):
        losses.get("hinge")
    with pytest.raises(TypeError, match="3"):
        losses.get(3)


def test_softmax(backend):
    xp, x = backend.xp, backend.asarray(Y + 1e4)
    for axis in (0, -1):
        expected = np.exp(Y) / np.sum(np.exp(Y), axis=axis, keepdims=True)
        y = softmax(xp, x, axis)
        np.testing.assert_allclose(backend.to_numpy(y), expected, rtol=1e-11)
        np.testing.assert_allclose(backend.to_numpy(log_softmax(xp, x, axis)), np.log(expected), rtol=1e-11)
        dy, direction = rng.normal(size=Y.shape), rng.normal(size=Y.shape)
        dx = backend.to_numpy(softmax_vjp(xp, y, backend.asarray(dy), axis))
        up, down = (np.exp(Y + h * direction) for h in (1e-6, -1e-6))
        change = (up / np.sum(up, axis, keepdims=True) - down / np.sum(down, axis, keepdims=True)) / 2e-6
        assert np.sum(dx * direction) == pytest.approx(np.sum(dy * change), rel=1e-7)
