"""Keras 3's models, in and out: from Keras's own object, and from .keras files without Keras.

The layers are those of the Keras-shaped functions of ``xprnn.layers``; they keep Keras's names.
"""

from .read import from_model, load

__all__ = ["from_model", "load"]
