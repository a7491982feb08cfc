"""Bad data and options of training: refused at the call, before anything is computed or lost."""

import numpy as np
import pytest
from shell import Arrays, B, D, H, T, V, both_ways, flat, last, recurrent, refused, tokens

import xprnn as xr

NAN = float("nan")

# What fit, training and evaluate refuse about data and options; x, y and loss are right unless given.
OPTIONS = {
    "epochs=0": ({"epochs": 0}, "epochs is a whole number, 1 or more, not 0"),
    "epochs=1.5": ({"epochs": 1.5}, "epochs is a whole number, 1 or more, not 1.5"),
    "epochs=nan": ({"epochs": NAN}, "epochs is a whole number"),
    "epochs='3'": ({"epochs": "3"}, "epochs is a whole number"),
    "epochs=None": ({"epochs": None}, "epochs is a whole number"),
    "batch_size=True": ({"batch_size": True}, "batch_size is a whole number, 1 or more, not True"),
    "batch_size=0": ({"batch_size": 0}, "batch_size is a whole number, 1 or more, not 0"),
    "batch_size=-1": ({"batch_size": -1}, "batch_size is a whole number"),
    "chunk=0": ({"chunk": 0}, "chunk is a whole number, 1 or more, not 0"),
    "chunk=2.0": ({"chunk": 2.0}, "chunk is a whole number"),
    "clip=-1": ({"clip": -1}, "clip is a number above 0, not -1"),
    "clip=0": ({"clip": 0}, "clip is a number above 0"),
    "clip=nan": ({"clip": NAN}, "clip is a number above 0, not nan"),
    "clip=True": ({"clip": True}, "clip is a number above 0, not True"),
    "clip_value='1'": ({"clip_value": "1"}, "clip_value is a number above 0, not '1'"),
    "no such loss": ({"loss": "mze"}, "there is no loss called 'mze'; there are"),
    "no such optimizer": ({"optimizer": "adamn"}, "there is no optimizer called 'adamn'"),
    "nothing to resume": ({"resume": True}, "there is no run to resume"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_options_are_refused_at_the_call(case):
    options, words = OPTIONS[case]
    model, a = recurrent(xr.backend("numpy", "float64")), Arrays(xr.backend("numpy", "float64"))
    given = {"loss": "mse", "optimizer": "adam"} | options
    refused(model, lambda: model.training(a.x, a.y, **given), ValueError, words)
    refused(model, lambda: model.fit(a.x, a.y, verbose=False, **given), ValueError, words)


def test_options_of_a_wrong_kind():
    model, a = recurrent(xr.backend("numpy", "float64")), Arrays(xr.backend("numpy", "float64"))
    refused(model, lambda: model.fit(a.x, a.y, shuffle="no", verbose=False), TypeError, "shuffle is True or False")
    refused(model, lambda: model.fit(a.x, a.y, optimizer=0.1, verbose=False), TypeError, "an optimizer is a name or")
    refused(model, lambda: model.fit(a.x, a.y, loss=None, verbose=False), TypeError, "a loss is a name or a function")
    for size in (0, -3, True, 2.5):
        refused(model, lambda size=size: model.predict(a.x, batch_size=size),
            ValueError, "batch_size is a whole number")
        refused(model, lambda size=size: model.evaluate(a.x, a.y, chunk=size), ValueError, "chunk is a whole number")


# Data that do not fit: (model, x, y, further options, error, words).
DATA = {
    "y: samples": (recurrent, "x", (3, T, 2), {},
        ValueError, r"x has the shape \(2, 5, 3\), y \(3, 5, 2\); .*equally many samples"),
    "y: a number": (recurrent, "x", (), {}, ValueError, r"y \(\); .*equally many samples"),
    "y: steps": (recurrent, "x", (B, 4, 2), {}, ValueError, r"y \(2, 4, 2\), the outputs have \(2, 5, 2\)"),
    "y: width": (recurrent, "x", (B, T, 3), {}, ValueError, r"y \(2, 5, 3\), the outputs have \(2, 5, 2\)"),
    "y: width 1": (recurrent, "x", (B, T, 1), {}, ValueError, "nothing is broadcast"),
    "y: no last axis": (recurrent, "x", (B, T), {}, ValueError, "nothing is broadcast"),
    "y: of each step": (last, "x", (B, T, 2), {}, ValueError, r"y \(2, 5, 2\), the outputs have \(2, 2\)"),
    "y: more steps": (recurrent, "x", (B, 6, 2), {"chunk": 2},
        ValueError, r"chunk=2, y needs a target for each of the 5 steps"),
    "y: one-hot of floats": (tokens, "ids", (B, T), {"loss": "cross_entropy"},
        ValueError, "wanted classes as integers"),
    "chunk: both ways": (both_ways, "x", (B, T, 2 * H), {"chunk": 2},
        ValueError, "chunk=2 cuts sequences in time; .*whole sequences only"),
    "chunk: last output": (last, "x", (B, 2), {"chunk": 2}, ValueError, "chunk=2 cuts sequences in time"),
    "chunk: no time": (flat, "flat", (B, 2), {"chunk": 2}, ValueError, "chunk=2 cuts sequences in time"),
    "one sample": (recurrent, "one", (T, 2), {}, ValueError, r"x has the shape \(5, 3\), a single sample's"),
}  # fmt: skip


@pytest.mark.parametrize("case", DATA)
def test_data_are_refused_at_the_call(backend, case):
    make, x, y, options, error, words = DATA[case]
    model, a = make(backend), Arrays(backend)
    x = {"x": a.x, "ids": a.ids, "flat": a(B, D), "one": a.x[0, ...]}[x]
    given = {"loss": "mse"} | options
    refused(model, lambda: model.training(x, a(*y), optimizer="adam", **given), error, words)
    refused(model, lambda: model.fit(x, a(*y), verbose=False, **given), error, words)
    refused(model, lambda: model.evaluate(x, a(*y), **given), error, words)


@pytest.mark.parametrize(("target", "words"), [(-1, "the class -1; .*7, 0 to 6"), (V, "the class 7; ")])
def test_classes_that_there_are_not(backend, target, words):
    model, a = tokens(backend), Arrays(backend)
    y = a.put(np.full((B, T), target))
    refused(model, lambda: model.fit(a.ids, y, loss="cross_entropy", verbose=False), ValueError, words)
    refused(model, lambda: model.evaluate(a.ids, y, loss="cross_entropy"), ValueError, words)


def test_losses_that_give_something_else(backend):
    model, a = recurrent(backend), Arrays(backend)
    value = lambda y, target, mask=None: xr.mse(y, target, mask)[0]  # noqa: E731
    refused(model, lambda: model.fit(a.x, a.y, loss=value, verbose=False),
        TypeError, r"gives its value and its gradient")
    wrong = lambda y, target, mask=None: (xr.mse(y, target, mask)[0],) * 2  # noqa: E731
    refused(model, lambda: model.fit(a.x, a.y, loss=wrong, verbose=False),
        TypeError, "gradient has the shape of the outputs")


# What fit refuses about validation, metrics and early stopping.
FITS = {
    "validation: samples": ({"validation": "short"}, ValueError, r"x has the shape \(2, 5, 3\), y \(1, 5, 2\)"),
    "validation: width": ({"validation": "wide"}, ValueError, r"x has the shape \(2, 5, 4\)"),
    "validation: x alone": ({"validation": "x"},
        ValueError, r"validation is a tuple, \(x, y\), \(x, y, lengths\) or \(x, y, None, mask\)"),
    "validation: five": ({"validation": "five"}, ValueError, r"validation is a tuple"),
    "metrics: a string": ({"metrics": "accuracy"}, TypeError, r"metrics are a list, such as \['accuracy'\]"),
    "metrics: unknown": ({"metrics": ["acuracy"]}, ValueError, "there is no metric called 'acuracy'"),
    "metrics: twice": ({"metrics": ["mse", xr.mse]}, ValueError, "two measures are called 'mse'"),
    "metrics: called loss": ({"metrics": {"loss": "mae"}}, ValueError, "two measures are called 'loss'"),
    "metrics: unfit": ({"metrics": [lambda y, target, mask: xr.mse(y[..., :1], target)[0]]},
        ValueError, "the outputs have"),
    "stopping: no validation": ({"early_stopping": xr.EarlyStopping()},
        ValueError, "watches 'val_loss', which is not measured; measured are loss"),
    "stopping: no metric": ({"early_stopping": xr.EarlyStopping("val_mae"), "validation": "good"},
        ValueError, "measured are loss, val_loss"),
}  # fmt: skip


@pytest.mark.parametrize("case", FITS)
def test_fit_refuses_before_it_trains(backend, case):
    options, error, words = FITS[case]
    model, a = recurrent(backend), Arrays(backend)
    sets = {"short": (a.x, a.y[:1, ...]), "wide": (a(B, T, 4), a.y), "x": a.x, "five": (a.x,) * 5, "good": (a.x, a.y)}
    given = {name: sets.get(value, value) if isinstance(value, str) and name == "validation" else value
             for name, value in options.items()}  # fmt: skip
    refused(model, lambda: model.fit(a.x, a.y, verbose=False, **given), error, words)


@pytest.mark.parametrize(
    "options",
    [{"mode": "auto"}, {"patience": -1}, {"patience": 1.5}, {"patience": True}, {"min_delta": -1}, {"min_delta": NAN}],
)
def test_early_stopping_refuses(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        xr.EarlyStopping("loss", **options)
