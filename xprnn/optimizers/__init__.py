"""Optimizers, one file each, the clipping of gradients, and schedules of the learning rate."""

from . import schedules
from .adagrad import Adagrad
from .adam import Adam, AdamW
from .base import Optimizer
from .clip import clip_by_norm, clip_by_value, global_norm
from .rmsprop import RMSprop
from .sgd import SGD

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "clip_by_norm",
    "clip_by_value",
    "get",
    "global_norm",
    "schedules",
]

_NAMES: dict[str, type[Optimizer]] = {
    "adagrad": Adagrad,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "sgd": SGD,
}


def get(optimizer: str | Optimizer) -> Optimizer:
    """The optimizer of that name (Keras's, in any case) with its defaults, or ``optimizer`` itself where it is one.

    ValueError for a name that is not known, TypeError for what is neither a name nor an optimizer.
    """
    if isinstance(optimizer, str):
        if optimizer.lower() not in _NAMES:
            raise ValueError(f"there is no optimizer called {optimizer!r}; there are {', '.join(_NAMES)}")
        return _NAMES[optimizer.lower()]()
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"an optimizer is a name or an Optimizer, such as Adam(0.001); got {optimizer!r}")
    return optimizer
