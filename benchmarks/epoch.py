"""An epoch of ``xprnn train`` beside the same training in torch: model, weights, text, batches, optimizer, clipping.

    python benchmarks/epoch.py [--threads 1 2] [--rounds 12] [--quick] [--json]

Both train in one process, a process for each number of threads, and take turns in blocks of updates; the mean losses
after every update must agree. torch's way is the usual one: nn.GRU with its state carried on, cross_entropy,
clip_grad_norm_, Adam with a LambdaLR. A ratio above 1 says that xprnn is faster. Needs torch (pip install '.[peers]').
"""

import argparse
import json
import time

import machine

BLOCK = 5  # updates of a turn
TOLERANCE = 1e-3  # of the losses: float32, and rounding grows from update to update


def network(character_model):
    """The model in torch, with the same weights."""
    import numpy as np
    import torch
    from torch import nn

    from xprnn.backend import to_numpy
    from xprnn.io import torch as door

    chosen, vocab = character_model.options, len(character_model.vocabulary)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(vocab, chosen.embedding)
            self.gru = nn.GRU(chosen.embedding, chosen.hidden[0], batch_first=True)
            self.dense = nn.Linear(chosen.hidden[0], vocab)

        def forward(self, x, h=None):
            y, h = self.gru(self.embedding(x), h)
            return self.dense(y), h

    model, state = Network(), to_numpy(door.state_dict(character_model.model))
    model.load_state_dict({name: torch.from_numpy(np.array(a)) for name, a in state.items()})
    return model


def theirs(model, chosen, x, y, rate, device):
    """torch's training: the epoch's mean loss so far, after each update."""
    import torch
    from torch.nn import functional

    model = model.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    x, y = (torch.from_numpy(a).long().to(device) for a in (x, y))
    total, steps, h = 0.0, 0, None
    for start in range(0, x.shape[1], chosen.chunk):
        inputs, targets = x[:, start : start + chosen.chunk], y[:, start : start + chosen.chunk]
        optimizer.zero_grad()
        logits, h = model(inputs, h)
        loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), chosen.clip)
        optimizer.step()
        schedule.step()
        h = h.detach()
        total, steps = total + loss.item() * inputs.shape[1], steps + inputs.shape[1]
        yield total / steps


def ours(train, character_model, x, y):
    """The same from ``xprnn train``'s own updates."""
    for update in train.updates(character_model, x, y, False):
        yield update.loss


def turns(count, rounds, backend="numpy", device="cpu"):
    """The seconds of an update in each round's turn, xprnn's and torch's; the first round warms up.

    rounds: None for as many as make an epoch. backend and device: where xprnn and torch train.
    """
    import torch

    from xprnn.cli import charlm, text, threads, train
    from xprnn.cli.options import Options
    from xprnn.optimizers import schedules

    torch.set_num_threads(count)
    chosen, words = Options(backend=backend), text.read(None)
    character_model = charlm.build(chosen, words, text.vocabulary(words))
    x, y = text.rows(text.encode(text.split(words).training, character_model.vocabulary), chosen.batch)
    updates = -(-x.shape[1] // chosen.chunk)
    rate = schedules.Cosine(chosen.learning_rate, chosen.epochs * updates, train.WARMUP)
    model = network(character_model)  # with the weights as they are before any training
    rounds = updates // BLOCK - 1 if rounds is None else rounds
    sides = {"torch": theirs(model, chosen, x, y, rate, device), "xprnn": ours(train, character_model, x, y)}
    seconds, worst = {name: [] for name in sides}, 0.0
    with threads.limited(1):  # as xprnn train does it: only the kernel has threads
        for number in range(rounds + 1):
            losses = {}
            for name in list(sides) if number % 2 else reversed(sides):
                begin = time.perf_counter()
                losses[name] = [next(sides[name]) for _ in range(BLOCK)]
                seconds[name].append((time.perf_counter() - begin) / BLOCK)
            worst = max(worst, *(abs(a / b - 1) for a, b in zip(*losses.values(), strict=True)))
    if not worst <= TOLERANCE:
        raise SystemExit(f"the losses differ by {worst:.1e}: it is not the same training")
    seconds = {name: values[1:] for name, values in seconds.items()}
    return {
        "model": f"{train.name(chosen)}, {character_model.model.count_params():,} parameters",
        "update": f"{chosen.batch} rows of {chosen.chunk} characters", "updates of an epoch": updates,
        "updates compared": (rounds + 1) * BLOCK, "losses differ by": worst,
        "seconds of an update": {name: machine.spread(values) for name, values in seconds.items()},
        "ratio": machine.ratios(seconds["torch"], seconds["xprnn"]),
    }  # fmt: skip


def markdown(found, column="threads"):
    """The result as a table, with a row for each key of ``found``, whose ``column`` has this name."""
    first, rows = next(iter(found.values())), []
    for count, one in found.items():
        medians = [one["seconds of an update"][name]["median"] for name in ("torch", "xprnn")]
        row = [count, *(f"{1e3 * a:.2f}" for a in medians)]
        rows.append([*row, *(f"{a * one['updates of an epoch']:.1f}" for a in medians), machine.shown(one["ratio"])])
    columns = [f"{name}, {what}" for what in ("ms an update", "s an epoch") for name in ("torch", "xprnn")]
    table = machine.table([column, *columns, "ratio"], rows)
    return (
        f"`xprnn train` on its own text: {first['model']}; an update is {first['update']}, an epoch "
        f"{first['updates of an epoch']:,} updates. The ratio is torch's time by xprnn's, with its quarters; over "
        f"{first['updates compared']} updates the losses differ by at most {first['losses differ by']:.1e} of their "
        f"size.\n\n{table}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=40, help=f"turns of {BLOCK} updates of each")
    parser.add_argument("--quick", action="store_true", help="two rounds")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    rounds = 2 if options.quick else options.rounds
    if options.child:
        print(json.dumps(turns(options.threads[0], rounds)))
        return
    arguments = ["--child", "--rounds", rounds, "--threads"]
    found = {count: machine.child(__file__, [*arguments, count], count) for count in options.threads}
    machine.tell(found, markdown(found), options.json)


if __name__ == "__main__":
    main()
