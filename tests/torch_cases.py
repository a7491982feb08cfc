"""Random modules of PyTorch's, and what PyTorch makes of them: ragged batches, and last outputs."""

from collections import OrderedDict

import numpy as np
import torch
from torch import nn

ACTIVATIONS = (
    nn.Tanh(), nn.Sigmoid(), nn.ReLU(), nn.LeakyReLU(), nn.LeakyReLU(0.3), nn.ELU(), nn.ELU(0.7), nn.SELU(), nn.SiLU(),
    nn.GELU(), nn.GELU("tanh"), nn.Softplus(), nn.Softsign(), nn.Hardtanh(), nn.Softmax(dim=-1), nn.Identity(),
    nn.Dropout(0.5),
)  # fmt: skip
RECURRENT = (nn.RNN, nn.LSTM, nn.GRU)
CELLS = (nn.RNNCell, nn.LSTMCell, nn.GRUCell)


class Net(nn.Module):
    """Children under names of one's own, called in order."""

    def __init__(self, children):
        super().__init__()
        for n, child in enumerate(children):
            setattr(self, f"stage{n}", child)

    def forward(self, x):
        raise AssertionError("it is ``run`` that calls the children")


def size(rng, most=6):
    """1 to ``most``, small sizes more often."""
    return int(rng.integers(1, rng.integers(1, most + 1) + 1))


def coin(rng, chance=0.5):
    return bool(rng.random() < chance)


def recurrent(rng, features):
    """An RNN, LSTM or GRU with options of all kinds, in float64, and the number of features that come out."""
    kind, hidden = RECURRENT[rng.integers(3)], size(rng)
    options = {
        "num_layers": int(rng.integers(1, 4)), "bias": coin(rng, 0.7), "bidirectional": coin(rng),
        "batch_first": coin(rng), "dropout": 0.0,
    }  # fmt: skip
    if kind is nn.RNN:
        options["nonlinearity"] = ("tanh", "relu")[rng.integers(2)]
    if kind is nn.LSTM and hidden > 1 and coin(rng):
        options["proj_size"] = int(rng.integers(1, hidden))
    module = kind(features, hidden, dtype=torch.float64, **options)
    return module, (module.proj_size or hidden) * (1 + module.bidirectional)


def cell(rng, features):
    kind, hidden = CELLS[rng.integers(3)], size(rng)
    options = {"nonlinearity": ("tanh", "relu")[rng.integers(2)]} if kind is nn.RNNCell else {}
    return kind(features, hidden, bias=coin(rng, 0.7), dtype=torch.float64, **options), hidden


def linear(rng, features):
    units = size(rng)
    return nn.Linear(features, units, bias=coin(rng, 0.7), dtype=torch.float64), units


def norm(rng, features):
    options = {"elementwise_affine": coin(rng, 0.7), "bias": coin(rng, 0.7), "eps": float(rng.choice([1e-5, 1e-2]))}
    module = nn.LayerNorm(features, dtype=torch.float64, **options)
    with torch.no_grad():
        for a in module.parameters():
            a.copy_(torch.from_numpy(rng.normal(size=tuple(a.shape))))
    return module, features


def activation(rng, features):
    return ACTIVATIONS[rng.integers(len(ACTIVATIONS))], features


def shared(rng, features):
    """One linear layer in two places."""
    module, bend = nn.Linear(features, features, dtype=torch.float64), nn.Tanh()
    return nn.Sequential(module, bend, module), features


def block(rng, features):
    """A Sequential of two or three, named or numbered."""
    children = []
    for _ in range(rng.integers(2, 4)):
        child, features = (linear, norm, activation, recurrent)[rng.integers(4)](rng, features)
        children.append(child)
    names = {f"part{n}": child for n, child in enumerate(children)}
    return (nn.Sequential(OrderedDict(names)) if coin(rng) else nn.Sequential(*children)), features


KINDS = (recurrent, recurrent, cell, linear, norm, activation, activation, shared, block)


def chain(seed):
    """A module of 1 to 6 stages -> module, the number of its features or None for token ids, has it a recurrent one."""
    rng = np.random.default_rng([7, seed])
    torch.manual_seed(seed)
    features = size(rng)
    children, wanted = [], features
    if coin(rng, 0.3):
        children.append(nn.Embedding(9, features, padding_idx=0 if coin(rng) else None, dtype=torch.float64))
        wanted = None
    for _ in range(rng.integers(1, 6)):
        child, features = KINDS[rng.integers(len(KINDS))](rng, features)
        children.append(child)
    if wanted and not any(list(child.parameters()) for child in children):
        children.insert(0, nn.Linear(wanted, wanted, dtype=torch.float64))
    if len(children) == 1 and coin(rng):
        module = children[0]
    else:
        module = (Net, nn.ModuleList, lambda found: nn.Sequential(*found))[rng.integers(3)](children)
    last = any(isinstance(m, RECURRENT + CELLS) for m in module.modules())
    return module.eval(), wanted, last


def leaves(module):
    """The modules in order, those that stand twice twice."""
    children = [m for name, m in module.named_modules(remove_duplicate=False) if name and "." not in name]
    if not children:
        yield module
    for child in children:
        yield from leaves(child)


def run(module, x, lengths, sequences=True):
    """PyTorch's y for x (B, T, D) or (B, T) ids and lengths; else of each sequence's last recurrent output alone."""
    stages = list(leaves(module))
    ends = [n for n, m in enumerate(stages) if isinstance(m, RECURRENT + CELLS)]
    for n, m in enumerate(stages):
        if isinstance(m, RECURRENT + CELLS):
            x, last = (over_time if isinstance(m, CELLS) else packed)(m, x, lengths)
            x = x if sequences or n != ends[-1] else last
        else:
            x = m(x)
    return x


def packed(module, x, lengths):
    """The outputs (B, T, H) and the last ones (B, H), of each direction its own."""
    first = module.batch_first
    inputs = nn.utils.rnn.pack_padded_sequence(x if first else x.swapaxes(0, 1), lengths, first, enforce_sorted=False)
    out, h_n = module(inputs)
    out = nn.utils.rnn.pad_packed_sequence(out, first, total_length=x.shape[1])[0]
    h_n = h_n[0] if isinstance(module, nn.LSTM) else h_n
    last = h_n[-1] if not module.bidirectional else torch.cat([h_n[-2], h_n[-1]], dim=-1)
    return (out if first else out.swapaxes(0, 1)), last


def over_time(module, x, lengths):
    """A cell called step by step; a sequence that is over keeps its state."""
    zeros = torch.zeros(x.shape[0], module.hidden_size, dtype=x.dtype)
    state = (zeros, zeros) if isinstance(module, nn.LSTMCell) else (zeros,)
    outputs = []
    for t in range(x.shape[1]):
        fresh = module(x[:, t], state if len(state) > 1 else state[0])
        real = torch.tensor([[t < n] for n in lengths])
        state = tuple(
            torch.where(real, new, old) for new, old in zip(fresh if len(state) > 1 else (fresh,), state, strict=True)
        )
        outputs.append(state[0])
    return torch.stack(outputs, dim=1), state[0]
