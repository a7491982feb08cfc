"""The emulated device over other arrays than NumPy's own, which show the same memory."""

from collections.abc import Callable
from dataclasses import dataclass

from . import Emulated
from .products import Products


@dataclass(frozen=True)
class Elsewhere:
    """``Emulated`` over arrays that are ``owned``: ``wrap`` makes one of NumPy's, ``unwrap`` is its reverse."""

    emulated: Emulated
    owned: Callable
    wrap: Callable
    unwrap: Callable

    def owns(self, x):
        return self.owned(x)

    def empty(self, shape, dtype):
        return self.wrap(self.emulated.empty(shape, dtype))

    def kernel(self, file, name, defines=()):
        launch = self.emulated.kernel(file, name, defines)
        return lambda blocks, threads, arguments: launch(blocks, threads, self._argument(arguments))

    def product(self, precision="highest"):
        return ProductsElsewhere(self.emulated.product(precision), self.unwrap)

    def _argument(self, a):
        return tuple(map(self._argument, a)) if type(a) is tuple else self.unwrap(a) if self.owned(a) else a


@dataclass(frozen=True)
class ProductsElsewhere:
    """``Products`` of such arrays."""

    products: Products
    unwrap: Callable

    def __call__(self, a, b, out, accumulate=False):
        self.products(*map(self.unwrap, (a, b, out)), accumulate)

    def each(self, a, b, out, accumulate=False):
        return self.products.each(*map(self.unwrap, (a, b, out)), accumulate)
