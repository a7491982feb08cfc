"""Metrics, by literal numbers, with masks, and by name."""

import functools
import math

import numpy as np
import pytest

from xprnn import losses, metrics
from xprnn.metrics import Metric, accuracy, bits

LOGITS = np.array([[[0.1, 0.9, -3.0], [2.0, 1.0, 0.0]], [[-1.0, -2.0, -0.5], [5.0, 5.5, 6.0]]])
CLASSES = np.array([[1, 1], [2, 2]])


def measure(backend, metric, y, target, mask=None):
    value = metric(*(None if x is None else backend.asarray(x) for x in (y, target, mask)))
    assert tuple(value.shape) == () and str(value.dtype).endswith("float64")
    return float(backend.to_numpy(value))


def test_accuracy_of_classes(backend):
    assert measure(backend, accuracy, LOGITS, CLASSES) == 0.75
    assert measure(backend, accuracy, LOGITS, CLASSES.astype(np.uint8)) == 0.75
    assert measure(backend, accuracy, LOGITS, CLASSES - 3) == 0.0


def test_accuracy_of_probabilities(backend):
    target = np.where(np.eye(3)[CLASSES] > 0, 0.6, 0.2)
    assert measure(backend, accuracy, LOGITS, target) == 0.75


@pytest.mark.parametrize("kind", [float, int, bool])
def test_accuracy_of_one_logit(backend, kind):
    y, target = np.array([[0.1], [-0.1], [3.0], [-3.0], [0.0]]), np.array([[1], [1], [1], [0], [0]], dtype=kind)
    assert measure(backend, accuracy, y, target) == 0.8


def test_padding_changes_nothing(backend):
    mask = np.array([[True, True], [True, False]])
    dirty, wrong = np.where(mask[..., None], LOGITS, np.nan), np.where(mask, CLASSES, -1)
    assert measure(backend, accuracy, dirty, wrong, mask) == pytest.approx(2 / 3, rel=1e-15)
    assert measure(backend, accuracy, LOGITS, CLASSES, mask[:, 1]) == 0.5
    assert measure(backend, accuracy, LOGITS, CLASSES, mask & False) == 0.0
    assert measure(backend, bits, dirty, wrong, mask) == measure(backend, bits, LOGITS, CLASSES, mask)


def test_empty_batch_is_zero(backend):
    assert measure(backend, accuracy, LOGITS[:0], CLASSES[:0]) == 0.0
    assert measure(backend, bits, LOGITS[:0], CLASSES[:0]) == 0.0


def test_bits_of_a_fair_guess(backend):
    assert measure(backend, bits, np.zeros((4, 8)), np.array([0, 3, 7, 1])) == pytest.approx(3.0, rel=1e-14)


@pytest.mark.parametrize(
    "y, target, mask, error, words",
    [
        (LOGITS, CLASSES[..., None], None, ValueError, r"accuracy.*\(2, 2, 1\).*\(2, 2, 3\)"),
        (LOGITS[..., :1], CLASSES, None, ValueError, r"accuracy.*\(2, 2\).*\(2, 2, 1\)"),
        (LOGITS, LOGITS > 0, None, TypeError, "bool"),
        (LOGITS, CLASSES, np.ones((2, 3), dtype=bool), ValueError, r"mask has shape \(2, 3\).*\(2, 2\)"),
        (LOGITS, CLASSES, np.ones((2, 2)), TypeError, "mask"),
        (CLASSES, CLASSES, None, TypeError, "prediction"),
    ],
)
def test_what_does_not_fit_is_refused(backend, y, target, mask, error, words):
    with pytest.raises(error, match=words):
        measure(backend, accuracy, y, target, mask)


def test_no_metric_waits_for_its_device():
    torch = pytest.importorskip("torch")
    y, target, mask = (torch.tensor(x, device="meta") for x in (LOGITS, CLASSES, CLASSES > 1))
    for metric in (accuracy, bits):
        assert metric(y, target, mask).shape == ()


def test_get(backend):
    assert metrics.get("acc") == Metric("acc", accuracy) and metrics.get("accuracy").name == "accuracy"
    assert metrics.get(bits) == metrics.get("bits") == metrics.get(metrics.get("bits"))
    y, target = np.array([3.0, 1.0]), np.array([0.0, 0.0])
    for metric, name, value in (
        ("mse", "mse", 5.0),
        ("mean_absolute_error", "mean_absolute_error", 2.0),
        (losses.mae, "mae", 2.0),
        (functools.partial(losses.huber, delta=0.5), "huber", 0.875),
    ):
        assert metrics.get(metric).name == name
        assert measure(backend, metrics.get(metric), y, target) == value
    names = {name: metrics.get(name).measure for name in ("cross_entropy", "binary_cross_entropy", "huber")}
    assert all(function is losses.get(name) for name, function in names.items())
    assert measure(backend, metrics.get("cross_entropy"), LOGITS, CLASSES) == pytest.approx(
        measure(backend, bits, LOGITS, CLASSES) * math.log(2)
    )


def test_get_refuses():
    with pytest.raises(ValueError, match=r"'f1'.*accuracy"):
        metrics.get("f1")
    with pytest.raises(TypeError, match="None"):
        metrics.get(None)
