"""The model: a layer with parameters on a backend. One of the two objects of the library whose methods change them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any

from . import door, tree
from .backend import Backend, to_device
from .backend import backend as choose_backend
from .fitting import follow
from .history import EarlyStopping, History
from .io import files
from .layers.base import Context, Layer
from .losses import Loss
from .losses import get as get_loss
from .metrics import get as get_metric
from .optimizers import Optimizer
from .optimizers import get as get_optimizer
from .random import Key
from .stream import Stream
from .summary import summary
from .training import Data, Recipe, Report, Run, evaluate, outputs, train
from .types import Array, Params, Shape, State

Metrics = Sequence[str | Callable] | Mapping[str, Callable]


class Model:
    """A layer, its parameters, and the backend they live on.

    layer:       what it computes: a ``Sequential``, or any layer.
    backend:     "numpy", "cupy", "cupy:1", "torch", "torch:cuda", "jax", "array_api_strict", "auto", or a Backend.
    dtype:       "float32" (if None and the backend says nothing else) or "float64".
    seed:        what all that is random hangs on: the same parameters and dropout on every backend.
    input_shape: one sample's, (None, D) for any number of steps of D features; None leaves it to the first call
                 (a model of token ids knows it).
    Inputs must be arrays of the model's backend and dtype (``model.backend.asarray(x)``): nothing moves by itself.
    """

    def __init__(
        self,
        layer: Layer,
        backend: str | Backend = "numpy",
        dtype: str | None = None,
        seed: int = 0,
        input_shape: Shape | None = None,
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
        if input_shape is not None or layer.rank == 1:
            self.build((None,) if input_shape is None else tuple(input_shape))

    def build(self, input_shape: Shape) -> None:
        """Make the parameters for samples of ``input_shape``; they hang on the seed alone. ValueError if it does not fit."""
        params, self.output_shape = self.layer.init(Key(self.seed).fold("init").generator(), input_shape)
        self.params, self.input_shape = to_device(params, self.backend), input_shape

    def built(self, x: Array | None = None) -> tuple[Shape, Params]:
        """The sample shape and the parameters, made for x if there are none yet."""
        if self.params is None and x is not None:
            self.build(door.sample_shape(self.layer, x))
        if self.params is None or self.input_shape is None:
            raise ValueError("the model has no parameters before it has seen data: give input_shape=, or call build()")
        return self.input_shape, self.params

    def __call__(self, x: Array, state: State = None, *, lengths: Any = None, mask: Array | None = None) -> Array:
        """y for x (B, T, D), or (B, T) token ids, or a single sample without B; inference."""
        entry, params = self._enter(x, state, lengths, mask)
        with self.backend.active():
            y, end, _ = self.layer.forward(params, entry.x, entry.state, Context(entry.mask, tape=False))
            return door.leave(entry, y, end)[0]

    def forward(
        self,
        x: Array,
        state: State = None,
        *,
        lengths: Any = None,
        mask: Array | None = None,
        key: Key | None = None,
    ) -> tuple[Array, State, Any]:
        """y, the last state, and a tape for ``backward``; a ``key`` makes it training, with dropout."""
        entry, params = self._enter(x, state, lengths, mask)
        with self.backend.active():
            y, end, tape = self.layer.forward(params, entry.x, entry.state, Context(entry.mask, key))
            y = self.backend.xp.asarray(y, copy=True)  # the caller may write into it, and the tape may hold it
            return *door.leave(entry, y, end), (entry.single, params, tape)

    def backward(self, tape: Any, dy: Array | None, dstate: State = None) -> tuple[Array | None, State, Params]:
        """dx, the cotangent of the initial state, and the gradients, from those of ``forward``'s y and last state."""
        single, params, kept = tape
        for name, leaf in tree.flatten({"dy": dy, "dstate": dstate}).items():
            if leaf is not None:
                self.backend.check(leaf, name)
        with self.backend.active():
            xp = self.backend.xp
            if single:
                dy, dstate = tree.map(lambda a: xp.expand_dims(a, axis=0), (dy, dstate))
            dx, ds, grads = self.layer.backward(params, kept, dy, dstate)
            return *(tree.map(lambda a: a[0, ...], (dx, ds)) if single else (dx, ds)), grads

    def predict(
        self, x: Array, *, batch_size: int = 32, lengths: Any = None, mask: Array | None = None
    ) -> Array:
        """y for x (N, ...), batch by batch."""
        entry, params = self._enter(x, None, lengths, mask)
        with self.backend.active():
            data = Data(entry.x, None, entry.mask)
            parts = [y for _, y in outputs(self.layer, params, data, batch_size, None)]
            return door.leave(entry, self.backend.xp.concat(parts), None)[0]

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
        data, params = self._data(x, y, lengths, mask, chunk)
        with self.backend.active():
            return evaluate(self.layer, params, data, _measures(loss, metrics), batch_size, chunk)

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
        lengths: Any = None,
        mask: Array | None = None,
        resume: bool = False,
    ) -> Iterator[Report]:
        """Train on x, y; a report after each update, so that the caller's ``for`` is the place for anything else.

        The options are ``training.Recipe``'s. ``resume`` goes on from ``model.run`` up to ``epochs`` in all.
        """
        data, params = self._data(x, y, lengths, mask, chunk)
        recipe = Recipe(
            get_loss(loss), get_optimizer(optimizer), epochs, batch_size, chunk, clip, clip_value, shuffle
        )
        if resume and self.run is None:
            raise ValueError("there is no run to resume: this model has not been training, or was saved without its run")
        if not resume:
            self.run = Run(params, recipe.optimizer.init(params))
        return self._training(recipe, data)

    def _training(self, recipe: Recipe, data: Data) -> Iterator[Report]:
        assert self.run is not None
        updates = train(self.layer, recipe, data, self.run, Key(self.seed).fold("training"))
        while True:
            with self.backend.active():  # not while the caller has the report
                update = next(updates, None)
            if update is None:
                return
            self.run, report = update
            self.params = self.run.params
            yield report

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
        lengths: Any = None,
        mask: Array | None = None,
        resume: bool = False,
        metrics: Metrics = (),
        validation: tuple | None = None,
        early_stopping: EarlyStopping | None = None,
        verbose: bool = True,
    ) -> History:
        """``training`` with a progress bar on stderr -> the numbers of each epoch.

        validation: (x, y) or (x, y, lengths) to evaluate after each epoch, as "val_loss" and so on.
        metrics:    what to report beside the loss, on the validation's data, or on x where there is none.
        """
        reports = self.training(
            x, y, loss=loss, optimizer=optimizer, epochs=epochs, batch_size=batch_size, chunk=chunk, clip=clip,
            clip_value=clip_value, shuffle=shuffle, lengths=lengths, mask=mask, resume=resume,
        )  # fmt: skip
        inputs, targets, *rest = (x, y, lengths) if validation is None else validation
        prefix = "" if validation is None else "val_"

        def measure() -> dict[str, float]:
            if validation is None and not metrics:
                return {}
            numbers = self.evaluate(
                inputs, targets, loss=loss, metrics=metrics, batch_size=batch_size, chunk=chunk,
                lengths=rest[0] if rest else None, mask=mask if validation is None else None,
            )  # fmt: skip
            return {f"{prefix}{name}": value for name, value in numbers.items() if validation or name != "loss"}

        return follow(self, reports, measure, early_stopping, verbose)

    def stream(self, state: State = None) -> Stream:
        """The model one step at a time, from ``state``."""
        return Stream(self, state)

    def to(self, backend: str | Backend, dtype: str | None = None) -> "Model":
        """A copy of this model on another backend, in this one's dtype unless given; training goes on there too."""
        target = choose_backend(backend, dtype or self.backend.dtype)
        other = Model(self.layer, target, seed=self.seed)
        other.input_shape, other.output_shape = self.input_shape, self.output_shape
        other.params = None if self.params is None else to_device(self.params, target)
        other.run = None if self.run is None else Run(*move(tuple(self.run), target))
        return other

    def save(self, path: str | PathLike, *, run: bool = False, extra: dict[str, Any] | None = None) -> None:
        """Write a .safetensors file of parameters and description, atomically; with ``run``, all that resuming needs.

        extra: anything of JSON's that is to be kept beside the model; ``files.read_extra`` gives it back.
        """
        shape, params = self.built()
        about = {"dtype": self.backend.dtype, "seed": self.seed, "input_shape": list(shape)}
        files.save(path, self.layer, params, tuple(self.run) if run and self.run else None, about, extra or {})

    @classmethod
    def load(
        cls, path: str | PathLike, backend: str | Backend = "numpy", dtype: str | None = None,
        custom: Iterable[type] = (),
    ) -> "Model":  # fmt: skip
        """The model that ``save`` wrote, on ``backend``, in the dtype it had unless given.

        custom: classes of the caller's own layers and cells that occur in it: a file names classes, it never runs code.
        Raises FileNotFoundError, or FileError for a file that is damaged, or not a model, or does not fit itself.
        """
        saved = files.load(path, custom)
        model = cls(saved.layer, choose_backend(backend, dtype or saved.about["dtype"]), seed=saved.about["seed"])
        model.build(tuple(saved.about["input_shape"]))
        files.check_params(path, saved.params, model.built()[1])
        model.params = to_device(saved.params, model.backend)
        model.run = None if saved.run is None else Run(*move(saved.run, model.backend))
        return model

    def summary(self) -> str:
        """The table of layers, output shapes and parameters, with how each count comes about."""
        return summary(self.layer, self.built()[0])

    def count_params(self) -> int:
        """How many numbers are learned."""
        return sum(a.size for a in tree.leaves(self.built()[1]))

    def _enter(self, x: Array, state: State, lengths: Any, mask: Array | None) -> tuple[door.Entry, Params]:
        self.backend.check(x, "x")
        shape, params = self.built(x)
        with self.backend.active():
            return door.enter(self.backend, self.layer, shape, x, state, lengths, mask), params

    def _data(self, x: Array, y: Array, lengths: Any, mask: Array | None, chunk: int | None) -> tuple[Data, Params]:
        """x, y and the mask, checked, to train on or to evaluate."""
        entry, params = self._enter(x, None, lengths, mask)
        self.backend.check(y, "y")
        if entry.single or y.ndim == 0 or y.shape[0] != x.shape[0]:
            raise ValueError(f"x {tuple(x.shape)} and y {tuple(y.shape)} are to be as many samples, one after the other")
        if chunk is not None and (self.layer.shortens or not self.layer.streams or x.ndim < 2):
            raise ValueError(f"chunk={chunk} cuts sequences in time; {self.layer} takes and gives whole ones only")
        with self.backend.active():
            door.check_classes(self.output_shape, y, self.layer.mask_after(entry.x, entry.mask))
        return Data(entry.x, y, entry.mask), params


def move(value: Any, target: Backend) -> Any:
    """A tree of arrays and numbers with its arrays on ``target``; their own dtype stays where it is the target's kind."""
    return tree.map(lambda a: a if isinstance(a, (int, float)) else target.asarray(a), value)


def _measures(loss: str | Loss, metrics: Metrics) -> dict[str, Callable]:
    """What ``evaluate`` is to compute, by name."""
    named = metrics if isinstance(metrics, Mapping) else {_name(metric): metric for metric in metrics}
    return {"loss": get_loss(loss)} | {name: get_metric(metric) for name, metric in named.items()}


def _name(metric: str | Callable) -> str:
    return metric if isinstance(metric, str) else getattr(metric, "__name__", str(metric))


load = Model.load
