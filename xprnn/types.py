"""The words of the library: what the arrays and trees that travel through it are called.

``p``      parameters: a dict of arrays, or a dict of such dicts; gradients have the same keys, shapes, dtype and device
``x, y``   input and output: (B, T, D) at the door, (T, B, D) in the engine
``u``      the drive: what ``project`` makes of x; all that a step sees of the outside
``s``      state: a flat tuple of (B, n) arrays, the first of which is the output
``saved``  what the forward step leaves for the way back
``k``      the coefficients of the linear step back
``delta``  what ``project_vjp`` needs of each step
``tape``   what a whole reverse needs; opaque to everyone but its maker
``da``     the cotangent of ``a``, same shape as ``a``
``T B D H G V``  time, batch, features in, hidden, drive width (gates × H), vocabulary
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.random import Generator
else:  # NumPy imports it when something is drawn, which running a trained model does not do
    Generator = Any

Array = Any
Namespace = Any
Params = dict[str, Any]
State = Any
Shape = tuple[int | None, ...]
Step = Callable[[Params, Array, State], tuple[Array, State]]  # p, x (B, D), the state -> y, the next state
Sizes = tuple[Any, ...]  # nested tuples of ints: the structure of a state, with the width of each leaf

__all__ = ["Array", "Generator", "Namespace", "Params", "Shape", "Sizes", "State", "Step"]
