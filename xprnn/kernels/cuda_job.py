"""What a call of the kernel for GPUs works with: the parameters as it needs them, and what it asks of the device."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ..arrays import namespace
from ..gpu import REALS, Defines, Device, Launch, Product, grid
from ..types import Array, Params

STORAGES = {None: ("0", ""), "float16": ("16", "float16"), "bfloat16": ("17", "uint16")}
"""For each way to store arrays its number in runtime.cuh and the dtype they then have; None is that of x."""
ITEMS = REALS | {"?": "bool", "e": "unsigned short", "H": "unsigned short"}
"""What the sources hold in an array, by the letter of its dtype."""
SLAB = 512
"""The rows that a block of threads sums."""
OTHERS = "kernel='loop' runs every cell on any array"
ROOM = 1 << 26
"""The numbers of x's part of the gates that are made at a time where no way back follows."""


class Kind(NamedTuple):
    """A cell of cells.cuh, where it says what the numbers are."""

    cell: str
    columns: int
    first_drive: int = 0
    late: int = 0
    saves: bool = True
    zones: int = 0

    @property
    def sums(self) -> int:
        """How many of the columns are sums."""
        return self.columns - self.zones

    def recurrent_blocks(self, H: int) -> Iterator[tuple[slice, slice, bool]]:
        """Which columns of a row of gates are which of Wh's, and whether the product takes r ⊙ h and not h."""
        if self.first_drive:  # inner, r, s, outer; Wh has r, s, inner
            yield slice(H, 3 * H), slice(0, 2 * H), False
            yield slice(0, H), slice(2 * H, 3 * H), False
        else:
            edge, end = (self.late or self.sums) * H, self.sums * H
            yield slice(0, edge), slice(0, edge), False
            if self.late:
                yield slice(edge, end), slice(edge, end), True


@dataclass(frozen=True)
class Job:
    """One call: its weights as they are stored, the other parameters dense, and its ways to the device."""

    device: Device
    kind: Kind
    precision: str
    storage: str | None
    dtype: Any
    multiply: Product
    Wx: Array
    Wh: Array
    bx: Array | None
    bh: Array | None
    Wc: Array | None
    keep: Array | None

    @property
    def defines(self) -> Defines:
        """What sources of cells are compiled with for this cell and these numbers."""
        return ("CELL", self.kind.cell), *self._numbers()

    def kernel(self, name: str) -> Launch:
        """A kernel of recurrent.cu for the cell."""
        return self.device.kernel("recurrent.cu", name, self.defines)

    def empty(self, *shape: int) -> Array:
        """An array of what is computed in."""
        return self.device.empty(shape, self.dtype)

    def many(self, *shape: int) -> Array:
        """An array of what is stored in."""
        return self.device.empty(shape, STORAGES[self.storage][1] or self.dtype)

    def store(self, a: Array, out: Array, factor: Array | None = None) -> Array:
        """out = a ⊙ factor as it is stored, like ``copied``; factor is dense and of a's shape."""
        return _written(self._whole("store_all"), a, or_null(factor), out)

    def load(self, a: Array, out: Array) -> Array:
        """out = a, which is stored, as it is computed in; like ``copied``."""
        return _written(self._whole("copy"), a, 0, out)

    def stored(self, a: Array) -> Array:
        """a in rows without gaps, as it is stored."""
        return dense(self.device, a) if self.storage is None else self.store(a, self.many(*a.shape))

    def strided(self, a: Array | None) -> tuple:
        """a (T, B, n), or None, as a kernel's arguments: itself, and its strides over steps and rows."""
        if a is None:
            return 0, 0, 0
        if a.shape[2] > 1 and _strides(a)[2] != 1:
            a = dense(self.device, a)
        return a, *_strides(a)[:2]

    def add_through(self, x: Array, through: Array, out: Array) -> None:
        """out = x + through ⊙ keep; all (B, H)."""
        count = x.shape[0] * x.shape[1]
        self._whole("add_through")(*grid(count), (count, x, through, or_null(self.keep), out))

    def sum_rows(self, a: Array, factor: Array | None, out: Array) -> None:
        """out (n,) = Σ a ⊙ factor over the rows of a (N, n), whose columns are dense, as it is stored."""
        (N, n), row = a.shape, _strides(a)[0]
        slabs, width = -(-N // SLAB), -(-n // 32)
        parts = out if slabs == 1 else self.empty(slabs, n)
        arguments = (N, n, SLAB, width, a, row, or_null(factor), n, parts)
        self._whole("sum_stored_rows")(slabs * width, 256, arguments)
        if slabs > 1:
            self._whole("sum_rows")(width, 256, (slabs, n, slabs, width, parts, n, 0, 0, out))

    def packed(self, Wh: Array) -> Array:
        """Wh as it is stored, with its blocks of columns in the order in which a row of gates has them."""
        if not self.kind.first_drive:
            return self.Wh
        out = self.many(*Wh.shape)
        for source, target, _ in self.kind.recurrent_blocks(Wh.shape[0]):
            self.store(Wh[:, target], out[:, source])
        return out

    def _whole(self, name: str) -> Launch:
        """A kernel of arrays.cu."""
        return self.device.kernel("arrays.cu", name, self._numbers())

    def _numbers(self) -> Defines:
        return ("REAL", REALS[self.dtype.char]), ("STORED", STORAGES[self.storage][0])


def job(device: Device, kind: Kind, precision: str, storage: str | None, p: Params, x: Array) -> Job:
    """The job of a cell of ``kind`` on arrays like x."""
    bx, bh, multiply = p.get("bx", p.get("b")), p.get("bh"), device.product(precision)
    raw = Job(device, kind, precision, storage, x.dtype, multiply, p["Wx"], p["Wh"], bx, bh, p.get("Wc"), p.get("keep"))
    small = {name: getattr(raw, name) for name in ("bx", "bh", "Wc", "keep")}
    whole = {name: dense(device, a) for name, a in small.items() if a is not None}
    return replace(raw, Wx=raw.stored(raw.Wx), Wh=raw.stored(raw.Wh), **whole)


def check(device: Device, kind: Kind, H: int, p: Params, x: Array, s: tuple, mask: Array | None = None) -> None:
    """Raise ValueError or TypeError unless all fits x (..., B, D): a kernel reads whatever it is told to."""
    fit(device, "x", x, x.shape, x.dtype)
    B, D, G = x.shape[-2], x.shape[-1] - kind.zones * H, (kind.sums - kind.first_drive) * H
    whole = {"Wx": (D, G), "Wh": (H, G), "b": (G,), "bx": (G,), "bh": (G,), "Wc": (3 * H,), "keep": (B, H)}
    for name, a in p.items():
        if name not in whole:
            raise ValueError(f"the cell has no parameter {name!r}, only some of {', '.join(whole)}")
        fit(device, name, a, whole[name], x.dtype)
    for a in s:
        fit(device, "the state", a, (B, H), x.dtype)
    if mask is not None:
        fit(device, "the mask", mask, (*x.shape[:-1], 1), "bool")


def check_filled(x: Array) -> None:
    """Raise ValueError where x holds nothing: there is no launch of no blocks."""
    if 0 in x.shape:
        raise ValueError(f"x has the shape {x.shape}, and the kernels for GPUs take one number or more; {OTHERS}")


def fit(device: Device, name: str, a: Array, shape: tuple[int, ...], dtype: Any) -> None:
    """Raise ValueError or TypeError unless a is an array of the device's with this shape and dtype."""
    if not device.owns(a):
        kind = type(a)
        raise TypeError(f"{name} is a {kind.__module__}.{kind.__name__}, expected an array on the GPU: move it there")
    if a.shape != shape:
        raise ValueError(f"{name} has the shape {a.shape}, expected {shape}")
    if a.dtype != dtype:
        raise TypeError(f"{name} holds numbers of dtype {a.dtype}, expected {dtype}")


def dense(device: Device, a: Array) -> Array:
    """a in rows without gaps."""
    return a if a.flags.c_contiguous else copied(device, a, device.empty(a.shape, a.dtype))


def copied(device: Device, a: Array, out: Array) -> Array:
    """out = a (T, B, n), however it lies; out has dense rows. What has fewer axes is one step, or one row of it."""
    return _written(device.kernel("arrays.cu", "copy", (("REAL", REALS[a.dtype.char]), ("STORED", "0"))), a, 0, out)


def _written(run: Launch, a: Array, factor: Any, out: Array) -> Array:
    """``out`` after a kernel of arrays.cu that reads an array of up to three axes however it lies."""
    (T, B, n), strides = ((1, 1, *shape)[-3:] for shape in (a.shape, _strides(a)))
    to = _strides(out)[0] if out.ndim == 2 else n
    run(*grid(T * B * n), (T * B * n, B, n, a, *strides, factor, to, out))
    return out


def moved(device: Device, a: Array, out: Array) -> Array:
    """out = a (T, B, n) or (B, n), of any dtype and however it lies; out is dense."""
    run = device.kernel("moves.cu", "move", (("ITEM", ITEMS[a.dtype.char]),))
    (T, B, n), strides = ((1, 1, *shape)[-3:] for shape in (a.shape, _strides(a)))
    run(*grid(T * B * n), (T * B * n, B, n, a, *strides, out))
    return out


def rows(a: Array) -> Array:
    """(T, B, n) -> (T·B, n), of an array without gaps."""
    return namespace(a).reshape(a, (-1, a.shape[2]))


def or_null(a: Array | None) -> Any:
    """a as an argument of a kernel."""
    return 0 if a is None else a


def _strides(a: Array) -> tuple[int, ...]:
    """How many numbers lie from one to the next along each axis."""
    return tuple(stride // a.dtype.itemsize for stride in a.strides)
