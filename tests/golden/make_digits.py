"""Train a torch and a Keras model on a real task, and keep what they make of data they have not seen.

    KERAS_BACKEND=torch python tests/golden/make_digits.py

scikit-learn's digits are 8×8 pictures of 0 to 16; a network reads one row by row, eight steps of eight numbers. In the
folder digits: torch.safetensors (ours, made of the torch module), torch.onnx (torch's own export), keras.keras (Keras's
own file), and test.npz with the pictures kept for testing, their labels, and the probabilities that both frameworks
give them. tests/test_digits.py runs the files where no framework can be imported.
"""

from pathlib import Path

import keras
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

import xprnn as xr

HERE = Path(__file__).parent / "digits"


class Reader(nn.Module):
    """A picture's rows, one after the other, to the logits of its digit."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(8, 32, batch_first=True)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


def train_torch(x, y):
    torch.manual_seed(0)
    module, x, y = Reader(), torch.from_numpy(x), torch.from_numpy(y)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    for _ in range(60):
        for rows in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(x[rows]), y[rows]).backward()
            optimizer.step()
    return module.eval()


def reader():
    """Keras's network: both ways over the rows first, then one way."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((None, 8)),
            layers.Bidirectional(layers.GRU(16, return_sequences=True)),
            layers.LayerNormalization(),
            layers.LSTM(24),
            layers.Dropout(0.1),
            layers.Dense(10, activation="softmax"),
        ]
    )


def train_keras(x, y):
    keras.utils.set_random_seed(0)
    model, bare = reader(), reader()
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=64, epochs=30, verbose=0)
    bare.set_weights(model.get_weights())  # without the optimizer, which is half of the file
    return bare


def main():
    pictures, labels = load_digits(return_X_y=True)
    pictures = pictures.reshape(-1, 8, 8).astype("uint8")
    train, test, y, y_test = train_test_split(pictures, labels, test_size=360, random_state=0, stratify=labels)
    x, x_test = (half.astype("float32") / 16 for half in (train, test))
    module, model = train_torch(x, y), train_keras(x, y)
    with torch.inference_mode():
        by_torch = module(torch.from_numpy(x_test)).softmax(-1).numpy()
    by_keras = np.asarray(model.predict(x_test, verbose=0))
    xr.io.torch.from_module(module, return_sequences=False).save(HERE / "torch.safetensors")
    sizes = {"x": {0: "batch"}, "y": {0: "batch"}}
    torch.onnx.export(
        module, (torch.zeros(1, 8, 8),), HERE / "torch.onnx", input_names=["x"], output_names=["y"],
        dynamic_axes=sizes, dynamo=False,
    )  # fmt: skip
    model.save(HERE / "keras.keras")
    accuracy = {name: np.mean(p.argmax(1) == y_test) for name, p in (("torch", by_torch), ("keras", by_keras))}
    np.savez_compressed(
        HERE / "test.npz", pictures=test, labels=y_test.astype("uint8"), torch=by_torch, keras=by_keras,
        torch_accuracy=accuracy["torch"], keras_accuracy=accuracy["keras"],
    )  # fmt: skip
    print(accuracy)
    for file in sorted(HERE.iterdir()):
        print(f"{file.name}: {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
