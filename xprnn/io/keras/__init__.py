"""Keras 3's models, in and out: from Keras's own object, and from .keras files without Keras.

    model = from_model(keras_model)       a model from Keras's, with its weights
    model = load("poet.keras")            the same from a file, with h5py alone; nothing in it is run
    to_model(model, keras_model)          weights back, bit for bit
    save(model, "poet.keras")             a file for Keras

The layers are those of the Keras-shaped functions of ``xprnn.layers``, under Keras's names.
"""

from .read import from_model, load
from .write import save, to_model

__all__ = ["from_model", "load", "save", "to_model"]
