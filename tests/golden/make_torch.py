"""Make tests/golden/torch with PyTorch: state_dicts in .safetensors files, and what PyTorch computes with them.

    python tests/golden/make_torch.py

Beside each NAME.safetensors stands NAME.npz: x, lengths, y, and for the loss sum(y · dy) the gradients dx and
"grad." + the weight's name. Everything is computed in float64, on PyTorch 2.13.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

FOLDER = Path(__file__).parent / "torch"
LENGTHS = [5, 2, 1]


class Projected(nn.Module):
    """Two projected LSTMs in both directions, and a linear layer."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 3, 2, bidirectional=True, proj_size=2)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(packed(self.rnn, x))


class Tokens(nn.Sequential):
    """Token ids, a GRU in both directions, and scores."""

    def __init__(self):
        super().__init__(nn.Embedding(7, 3), nn.GRU(3, 4, bidirectional=True), nn.LayerNorm(8), nn.Linear(8, 3))

    def forward(self, ids):
        return self[3](self[2](packed(self[1], self[0](ids))))


class Last(nn.Module):
    """A cell over time, a network with relu and without biases, and its last output."""

    def __init__(self):
        super().__init__()
        self.cell = nn.LSTMCell(3, 4)
        self.rnn = nn.RNN(4, 2, nonlinearity="relu", bias=False)

    def forward(self, x):
        state, outputs = None, []
        for t in range(x.shape[1]):  # what it makes of padding is packed away
            state = self.cell(x[:, t], state)
            outputs.append(state[0])
        return packed(self.rnn, torch.stack(outputs, dim=1), last=True)


def packed(rnn, x, last=False):
    """The outputs of sequences of ``LENGTHS``, (B, T, n), or the last ones (B, n)."""
    out, h_n = rnn(nn.utils.rnn.pack_padded_sequence(x.swapaxes(0, 1), LENGTHS))
    return h_n[-1] if last else nn.utils.rnn.pad_packed_sequence(out)[0].swapaxes(0, 1)


def make(name, module, dtype):
    """Write both files; the weights are those of ``dtype``."""
    module = module.to(dtype)
    save_file(module.state_dict(), FOLDER / f"{name}.safetensors")
    module = module.double()
    rng = np.random.default_rng(0)
    real = np.arange(5) < np.array(LENGTHS)[:, None]
    x = torch.tensor(rng.integers(0, 7, (3, 5)) if name == "tokens" else rng.normal(size=(3, 5, 3)))
    x.requires_grad_(name != "tokens")
    y = module(x)
    dy = rng.normal(size=tuple(y.shape)) * (real[..., None] if y.ndim == 3 else 1)
    torch.sum(y * torch.tensor(dy)).backward()
    found = {"x": x, "y": y, "dy": dy, "lengths": LENGTHS} | ({} if x.grad is None else {"dx": x.grad})
    found |= {f"grad.{weight}": a.grad for weight, a in module.named_parameters()}
    arrays = {key: a.detach().numpy() if isinstance(a, torch.Tensor) else np.asarray(a) for key, a in found.items()}
    np.savez_compressed(FOLDER / f"{name}.npz", **arrays)


if __name__ == "__main__":
    torch.manual_seed(0)
    FOLDER.mkdir(exist_ok=True)
    make("projected", Projected(), torch.float64)
    make("tokens", Tokens(), torch.float32)
    make("last", Last(), torch.bfloat16)
