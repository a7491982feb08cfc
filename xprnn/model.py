"""The model: a layer with parameters on a backend, which its methods change; all below it is pure."""

import math
from collections.abc import Iterable, Iterator
from functools import partial
from os import PathLike
from typing import Any

from . import door, tree
from .backend import Backend, to_device
from .backend import backend as choose_backend
from .fitting import Metrics, check_monitor, follow, judged, measures, updates
from .history import EarlyStopping, History
from .io import files
from .layers.base import Context, Layer
from .losses import Loss
from .losses import get as get_loss
from .optimizers import Optimizer
from .optimizers import get as get_optimizer
from .random import Key
from .stream import Stream
from .summary import summary
from .training import Data, Recipe, Report, Run, check_resume, evaluate, outputs, whole
from .types import Array, Params, Shape, State


class Model:
    """A layer, its parameters, and the backend they live on.

    layer:       what it computes: a ``Sequential``, or any layer.
    backend:     "numpy", "cupy", "cupy:1", "torch", "torch:cuda", "jax", "array_api_strict", "auto", or a Backend.
    dtype:       "float32" (if None and the backend says nothing else) or "float64".
    seed:        all randomness comes from it: the same parameters and dropout on every backend.
    input_shape: one sample's, (None, D) for any number of steps of D features; None leaves it to the first call
                 (a model of token ids knows it).
    params:      parameters to begin with, arrays of any library; None draws them from the seed.
    Inputs must be arrays of the model's backend and dtype (``model.backend.asarray(x)``): nothing moves by itself.
    Where a call takes lengths, they are (B,) whole numbers from 0 to T; a mask is (B, T) bool, True at real steps.
    Parameters are nested dicts, a Sequential's by the names of its layers, a recurrent layer's by "0", "1", ... from
    the bottom; states are nested tuples in that order, () of a layer that has none.
    Raises BackendError for arrays of another library, device or dtype, ValueError and TypeError for what does not fit.
    """

    def __init__(
        self,
        layer: Layer,
        backend: str | Backend = "numpy",
        dtype: str | None = None,
        seed: int = 0,
        input_shape: Shape | None = None,
        params: Params | None = None,
    ) -> None:
        if not isinstance(layer, Layer):
            raise TypeError(f"a model is made of a layer, such as Sequential(LSTM(64), Dense(10)), not of {layer!r}")
        self.layer = layer
        self.backend = choose_backend(backend, dtype)
        self.seed = Key(seed).seed
        self.input_shape: Shape | None = None
        self.output_shape: Shape | None = None
        self.params: Params | None = None
        self.run: Run | None = None
        if params is not None and input_shape is None and layer.rank != 1:
            raise ValueError("parameters come with the shape of a sample: give input_shape= too")
        if input_shape is not None or layer.rank == 1:
            self.build((None,) if input_shape is None else tuple(input_shape), params)

    def build(self, input_shape: Shape, params: Params | None = None) -> None:
        """Make the parameters for samples of ``input_shape``, from the seed alone, or take ``params``.

        Raises ValueError if the layer does not take such samples, or the names or shapes of ``params`` do not fit.
        """
        if params is None:
            params, output = self.layer.init(Key(self.seed).fold("init").generator(), input_shape)
        else:
            output = door.check_params(self.layer, input_shape, params)
        self.params, self.run = to_device(params, self.backend), None
        self.input_shape, self.output_shape = input_shape, output

    def built(self, x: Array | None = None) -> tuple[Shape, Params]:
        """The sample shape and the parameters, made for x if there are none yet."""
        if self.params is None and x is not None:
            self.build(door.sample_shape(self.backend, self.layer, x))
        if self.params is None or self.input_shape is None:
            raise ValueError("the model has no parameters before it has seen data: give input_shape=, or call build()")
        return self.input_shape, self.params

    def __call__(self, x: Array, state: State = None, *, lengths: Any = None, mask: Array | None = None) -> Array:
        """y for x (B, T, D), or (B, T) token ids, or a single sample without B; inference."""
        with self.backend.active():
            entry, params = self._enter(x, state, lengths, mask)
            y, _, _ = self.layer.forward(params, entry.x, entry.state, Context(entry.mask, tape=False))
            return door.leave(entry.single, y)

    def forward(
        self, x: Array, state: State = None, *, lengths: Any = None, mask: Array | None = None, key: Key | None = None
    ) -> tuple[Array, State, Any]:
        """y, the last state, a tape. A ``key`` makes it training; until ``backward``, nothing may be written into x."""
        if not (key is None or isinstance(key, Key)):
            raise TypeError(f"key is an xprnn.Key, such as Key(0), not {key!r}")
        with self.backend.active():
            entry, params = self._enter(x, state, lengths, mask)
            y, end, tape = self.layer.forward(params, entry.x, entry.state, Context(entry.mask, key))
            # The caller may write into what it gets, and the tape may hold it.
            own = partial(self.backend.xp.asarray, copy=True)
            y, end = door.leave(entry.single, (own(y), tree.map(own, end)))
            kept = tree.map(lambda a: a, params), tape  # those that there are now: the caller may replace one
            return y, end, door.Tape(entry.single, entry.x.shape[0], tuple(y.shape), *kept)

    def backward(
        self, tape: Any, dy: Array | None, dstate: State = None, *, inputs: bool = True
    ) -> tuple[Array | None, State, Params]:
        """dx if ``inputs``, the cotangent of the initial state, the gradients, from those of y and the last state."""
        door.check_cotangents(self.backend, self.layer, tape, dy, dstate)
        with self.backend.active():
            if tape.single:
                dy, dstate = tree.map(lambda a: self.backend.xp.expand_dims(a, axis=0), (dy, dstate))
            way = tape.params, tape.kept, dy, dstate
            dx, ds, grads = self.layer.backward(*way) if inputs else (None, *self.layer.gradients(*way))
            return *door.leave(tape.single, (dx, ds)), grads

    def predict(self, x: Array, *, batch_size: int = 32, lengths: Any = None, mask: Array | None = None) -> Array:
        """y for x (N, ...), batch by batch."""
        rows = whole("batch_size", batch_size)
        with self.backend.active():
            entry, params = self._enter(x, None, lengths, mask)
            data = Data(entry.x, None, entry.mask)
            parts = [y for _, y in outputs(self.layer, params, data, rows, None)]
            return door.leave(entry.single, self.backend.xp.concat(parts))

    def evaluate(
        self,
        x: Array,
        y: Array,
        *,
        loss: str | Loss = "mse",
        metrics: Metrics = (),
        batch_size: int = 32,
        chunk: int | None = None,
        lengths: Any = None,
        mask: Array | None = None,
    ) -> dict[str, float]:
        """The mean loss and metrics over all real steps: {"loss": ..., "accuracy": ...}."""
        rows, named = whole("batch_size", batch_size), measures(loss, metrics)
        data, params = self._data(x, y, lengths, mask, named, chunk)
        with self.backend.active():
            return evaluate(self.layer, params, data, named, rows, chunk)

    def training(
        self,
        x: Array,
        y: Array,
        *,
        loss: str | Loss,
        optimizer: str | Optimizer,
        epochs: int = 1,
        batch_size: int = 32,
        chunk: int | None = None,
        clip: float | None = None,
        clip_value: float | None = None,
        shuffle: bool = True,
        segment: int | None = None,
        lengths: Any = None,
        mask: Array | None = None,
        resume: bool = False,
    ) -> Iterator[Report]:
        """Train on x, y; a report after each update, so that the caller's ``for`` is the place for anything else.

        The options are ``training.Recipe``'s. ``resume`` goes on from ``model.run`` up to ``epochs`` in all.
        """
        rules = get_loss(loss), get_optimizer(optimizer)
        recipe = Recipe(*rules, epochs, batch_size, chunk, clip, clip_value, shuffle, segment)
        if resume and self.run is None:
            raise ValueError("there is no run to resume: the model has not been training, or was saved without its run")
        data, params = self._data(x, y, lengths, mask, {"loss": recipe.loss}, chunk, segment)
        with self.backend.active():
            if resume and self.run is not None:
                check_resume(recipe, data, self.run)
            else:
                self.run = Run(params, recipe.optimizer.init(params))
        return updates(self, recipe, data)

    def fit(
        self,
        x: Array,
        y: Array,
        *,
        loss: str | Loss = "mse",
        optimizer: str | Optimizer = "adam",
        epochs: int = 1,
        batch_size: int = 32,
        chunk: int | None = None,
        clip: float | None = None,
        clip_value: float | None = None,
        shuffle: bool = True,
        segment: int | None = None,
        lengths: Any = None,
        mask: Array | None = None,
        resume: bool = False,
        metrics: Metrics = (),
        validation: tuple | None = None,
        early_stopping: EarlyStopping | None = None,
        verbose: bool = True,
    ) -> History:
        """``training`` with a progress bar on stderr -> the numbers of each epoch.

        validation: (x, y), (x, y, lengths) or (x, y, None, mask) to evaluate after each epoch, as "val_loss" and so on.
        metrics:    what to report besides the loss, on the validation's data, or on x where there is none.
        """
        rows = whole("batch_size", batch_size)
        prefix, named, given = judged(loss, metrics, (x, y, lengths, mask), validation)
        check_monitor(early_stopping, ("loss", *(prefix + name for name in named)))
        data = self._data(*given, named, chunk)[0] if named else None
        reports = self.training(
            x, y, loss=loss, optimizer=optimizer, epochs=epochs, batch_size=batch_size, chunk=chunk, clip=clip,
            clip_value=clip_value, shuffle=shuffle, segment=segment, lengths=lengths, mask=mask, resume=resume,
        )  # fmt: skip

        def measure() -> dict[str, float]:
            with self.backend.active():
                found = {} if data is None else evaluate(self.layer, self.built()[1], data, named, rows, chunk)
            return {prefix + name: value for name, value in found.items()}

        return follow(self, reports, measure, early_stopping, verbose)

    def stream(self, state: State = None) -> Stream:
        """The model one step at a time, from ``state``."""
        return Stream(self, state)

    def to(self, backend: str | Backend, dtype: str | None = None) -> "Model":
        """A copy of this model on another backend, in this one's dtype unless given; training goes on there too."""
        target = choose_backend(backend, dtype or _own(backend, self.backend.dtype))
        other = Model(self.layer, target, None, self.seed, self.input_shape, tree.map(target.copy, self.params))
        other.run = None if self.run is None else self.run.moved(target, self.params, other.params)
        return other

    def save(self, path: str | PathLike, *, run: bool = False, extra: dict[str, Any] | None = None) -> None:
        """Write a .safetensors or .npz file of layer and parameters, atomically; with ``run``, all that resuming needs.

        extra: anything of JSON's that is to be kept beside the model; ``files.read_extra`` gives it back.
        """
        shape, params = self.built()
        about = files.About(self.backend.dtype, self.seed, shape)
        files.save(path, self.layer, params, self.run._asdict() if run and self.run else None, about, extra or {})

    def save_onnx(self, path: str | PathLike, *, lengths: bool = False, states: bool = False) -> None:
        """Write an ONNX file: ``io.onnx.write.save``, which says what is in it. Wants the package onnx."""
        from .io.onnx import write

        write.save(path, self.layer, *self.built(), self.backend.dtype, lengths=lengths, states=states)

    @classmethod
    def load(
        cls, path: str | PathLike, backend: str | Backend = "numpy", dtype: str | None = None,
        custom: Iterable[type] = (),
    ) -> "Model":  # fmt: skip
        """The model that ``save`` wrote, on ``backend``, in the dtype it had unless given.

        custom: classes of the caller's own layers and cells that occur in it: a file names classes, it never runs code.
        Raises FileNotFoundError, or FileError for a file that is damaged, or not a model, or contradicts itself.
        """
        saved = files.load(path, custom)
        about = saved.about
        target = choose_backend(backend, dtype or _own(backend, about.dtype))
        model = cls(saved.layer, target, None, about.seed, about.input_shape, saved.params)
        model.run = None if saved.run is None else Run(**saved.run).moved(target, saved.params, model.params)
        return model

    def summary(self) -> str:
        """The table of layers, output shapes and parameters, with how each count comes about."""
        return summary(self.layer, self.built()[0])

    def count_params(self) -> int:
        """How many numbers are learned."""
        return sum(math.prod(a.shape) for a in tree.leaves(self.built()[1]))

    def _enter(self, x: Array, state: State, lengths: Any, mask: Array | None) -> tuple[door.Entry, Params]:
        """What passes the door, with the backend active, and the parameters."""
        shape = door.sample_shape(self.backend, self.layer, x) if self.input_shape is None else self.input_shape
        return door.enter(self.backend, self.layer, shape, x, state, lengths, mask), self.built(x)[1]

    def _data(
        self, x: Array, y: Array, lengths: Any, mask: Array | None, named: dict[str, Loss], chunk: int | None,
        segment: int | None = None,
    ) -> tuple[Data, Params]:  # fmt: skip
        """x, y and the mask to train on or to evaluate, checked together with the measures of them."""
        cut = None if chunk is None else whole("chunk", chunk)
        with self.backend.active():
            entry, params = self._enter(x, None, lengths, mask)
            shapes = self.built()[0], self.output_shape or ()
            return door.enter_data(self.backend, self.layer, *shapes, entry, y, named, cut, segment), params


def _own(backend: str | Backend, dtype: str) -> str | None:
    """``dtype`` for a backend that is only named: a Backend has its own."""
    return None if isinstance(backend, Backend) else dtype


load = Model.load
