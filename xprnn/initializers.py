"""How parameters begin: drawn on the host in float64, so that every array library starts from the same ones.

An initializer f(rng, shape, gates=1) makes ``gates`` blocks of the given shape, each drawn as a matrix of its own, and
sets them side by side on the last axis: (rows, cols) gives (rows, gates * cols). Rows are inputs, columns outputs.
"""

from __future__ import annotations  # they name numpy.random, which is imported when something is drawn

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Initializer = Callable[..., np.ndarray]


class Outline:
    """What ``init`` is given in place of a generator, to learn the shapes of parameters: nothing is drawn.

    Initializers make ``hollow`` arrays with it, and raise ValueError for one of more than ``most`` numbers. Whoever
    draws by other means gets what NumPy's Generator gives.
    """

    def __init__(self, most: float = math.inf) -> None:
        self.most = most

    def __getattr__(self, name: str) -> Any:
        return getattr(np.random.default_rng(0), name)


def hollow(shape: tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
    """An array of any size that takes no memory: all its elements are one."""
    return np.lib.stride_tricks.as_strided(np.zeros((), dtype), shape, (0,) * len(shape))


def zeros(rng: np.random.Generator, shape: tuple[int, ...], gates: int = 1) -> np.ndarray:
    """Zeros; nothing is drawn from ``rng``."""
    return constant(0.0)(rng, shape, gates)


def constant(value: float) -> Initializer:
    """The initializer that fills with ``value``; it draws nothing."""
    return _blocks(lambda rng, shape: np.full(shape, value, dtype=np.float64))


def uniform(scale: float) -> Initializer:
    """The initializer that draws from U(-scale, scale)."""
    return _blocks(lambda rng, shape: rng.uniform(-scale, scale, shape))


def normal(std: float) -> Initializer:
    """The initializer that draws from N(0, std²)."""
    return _blocks(lambda rng, shape: rng.normal(0.0, std, shape))


def glorot_uniform(rng: np.random.Generator, shape: tuple[int, int], gates: int = 1) -> np.ndarray:
    """U(-a, a) with a = √(6 / (rows + cols)) of one block (Glorot and Bengio, 2010).

    Raises ValueError if the shape is not that of a matrix.
    """
    rows, cols = _matrix("glorot_uniform", shape)
    return uniform(math.sqrt(6 / (rows + cols)))(rng, shape, gates)


def glorot_normal(rng: np.random.Generator, shape: tuple[int, int], gates: int = 1) -> np.ndarray:
    """N(0, 2 / (rows + cols)), with rows and cols of one block (Glorot and Bengio, 2010); not truncated.

    Raises ValueError if the shape is not that of a matrix.
    """
    rows, cols = _matrix("glorot_normal", shape)
    return normal(math.sqrt(2 / (rows + cols)))(rng, shape, gates)


def lecun_normal(rng: np.random.Generator, shape: tuple[int, int], gates: int = 1) -> np.ndarray:
    """N(0, 1 / rows) (LeCun, Bottou, Orr and Müller, "Efficient backprop", 1998); not truncated.

    Raises ValueError if the shape is not that of a matrix.
    """
    rows, _ = _matrix("lecun_normal", shape)
    return normal(math.sqrt(1 / rows))(rng, shape, gates)


def he_normal(rng: np.random.Generator, shape: tuple[int, int], gates: int = 1) -> np.ndarray:
    """N(0, 2 / rows) (He, Zhang, Ren and Sun, 2015); not truncated.

    Raises ValueError if the shape is not that of a matrix.
    """
    rows, _ = _matrix("he_normal", shape)
    return normal(math.sqrt(2 / rows))(rng, shape, gates)


def orthogonal(rng: np.random.Generator, shape: tuple[int, int], gates: int = 1) -> np.ndarray:
    """Blocks with orthonormal columns, or rows where those are fewer (Saxe, McClelland and Ganguli, 2014).

    Each is Q of a Gaussian matrix's QR decomposition, with the signs that make R's diagonal positive: without them Q
    would not be uniformly distributed (Mezzadri, 2007). Raises ValueError if the shape is not that of a matrix.
    """
    _matrix("orthogonal", shape)
    return _blocks(_orthogonal)(rng, shape, gates)


def _orthogonal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    long, short = max(shape), min(shape)
    q, r = np.linalg.qr(rng.normal(size=(long, short)))
    q = np.where(np.diagonal(r) < 0, -q, q)
    return q if shape == (long, short) else np.ascontiguousarray(q.T)


def _blocks(draw: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]) -> Initializer:
    def initialize(rng: np.random.Generator | Outline, shape: tuple[int, ...], gates: int = 1) -> np.ndarray:
        if isinstance(rng, Outline):
            whole = (*shape[:-1], gates * shape[-1])
            if math.prod(whole) > rng.most:
                raise ValueError(f"a parameter of shape {whole} is wanted, and there is none nearly as large")
            return hollow(whole)
        return np.concatenate([draw(rng, shape) for _ in range(gates)], axis=-1)

    return initialize


def _matrix(name: str, shape: tuple[int, ...]) -> tuple[int, int]:
    if len(shape) != 2 or min(shape) < 1:
        raise ValueError(f"{name} needs the shape of a matrix, (rows, cols) with both above 0, not {shape}")
    return shape
