"""The door for people who come from Keras: Sequential, with its names, over ``Model``.

    from xprnn.models import Sequential
    from xprnn.layers import Dense, SimpleRNN

    model = Sequential(backend="cupy")
    model.add(SimpleRNN(10, input_shape=(3, 1)))
    model.add(Dense(1))
    model.compile(optimizer="adam", loss="mse", metrics=["mae"])
    model.fit(x, y, epochs=20, validation_split=0.1)
"""

import copy
import os
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .backend import Backend
from .compiled import Compiled, compiled
from .fitting import follow
from .history import EarlyStopping, History
from .layers.arguments import Shaped
from .layers.base import Layer
from .layers.recurrent import Stack
from .layers.sequential import Sequential as _Sequence
from .model import Model
from .training import Run
from .types import Array, Params, Shape

__all__ = ["Sequential", "load_model"]


class Sequential:
    """A model that grows layer by layer, as Keras's.

    layers:  those of ``xprnn.layers`` or the library's own, to begin with.
    backend: which array library, on which device, as in ``Model``; ``dtype`` and ``seed`` likewise.

    Here, and here alone, data may be NumPy arrays, lists or arrays of any library, of any real dtype: they are moved to
    the backend and its dtype, as Keras does; token ids stay integers. Results are NumPy arrays and Python numbers.
    ``self.model`` is the ``Model`` behind it, with all that it can.
    """

    def __init__(
        self, layers: Iterable[Layer | Shaped] | None = None, *, name: str = "sequential",
        backend: str | Backend = "numpy", dtype: str | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        self.name = name
        self._place: tuple[str | Backend, str | None, int] = (backend, dtype, seed)
        self._input_shape: Shape | None = None
        self._layers: list[tuple[Layer, str | None]] = []
        self._learned: Params = {}
        self._model: Model | None = None
        self._compiled: tuple[Any, Any, tuple] | None = None
        for layer in layers or ():
            self.add(layer)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers so far."""
        return tuple(layer for layer, _ in self._layers)

    def add(self, layer: Layer | Shaped) -> None:
        """Put ``layer`` at the end. TypeError if it is none; ValueError for an input_shape behind the first layer."""
        if not isinstance(layer, (Layer, Shaped)):
            raise TypeError(f"add takes a layer, such as xprnn.layers.Dense(1), not {layer!r}")
        entry = layer if isinstance(layer, Shaped) else Shaped((layer,))
        if entry.input_shape is not None and (self._layers or self._input_shape is not None):
            raise ValueError(f"input_shape={entry.input_shape} is for the first layer alone; leave it out of {layer!r}")
        self._grow()
        self._input_shape = entry.input_shape or self._input_shape
        for part in entry.layers:
            named = len(entry.layers) == 1 or isinstance(part, Stack)
            self._layers.append((part, entry.name if named else None))

    def pop(self) -> None:
        """Take the last layer away. IndexError if there is none."""
        self._grow()
        self._layers.pop()

    @property
    def model(self) -> Model:
        """The ``Model`` of the layers so far, with the parameters that those before the last change had learned."""
        if self._model is None:
            if not self._layers:
                raise ValueError("the model has no layers yet: add() one")
            layer = _Sequence(*self.layers, names=_names(self._layers))
            backend, dtype, seed = self._place
            model = Model(layer, backend, dtype, seed, self._input_shape)
            if model.params is not None:
                model.params = {name: self._learned.get(name, fresh) for name, fresh in model.params.items()}
            self._model = model
        return self._model

    def compile(
        self, optimizer: Any = "rmsprop", loss: Any = None, metrics: Iterable[str | Callable] | None = None
    ) -> None:
        """Say how to train; it begins anew, with the parameters as they are.

        optimizer: a name, with Keras's defaults, or an optimizer of ``xprnn.optimizers``.
        loss:      a name of Keras's, an object of ``xprnn.losses``, or one of its functions.
                   The crossentropies take probabilities, unless from_logits=True: the model then ends in a Dense or
                   Activation layer with "softmax" ("sigmoid" for the binary one). That activation is left out for the
                   loss, which is computed from the logits, stable at any size; ``predict`` still gives probabilities.
        metrics:   names or functions metric(y, target, mask), of the model's output.
        ValueError or TypeError for names that are not known, or a loss that does not fit the model's end.
        """
        if isinstance(metrics, (str, dict)) or callable(metrics):
            raise TypeError(f"metrics are a list of names and functions, not {metrics!r}")
        self._compiled = (optimizer, loss, tuple(metrics or ()))
        if loss is not None:
            self._recipe()
        self.model.run = None

    def fit(
        self, x: Any, y: Any, batch_size: int | None = None, epochs: int = 1, verbose: str | int = "auto",
        callbacks: Iterable[EarlyStopping] | None = None, validation_split: float = 0.0,
        validation_data: tuple | None = None, shuffle: bool = True,
    ) -> History:  # fmt: skip
        """Train on x, y for ``epochs`` more, with what the optimizer has gathered so far -> the numbers of each epoch.

        batch_size:       rows in an update; None is 32.
        verbose:          0 is silent; anything else shows a progress bar on stderr.
        callbacks:        at most one, an EarlyStopping.
        validation_split: the share of samples, from the end, that are not trained on but evaluated after each epoch.
        validation_data:  (x, y) to evaluate after each epoch instead.
        The history's "loss" is the mean over an epoch's updates; metrics are those of the model after each epoch.
        """
        recipe, (x, y) = self._recipe(), self._data(x, y)
        if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1:
            raise ValueError(f"epochs is a whole number, 1 or more, not {epochs!r}")
        x, y, held = _split(x, y, validation_split)
        if validation_data is not None:
            held = self._data(*_pair(validation_data))
        trained, size = self._trained(recipe), _size(batch_size)
        done = 0 if trained.run is None else trained.run.epoch
        reports = trained.training(
            x, y, loss=recipe.loss, optimizer=recipe.optimizer, epochs=done + epochs, batch_size=size, shuffle=shuffle,
            resume=trained.run is not None,
        )  # fmt: skip

        def measure() -> dict[str, float]:
            numbers = _evaluate(trained, recipe, x, y, size) if recipe.metrics else {}
            numbers = {name: value for name, value in numbers.items() if name != "loss"}
            after = _evaluate(trained, recipe, *held, size) if held else {}
            return numbers | {f"val_{name}": value for name, value in after.items()}

        try:
            return follow(trained, reports, measure, _stopping(callbacks), verbose not in (0, False))
        finally:
            self.model.params, self.model.run = trained.params, trained.run

    def evaluate(
        self, x: Any, y: Any, batch_size: int | None = None, verbose: str | int = "auto", *, return_dict: bool = False
    ) -> float | list[float] | dict[str, float]:
        """The loss on x, y, or a list of loss and metrics, or a dict of them; ``verbose`` changes nothing."""
        recipe, (x, y) = self._recipe(), self._data(x, y)
        numbers = _evaluate(self._trained(recipe), recipe, x, y, _size(batch_size))
        if return_dict:
            return numbers
        return list(numbers.values()) if recipe.metrics else numbers["loss"]

    def predict(self, x: Any, batch_size: int | None = None, verbose: str | int = "auto") -> np.ndarray:
        """The output for x (N, ...), a NumPy array; ``verbose`` changes nothing."""
        y = self.model.predict(self._input(x), batch_size=_size(batch_size))
        return self.model.backend.to_numpy(y)

    def summary(self) -> None:
        """Print the table of layers, output shapes and parameters, with how each count comes about."""
        print(f'Model: "{self.name}"\n{self.model.summary()}')

    def count_params(self) -> int:
        """How many numbers are learned."""
        return self.model.count_params()

    def save(self, path: str | os.PathLike) -> None:
        """Write a .safetensors file of layers and parameters, for ``load_model`` and ``xprnn.load``, or a .keras file.

        A .keras file is for Keras too. ValueError for layers that Keras has not, and for HDF5 files as Keras 2 had.
        """
        name = os.fspath(path)
        if name.endswith((".h5", ".hdf5")):
            raise ValueError(f"{name} would not be Keras's format: name it .keras or .safetensors")
        if name.endswith(".keras"):
            from .io import keras

            keras.save(self.model, path)
        else:
            self.model.save(path)

    def _grow(self) -> None:
        """Keep what is learned, before the layers change."""
        if self._model is not None and self._model.params is not None:
            self._learned, self._input_shape = self._model.params, self._model.input_shape
        self._model = None

    def _recipe(self) -> Compiled:
        if self._compiled is None or self._compiled[1] is None:
            raise ValueError("the model has no loss yet: compile(optimizer=..., loss=...) first")
        return compiled(self.model.layer, *self._compiled)

    def _trained(self, recipe: Compiled) -> Model:
        """The model whose output the loss takes, with the parameters of this one."""
        trained = copy.copy(self.model)
        trained.layer = recipe.layer
        if trained.run is not None:
            trained.run = Run(trained.params, trained.run.optimizer, trained.run.epoch)  # type: ignore[arg-type]
        return trained

    def _input(self, x: Any) -> Array:
        model = self.model
        return model.backend.asarray(x, None if model.layer.rank == 1 else model.backend.dtype)

    def _data(self, x: Any, y: Any) -> tuple[Array, Array]:
        """x and y on the backend; makes the parameters if there are none yet."""
        x = self._input(x)
        self.model.built(x)
        return x, self._recipe().targets(self.model.backend, y, self.model.output_shape)


def load_model(path: str | os.PathLike, *, backend: str | Backend = "numpy", dtype: str | None = None) -> Sequential:
    """The Sequential that ``save`` wrote, or Keras 3 into a .keras file, not compiled, on ``backend``.

    Raises FileNotFoundError, FileError as ``xprnn.load``, or ValueError for a model of another kind.
    """
    if os.fspath(path).endswith(".keras"):
        from .io import keras

        model = keras.load(path, backend, dtype)
    else:
        model = Model.load(path, backend, dtype)
    if not isinstance(model.layer, _Sequence):
        raise ValueError(f"{os.fspath(path)} holds {model.layer!r}, no Sequential: use xprnn.load")
    loaded = Sequential(backend=model.backend, seed=model.seed)
    loaded._layers = list(zip(model.layer.layers, model.layer.names, strict=True))
    loaded._model = model
    return loaded


def _names(layers: list[tuple[Layer, str | None]]) -> tuple[str, ...]:
    """The name of each layer: what it was given, or else one by its kind."""
    usual = _Sequence(*(layer for layer, _ in layers)).names
    names = tuple(given or usual[n] for n, (_, given) in enumerate(layers))
    owners: dict[str, Layer] = {}
    for name, (layer, _) in zip(names, layers, strict=True):
        if owners.setdefault(name, layer) is not layer or "." in name:
            raise ValueError(f"{name!r} cannot name {layer!r}: names have no dots, and no two layers have the same")
    return names


def _evaluate(model: Model, recipe: Compiled, x: Array, y: Array, batch_size: int) -> dict[str, float]:
    return model.evaluate(x, y, loss=recipe.loss, metrics=recipe.metrics, batch_size=batch_size)


def _split(x: Array, y: Array, share: float) -> tuple[Array, Array, tuple[Array, Array] | None]:
    """x and y without the last ``share`` of the samples, and those."""
    if not 0.0 <= share < 1.0:
        raise ValueError(f"validation_split is a share from 0 to below 1, not {share!r}")
    at = int(x.shape[0] * (1.0 - share))
    if at == x.shape[0]:
        return x, y, None
    if at == 0:
        raise ValueError(f"validation_split={share} of {x.shape[0]} samples leaves none to train on")
    return x[:at, ...], y[:at, ...], (x[at:, ...], y[at:, ...])


def _pair(data: Any) -> tuple[Any, Any]:
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise ValueError("validation_data is a pair (x, y)")
    return data[0], data[1]


def _size(batch_size: int | None) -> int:
    return 32 if batch_size is None else batch_size


def _stopping(callbacks: Iterable[EarlyStopping] | None) -> EarlyStopping | None:
    """The one callback there may be."""
    given = list(callbacks or ())
    if len(given) > 1 or not all(isinstance(callback, EarlyStopping) for callback in given):
        raise TypeError(f"callbacks are at most one EarlyStopping, not {given!r}; Model.training is a loop of your own")
    return given[0] if given else None
