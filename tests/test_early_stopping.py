"""Early stopping: when, with which parameters, and as Keras does."""


import numpy as np
import pytest
from shell import NUMPY, data, named, recurrent

import xprnn as xr

LENGTHS = [5, 2, 0, 4, 1, 3, 5]


def scripted(values, **options):
    """fit on a metric that gives ``values``, one an epoch: the history, the model, and its parameters after each."""
    x, y = data()
    left, kept = [0.0, *values], []
    model = recurrent(NUMPY)

    def value(z, target, mask=None):
        if len(left) <= len(values):
            kept.append(named(model.params))
        return NUMPY.asarray(left.pop(0))

    history = model.fit(
        x, y, epochs=len(values), metrics={"value": value}, early_stopping=xr.EarlyStopping("value", **options),
        verbose=False,
    )  # fmt: skip
    return history, model, kept


@pytest.mark.parametrize(
    ("values", "options", "epochs", "best"),
    [
        ([5, 4, 3, 4, 5, 1], {}, 4, 3),
        ([5, 4, 3, 4, 5, 1], {"patience": 1}, 4, 3),
        ([5, 4, 3, 4, 5, 1], {"patience": 2}, 5, 3),
        ([5, 4, 3, 4, 5, 1], {"patience": 3}, 6, 6),
        ([5, 4, 3, 4, 2, 3, 3], {"patience": 2}, 7, 5),
        ([5, 5, 5], {}, 2, 1),
        ([1, 2, 3, 3, 2], {"mode": "max"}, 4, 3),
        ([5, 4.95, 4.85, 4.7], {"min_delta": 0.1, "patience": 1}, 2, 1),
        ([5, 4.95, 4.85, 4.8], {"min_delta": 0.1, "patience": 2}, 4, 3),
        ([5, 4, 3], {"patience": 1}, 3, 3),
        ([float("nan"), 3, 4], {"patience": 1}, 3, 2),
    ],
)
@pytest.mark.parametrize("restore", [False, True])
def test_early_stopping(values, options, epochs, best, restore):
    history, model, kept = scripted(values, restore_best=restore, **options)
    assert history.epochs == len(history["value"]) == epochs
    stopped = "" if epochs == len(values) and (epochs - best) < max(options.get("patience", 0), 1) else "value"
    assert history.stopped.startswith(stopped) and bool(history.stopped) == bool(stopped)
    wanted = kept[best - 1] if restore else kept[epochs - 1]
    for name, leaf in named(model.params).items():
        np.testing.assert_array_equal(leaf, wanted[name])
    assert model.run.epoch == epochs


@pytest.mark.parametrize("seed", range(20))
def test_early_stopping_stops_where_keras_does(seed):
    rng = np.random.default_rng(seed)
    values, patience, delta = rng.integers(0, 6, 12).tolist(), int(rng.integers(0, 4)), float(rng.integers(0, 2))
    wait, best, end, at = 0, np.inf, len(values), 0
    for epoch, value in enumerate(values):  # Keras 3's EarlyStopping.on_epoch_end
        wait += 1
        if value + delta < best:
            best, wait, at = value, 0, epoch
            continue
        if wait >= patience and epoch > 0:
            end = epoch + 1
            break
    history, model, kept = scripted(values, patience=patience, min_delta=delta, restore_best=True)
    assert history.epochs == end
    for name, leaf in named(model.params).items():
        np.testing.assert_array_equal(leaf, kept[at][name])
