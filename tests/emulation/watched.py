"""Arrays whose device sees what NumPy does with them too: the order of work is looked at there as in kernels."""

import ctypes

import numpy as np

from . import Emulated
from .elsewhere import Elsewhere
from .order import memory


class Watched(np.ndarray):
    """An array of NumPy on the device of that order; what NumPy makes of it lies there too."""

    order = None

    def __array_finalize__(self, other):
        self.order = self.order or getattr(other, "order", None)

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        order = self.order or next(a.order for a in inputs if type(a) is Watched)
        if out is None:
            return made(order, ufunc.__name__, inputs, getattr(ufunc, method)(*plain(inputs), **options))
        order.do(ufunc.__name__, [*arrays(inputs), *plain(out)], lambda: getattr(ufunc, method)(
            *plain(inputs), out=plain(out), **options
        ))  # fmt: skip
        return out[0]

    def __array_function__(self, function, types, inputs, options):
        result = function(*plain(inputs), **plain(options))
        given = {id(memory(a)) for a in arrays(inputs)}
        if isinstance(result, np.ndarray) and id(memory(result)) in given:
            return watched(self.order, result)
        return made(self.order, function.__name__, inputs, result)

    def __setitem__(self, where, value):
        def write():
            plain(self)[where] = plain(value)

        self.order.do("an assignment", arrays((self, value)), write)


def watched(order, a):
    """The array, which has to be in that order."""
    a = a.view(Watched)
    a.order = order
    return a


def made(order, name, inputs, result):
    """What NumPy has made, as an array that the device makes now and writes to."""
    result = np.asarray(result)
    out = order.made(np.empty_like(result, order="C"))
    ctypes.memset(out.ctypes.data, 255, out.nbytes)  # so that whatever comes is seen to be written
    order.do(name, [*arrays(inputs), out], lambda: np.copyto(out, result))
    return watched(order, out)


def plain(a):
    """The same as NumPy's own arrays, within tuples, lists and dicts too."""
    if isinstance(a, tuple | list):
        return type(a)(map(plain, a))
    if isinstance(a, dict):
        return {name: plain(value) for name, value in a.items()}
    return a.view(np.ndarray) if type(a) is Watched else a


def arrays(inputs):
    """The arrays among these, as NumPy's own."""
    nested = [arrays(a) if isinstance(a, tuple | list) else [plain(a)] for a in inputs]
    return [a for some in nested for a in some if isinstance(a, np.ndarray)]


def OnWatched(emulated=None):
    """``Emulated`` over such arrays; those of NumPy's own count as arrays that lie there too."""
    emulated = emulated or Emulated()
    return Elsewhere(
        emulated, lambda a: isinstance(a, np.ndarray), lambda a: watched(emulated.order, a),
        lambda a: a.view(np.ndarray),
    )  # fmt: skip
