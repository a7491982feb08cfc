"""Random models of Keras's, and what it takes to compare one with the model made of it: outputs, states, gradients."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

import xprnn as xr
from xprnn.io.keras.chain import chain
from xprnn.io.keras.weights import to_keras

BENDS = ["tanh", "sigmoid", "relu", "linear", "elu", "selu", "celu", "softsign", "softplus", "silu", "hard_tanh",
         "leaky_relu", "gelu", None]  # fmt: skip
GATES = ["sigmoid", "hard_sigmoid", "tanh", "softsign", None]
VOCABULARY = 6


@dataclass
class Case:
    """A built Keras model, its input, which steps are real (None: all), and whether the model has to be told so."""

    model: Any
    x: np.ndarray
    mask: np.ndarray | None
    told: bool

    def real(self, y):
        """The steps of ``y`` that are real, or all of y where it has no steps."""
        return y[self.mask] if self.mask is not None and y.ndim == 3 else y


class Maker:
    """Draws layers that fit one after the other, of the module ``keras``."""

    def __init__(self, keras, seed):
        self.keras, self.L, self.rng = keras, keras.layers, np.random.default_rng(seed)
        self.masked = self.unrolls = False

    def flip(self, chance=0.5):
        return bool(self.rng.random() < chance)

    def one(self, choices):
        return choices[self.rng.integers(len(choices))]

    def size(self, most=4):
        return int(self.rng.integers(1, most + 1))

    def bend(self, softmax=False):
        layers = [self.L.LeakyReLU(0.3), self.L.ELU(0.7), self.L.ReLU(negative_slope=0.1), self.L.ReLU(threshold=0.2)]
        return self.one(BENDS + layers + ["softmax"] * softmax)

    def recurrent(self, sequences, backwards=None, units=None):
        """A SimpleRNN, LSTM or GRU with any options."""
        kind, usual = self.one(["SimpleRNN", "LSTM", "LSTM", "GRU", "GRU"]), self.flip()
        options = {"units": units or self.size(), "use_bias": self.flip(0.8), "return_sequences": sequences,
                   "go_backwards": self.flip(0.3) if backwards is None else backwards}  # fmt: skip
        if self.masked and sequences and backwards is None:
            options["go_backwards"] = False
        if not usual:
            options["activation"] = self.bend()
        if not usual and kind != "SimpleRNN":
            options["recurrent_activation"] = self.one(GATES)
        if kind == "GRU":
            options["reset_after"] = self.flip()
        if self.flip(0.2):
            options |= {"dropout": 0.3, "recurrent_dropout": self.one([0.0, 0.2])}
        if self.unrolls and not (self.masked and (options["go_backwards"] or backwards is not None)):
            options["unroll"] = self.flip()
        if sequences and self.flip(0.2):
            options["zero_output_for_mask"] = True
        return getattr(self.L, kind)(**options)

    def both(self, sequences):
        """A Bidirectional, of one layer or of two."""
        merge, front = self.one(["concat", "sum", "mul", "ave"]), self.recurrent(sequences, False)
        if self.flip():
            return self.L.Bidirectional(front, merge_mode=merge)
        back = self.recurrent(sequences, True, None if merge == "concat" else front.units)
        for name in ("dropout", "recurrent_dropout"):
            setattr(back.cell, name, getattr(front.cell, name))
        return self.L.Bidirectional(front, merge_mode=merge, backward_layer=back)

    def simple(self, timed):
        """A layer without time of its own."""
        L = self.L
        layers = [
            lambda: L.Dense(self.size(), self.bend(softmax=True), self.flip(0.8)),
            lambda: L.Dropout(0.4),
            lambda: L.LayerNormalization(epsilon=self.one([1e-3, 0.1]), center=self.flip(), scale=self.flip()),
            lambda: L.Activation(self.one([name for name in BENDS if name])),
            lambda: self.one([L.ReLU(), L.ELU(0.5), L.LeakyReLU(), *([] if self.masked else [L.Softmax()])]),
        ]
        if timed:
            layers += [
                lambda: L.TimeDistributed(L.Dense(self.size(), self.bend())),
                lambda: L.TimeDistributed(L.LayerNormalization()),
                lambda: L.SpatialDropout1D(0.3),
            ]
        return self.one(layers)()

    def stack(self):
        """The layers after the first: up to four, and perhaps a pool."""
        layers, timed, known = [], True, True
        for _ in range(self.size(4)):
            kind, sequences = self.one(["simple", "recurrent", "both"] if timed else ["simple"]), self.flip(0.6)
            if not known:
                break  # Keras gives the shape of two directions of different widths wrongly: nothing goes on top
            if kind == "simple":
                layers.append(self.simple(timed))
                continue
            layers.append(self.recurrent(sequences) if kind == "recurrent" else self.both(sequences))
            timed = sequences
            self.masked = self.masked and timed
            known = kind == "recurrent" or layers[-1].forward_layer.units == layers[-1].backward_layer.units
        if timed and known and self.flip(0.3):
            pools = [self.L.GlobalAveragePooling1D] + [self.L.GlobalMaxPooling1D] * (not self.masked)
            layers.append(self.one(pools)())
        return layers

    def mask(self, batch, steps):
        """Real steps: padded on the right, on the left, or with holes."""
        lengths = self.rng.integers(1, steps + 1, (batch, 1))
        counted = np.arange(steps)[None, :]
        some = self.rng.random((batch, steps)) < 0.6
        some[:, self.rng.integers(steps)] = True
        return self.one([counted < lengths, counted >= steps - lengths, some])

    def case(self):
        batch, steps, features = self.size(), self.size(6), self.size()
        ids = self.flip(0.3)
        way = self.one(["whole", "layer", "layer" if ids else "call"])  # an Embedding of Keras's lets no mask through
        mask = None if way == "whole" else self.mask(batch, steps)
        self.masked, self.unrolls = way != "whole", self.flip(0.3)
        first = [self.L.Embedding(VOCABULARY, features, mask_zero=way == "layer")] if ids else []
        first += [self.L.Masking(0.5)] if way == "layer" and not ids else []
        shape = (steps if self.unrolls else None, *([] if ids else [features]))
        layers = [*first, *self.stack()]
        if len(layers) == 1 and first:
            layers.append(self.L.LSTM(2))
        entry = self.keras.Input(shape, dtype=self.one(["int32", "float32"]) if ids else None)
        if self.flip(0.3):
            end = functools.reduce(lambda x, layer: layer(x), layers, entry)
            model = self.keras.Model(entry, end)
        else:
            model = self.keras.Sequential([entry, *layers])
        model.set_weights([self.rng.normal(size=w.shape) * 0.5 for w in model.get_weights()])
        x = self.rng.integers(1, VOCABULARY, (batch, steps)) if ids else self.rng.normal(size=(batch, steps, features))
        if way == "layer":
            x[~mask] = 0 if ids else 0.5
        return Case(model, x, mask, way == "call")

    def single(self):
        """One recurrent layer, and the states it begins with."""
        self.masked = self.flip()
        steps, features, batch = self.size(6), self.size(), self.size()
        mask = self.mask(batch, steps) if self.masked else None
        sequences = self.flip()
        layer = self.both(sequences) if self.flip(0.4) else self.recurrent(sequences)
        if len(states(layer)[0]) != len(
            states(layer)[-1]
        ):  # Keras halves the list of states, whatever the directions are
            layer = self.recurrent(sequences)
        model = self.keras.Sequential([self.keras.Input((None, features)), layer])
        model.set_weights([self.rng.normal(size=w.shape) * 0.5 for w in model.get_weights()])
        case = Case(model, self.rng.normal(size=(batch, steps, features)), mask, self.masked)
        return case, [self.rng.normal(size=(batch, n)) for _, *sizes in states(layer) for n in sizes]


def states(layer):
    """The directions of a recurrent layer of Keras's, each with the sizes of its states."""
    both = [layer.forward_layer, layer.backward_layer] if hasattr(layer, "forward_layer") else [layer]
    return [(half, *half.state_size) for half in both]


def run(layer, x, begin, mask):
    """The output of one recurrent layer of Keras's with ``begin`` as its states, and its last states."""
    import torch

    mask = None if mask is None else torch.tensor(mask)
    y = layer(x, initial_state=begin, mask=mask)
    left = iter(begin)
    return y, [s for half, *sizes in states(layer) for s in half.inner_loop(x, [next(left) for _ in sizes], mask)[2]]


def gradients_of_ours(keras_model, grads):
    """Our gradients as Keras's weights would have them: (name of the layer, path, number) -> array."""
    return {
        (link.name, path, n): a
        for link in chain(description(keras_model)).links
        for name, layer in zip(link.names, link.layers, strict=True)
        for path, arrays in to_keras(layer, xr.to_numpy(grads[name])).items()
        for n, a in enumerate(arrays)
    }


def description(keras_model):
    """What Keras would write of a model into a file."""
    kind = type(keras_model)
    return {"class_name": kind.__name__, "module": kind.__module__, "config": keras_model.get_config()}


def gradients_of_theirs(keras_model, keys, loss, extra=()):
    """Keras's gradients by the same keys, by torch's own differentiation, and those of the tensors in ``extra``."""
    import torch

    values = [
        functools.reduce(getattr, path, keras_model.get_layer(name)).trainable_variables[n].value
        for name, path, n in keys
    ]
    leaves = [*values, *extra]
    got = torch.autograd.grad(loss, leaves, allow_unused=True) if leaves else []
    arrays = [np.zeros(v.shape) if g is None else g.numpy() for v, g in zip(leaves, got, strict=True)]
    return dict(zip(keys, arrays, strict=False)), arrays[len(values) :]
