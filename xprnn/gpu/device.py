"""What is asked of a GPU, so that the same host code runs on any that answers it."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from ..types import Array, Shape

T = TypeVar("T")
THREADS = 128
PRECISIONS = ("highest", "high", "medium")
REALS = {"f": "float", "d": "double"}
"""What the sources compute in, by the letter of a dtype."""

Defines = tuple[tuple[str, str], ...]
"""Names and values for the compiler, which make a source into one of its variants."""


class Launch(Protocol):
    """A compiled kernel; calling it puts it at the end of what the device has to do."""

    def __call__(self, blocks: int, threads: int, arguments: tuple) -> None:
        """Run it with so many blocks of so many threads.

        arguments: arrays for pointers, of which the kernel sees the first number's place and no strides; 0 for a null
                   pointer; integers for ``long long``, floats for ``double``; what the device's ``struct`` gives.
                   All together have 4096 bytes.
        """


class Product(Protocol):
    """A matrix product into an array that is there."""

    def __call__(self, a: Array, b: Array, out: Array, accumulate: bool = False) -> None:
        """out = a b, or out += a b. Each is a matrix with one of its two axes dense; uint16 is bfloat16."""

    def each(self, a: Array, b: Array, out: Array, accumulate: bool = False) -> Callable[[int], None]:
        """A function of n that does it with the matrix a[n], n from 0 on, and asks but once what stays the same."""


class Mark(Protocol):
    """A place in the order of what a device has been asked."""

    def wait(self) -> None:
        """Let what is asked from now on be done after all that was asked before the mark."""

    def finish(self) -> None:
        """Let this thread wait until all of that is done."""


class Device(Protocol):
    """A GPU, or what stands in for one. It knows its arrays; all it does is done in the order in which it was asked."""

    def owns(self, x: Array) -> bool:
        """Whether x is an array of this kind; ValueError if it lies on a GPU that is not the current one."""

    def empty(self, shape: Shape, dtype: object) -> Array:
        """A dense array of undefined numbers."""

    def struct(self, values: tuple) -> Any:
        """Arrays, null pointers and integers, or floats, as a kernel takes a struct with the array ``of`` of as many.

        It holds places and not the arrays: they are to live until the launch.
        """

    def kernel(
        self, file: str, name: str, defines: Defines = (), shared: int = 0, together: bool = False
    ) -> Launch:
        """The kernel ``name`` of the source ``file``, compiled at its first use.

        shared:   bytes of shared memory that each block is given besides its own arrays.
        together: whether the blocks of a launch wait for each other, so that all must be on the device at once: then a
                  launch of more than ``room`` of them raises ValueError.
        """

    def room(self, file: str, name: str, defines: Defines, threads: int, shared: int = 0) -> int:
        """How many blocks of so many threads of a kernel are on the device at once; 0 if not even one fits."""

    def architecture(self) -> int:
        """The compute capability that sources are compiled for: 80 for 8.0, 90 for 9.0."""

    def read(self, a: Array) -> list:
        """The numbers of a, as nested lists, once all is done that was asked before: this waits for the device."""

    def product(self, precision: str = "highest") -> Product:
        """How float32 matrices are multiplied: "highest" exactly, "high" by TF32, "medium" by bfloat16 operands."""

    def record(self, bind: Callable[[Product], Callable[[], None]], precision: str = "highest") -> Callable[[], None]:
        """A function that does once more what the function does that ``bind`` makes, at less cost.

        bind: gets a product that can be recorded, and makes all that its function will need. The function launches
              kernels and multiplies, always the same with the same arrays, and makes none. It is called at once, more
              often than once, and lives as long as the recording does.
        """

    def mark(self) -> Mark:
        """The end of what it has been asked so far."""

    def beside(self, function: Callable[[], T]) -> tuple[T, Mark]:
        """What ``function`` gives, which the device does after all so far but beside what it is asked from now on; and
        where that ends.

        Until somebody waits for this mark, all that is read lives, and nothing that is written is touched.
        """

    def place(self) -> tuple[int, bool]:
        """Which of the GPUs is the current one, and whether this is within ``beside``."""


def real(x: Array) -> Defines:
    """What a source that computes in x's dtype is compiled with."""
    return (("REAL", REALS[x.dtype.char]),)


def integer(name: str, x: Array) -> Defines:
    """What a source is compiled with whose ``name`` are integers as in x, of 32 or 64 bits."""
    return ((name, {4: "int", 8: "long long"}[x.dtype.itemsize]),)


def dense(a: Array) -> Array:
    """The numbers of ``a`` without gaps, in the order of its axes."""
    return a if a.flags.c_contiguous else a.copy(order="C")


def grid(count: int, threads: int = THREADS) -> tuple[int, int]:
    """The blocks, and the threads of each, that make at least ``count`` threads."""
    return -(-count // threads), threads


def check_shared(name: str, shared: int, most: int) -> None:
    """ValueError if a block of the kernel needs more shared memory than the device gives one."""
    if shared > most:
        raise ValueError(f"a block of {name} needs {shared} bytes of shared memory, and this GPU gives it {most}")


def check_room(name: str, blocks: int, threads: int, shared: int, room: int) -> None:
    """ValueError if blocks that wait for each other are not on the device at once."""
    if blocks > room:
        each = f"{threads} threads and {shared} bytes of shared memory"
        raise ValueError(f"{blocks} blocks of {name}, of {each}, wait for each other, and this GPU has room for {room}")
