"""Keras 3's models, in and out: from Keras's own object, and from .keras files without Keras.

    model = from_model(keras_model)       a model from Keras's, with its weights
    model = load("poet.keras")            the same from a file, with h5py alone; nothing in it is run
    to_model(model, keras_model)          weights back, bit for bit
    save(model, "poet.keras")             a file for Keras, 3.0 or later

The layers are those of the Keras-shaped functions of ``xprnn.layers``, under Keras's names. A Sequential can be had,
and a Functional model that is one chain; whatever is not here, or not Keras's own, is refused by name. What only
training there would use is left behind: initializers, regularizers, constraints, the optimizer and the loss.

Where Keras's backends differ from each other, or Keras from what is here:

    padding   A masked step leaves the state alone, and its output is 0 here. In Keras it is the output before it; where
              there is none, 0, but on JAX the initial state. Layers after it ignore it; those of Keras's
              that do not are refused after a mask: GlobalMaxPooling1D, Softmax, and go_backwards with return_sequences,
              of which Keras turns the outputs round but not the mask. A row without a real step has 0 as its last
              output, and as its mean, which is NaN in Keras. A mask given to a call goes through an Embedding here.
    float64   is float64 here. Without TensorFlow, Keras rounds products of float64 to float32; on PyTorch LSTM, and GRU
              with reset_after, escape that where no step is masked.
    stateful  is taken and changes nothing: ``Model.forward`` takes and gives states, ``Model.stream`` keeps one.
    dropout   of inputs is a layer of its own; one mask serves all gates and both directions.
    steps     Any number of them will do, whatever the model's input says.
"""

from .read import from_model, load
from .write import save, to_model

__all__ = ["from_model", "load", "save", "to_model"]
