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

    def struct(self, values):
        return self.emulated.struct(self._unwrapped(values))

    def kernel(self, file, name, defines=(), shared=0, together=False):
        launch = self.emulated.kernel(file, name, defines, shared, together)
        return lambda blocks, threads, arguments: launch(blocks, threads, self._unwrapped(arguments))

    def room(self, file, name, defines, threads, shared=0):
        return self.emulated.room(file, name, defines, threads, shared)

    def architecture(self):
        return self.emulated.architecture()

    def read(self, a):
        return self.emulated.read(self.unwrap(a))

    def product(self, precision="highest"):
        return ProductsElsewhere(self.emulated.product(precision), self.unwrap)

    def record(self, bind, precision="highest"):
        return self.emulated.record(lambda product: bind(ProductsElsewhere(product, self.unwrap)), precision)

    def beside(self, function):
        return self.emulated.beside(function)

    def mark(self):
        return self.emulated.mark()

    def place(self):
        return self.emulated.place()

    def _unwrapped(self, values):
        return tuple(self.unwrap(a) if self.owned(a) else a for a in values)


@dataclass(frozen=True)
class ProductsElsewhere:
    """``Products`` of such arrays."""

    products: Products
    unwrap: Callable

    def __call__(self, a, b, out, accumulate=False):
        self.products(*map(self.unwrap, (a, b, out)), accumulate)

    def each(self, a, b, out, accumulate=False):
        return self.products.each(*map(self.unwrap, (a, b, out)), accumulate)
