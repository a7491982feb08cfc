"""Named random streams: the same seed and names give the same numbers on every machine and every array library."""

from __future__ import annotations  # they name numpy.random, which is imported when something is drawn

import hashlib
import math
import numbers
from dataclasses import dataclass

import numpy as np

from .arrays import device
from .gpu import REALS, Device, device_of, grid, real
from .types import Array, Namespace

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA


@dataclass(frozen=True)
class Key:
    """A place in a tree of random streams: a seed, 0 <= seed < 2⁶⁴, and the hashed names that lead from it to here.

    Raises TypeError if the seed is no integer, and ValueError if it is out of range.
    """

    seed: int
    path: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        seed = _integer(self.seed, "a seed")
        if not 0 <= seed < 2**64:
            raise ValueError(f"a seed is an integer from 0 to 2**64 - 1, not {seed}")
        object.__setattr__(self, "seed", seed)

    def fold(self, name: str | int) -> Key:
        """The key that stands under ``name``: different names, "1" and 1 too, lead to independent streams.

        Raises TypeError if the name is neither a string nor an integer.
        """
        text = f"str:{name}" if isinstance(name, str) else f"int:{_integer(name, 'a name that is no string')}"
        digest = hashlib.sha256(text.encode()).digest()
        return Key(self.seed, (*self.path, int.from_bytes(digest[:8], "little")))

    def generator(self) -> np.random.Generator:
        """A fresh NumPy generator of this key's stream (Philox; Salmon et al., 2011), for work on the host."""
        return np.random.Generator(np.random.Philox(self._sequence()))

    def keep(self, xp: Namespace, like: Array, shape: tuple[int, ...], rate: float) -> Array:
        """Inverted dropout's factors: 0 with probability ``rate``, else 1 / (1 - rate), where 0 <= rate < 1.

        The result has the given shape, and like's dtype and device. Element i in flat order depends on the key and i
        alone, whatever the shape (of up to 2³² elements) and the library: its bits are word i mod 2 of Threefry's block
        i div 2.
        """
        size, least, factor = math.prod(shape), int(rate * 2**32) - 2**31, 1 / (1 - rate)
        gpu = device_of(like)
        if gpu is not None and size and like.dtype.char in REALS:
            return self._keep_at_once(gpu, like, shape, least, factor)
        count = xp.arange((size + 1) // 2, dtype=xp.int32, device=device(like))
        words = threefry(self._words(), count, xp.zeros_like(count))
        words = xp.reshape(xp.stack(words, axis=1), (-1,))[:size]
        return xp.reshape(xp.astype(words >= least, like.dtype) * factor, shape)

    def _keep_at_once(self, gpu: Device, like: Array, shape: tuple[int, ...], least: int, factor: float) -> Array:
        """``keep`` in one launch: ``factor`` where a word is not below ``least``."""
        out, size = gpu.empty(shape, like.dtype), math.prod(shape)
        gpu.kernel("random.cu", "keep", real(like))(*grid(-(-size // 2)), (size, *self._words(), least, factor, out))
        return out

    def _sequence(self) -> np.random.SeedSequence:
        return np.random.SeedSequence(self.seed, spawn_key=self.path)

    def _words(self) -> tuple[int, int]:
        first, second = self._sequence().generate_state(2).tolist()
        return first, second


def threefry(key: tuple[int, int], first: Array, second: Array) -> tuple[Array, Array]:
    """Threefry-2x32 of 20 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).

    ``key`` is two words from 0 to 2³² - 1; ``first`` and ``second`` are the counter's words, and the results the random
    ones: int32 arrays of one shape (n,), n >= 0, each read as the 32 bits of an unsigned word.
    """
    schedule = (*key, key[0] ^ key[1] ^ PARITY)
    first = first + _signed(schedule[0])
    second = second + _signed(schedule[1])
    for group in range(5):
        for bits in ROTATIONS[group % 2]:
            first += second
            second = _rotate(second, bits)
            second ^= first
        first += _signed(schedule[(group + 1) % 3])
        second += _signed(schedule[(group + 2) % 3] + group + 1)
    return first, second


def _rotate(word: Array, bits: int) -> Array:
    """``word`` (int32) with its bits rotated to the left; the mask undoes the sign that >> drags in."""
    low = word >> (32 - bits)
    low &= (1 << bits) - 1
    low |= word << bits
    return low


def _signed(word: int) -> int:
    """The int32 value of word modulo 2³²."""
    return (word + 2**31) % 2**32 - 2**31


def _integer(value: int, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{what} must be an integer, not {value!r} of type {type(value).__name__}")
    return int(value)
