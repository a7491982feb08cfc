"""How the time and the memory of training grow with T, B and H, with and without checkpointing (``segment=``).

    python benchmarks/growth.py [--rounds 5] [--quick] [--json]

The work is one update of a recurrent layer with a Dense of 10 behind it, at its last output or at all: forward, loss,
backward, Adam. At the last output ``segment=`` is the layer's; at all, which are as long as time, it is that of
training, so that outputs and losses too are there for some steps at a time. Memory is the peak of the resident set
above what was there before the update, with model and data; each in a process of its own, on Linux. Times are taken in
one process in which all take turns. Slopes are of straight lines through logarithms: 1 is growth in proportion. One
thread.
"""

import argparse
import json
import math
import os
import statistics
import time
from typing import NamedTuple

import machine

CLASSES = 10


class Setting(NamedTuple):
    """A layer of ``cell`` over T steps of B rows with D features, H units; outputs at "last" or "all" steps."""

    cell: str = "LSTM"
    T: int = 2000
    B: int = 8
    D: int = 32
    H: int = 128
    outputs: str = "last"
    segment: int | None = None

    @property
    def checkpointed(self):
        """The same in pieces of √T."""
        return self._replace(segment=round(self.T**0.5))


AXES = {
    "T": [Setting(T=T) for T in (1250, 2500, 5000, 10000, 20000)],
    "B": [Setting(B=B) for B in (1, 2, 4, 8, 16)],
    "H": [Setting(H=H) for H in (32, 64, 128, 256, 512)],
}
LONG = [
    Setting(T=20000), Setting("GRU", T=20000), Setting(T=20000, D=128), Setting(T=20000, B=1, H=64),
    Setting(T=20000, B=1), Setting(T=20000, outputs="all"),
]  # fmt: skip


def prepare(setting):
    """A function that makes one update."""
    import numpy as np

    import xprnn as xr

    layer = {"LSTM": xr.LSTM, "GRU": xr.GRU, "RNN": xr.RNN}[setting.cell]
    last = setting.outputs == "last"
    of_layer, of_training = (setting.segment, None) if last else (None, setting.segment)
    layers = layer(setting.H, return_sequences=not last, segment=of_layer), xr.Dense(CLASSES)
    model = xr.Model(xr.Sequential(*layers), input_shape=(None, setting.D))
    rng = np.random.default_rng(0)
    x = rng.standard_normal((setting.B, setting.T, setting.D), dtype="float32")
    y = rng.integers(CLASSES, size=(setting.B,) if last else (setting.B, setting.T))

    def update():
        training = model.training(
            x, y, loss="cross_entropy", optimizer=xr.Adam(1e-3), batch_size=setting.B, segment=of_training
        )
        return [report.loss for report in training]

    return update


def peak(setting):
    """The megabytes that an update needs at its peak; a short one goes before, for what is made once."""
    prepare(setting._replace(T=10, segment=setting.segment and 4))()
    return machine.peak_of(prepare(setting))


def memory(setting):
    """``peak`` in a process of its own."""
    return machine.child(__file__, ["--child", json.dumps(setting)], 1)


def times(settings, rounds):
    """The seconds of an update of each setting, round by round, all taking turns; the first round warms up."""
    updates, seconds = [prepare(setting) for setting in settings], []
    for number in range(rounds + 1):
        row = {}
        for place in range(len(updates))[:: 1 if number % 2 else -1]:
            start = time.perf_counter()
            updates[place]()
            row[place] = time.perf_counter() - start
        seconds.append([row[place] for place in range(len(updates))])
    return [list(column) for column in zip(*seconds[1:], strict=True)]


def slope(sizes, values):
    """The slope of the straight line that comes closest to the points (log size, log value)."""
    return statistics.linear_regression([math.log(a) for a in sizes], [math.log(a) for a in values]).slope


def axis(name, settings, rounds):
    """The figures along one axis, whole and checkpointed, with their slopes."""
    sizes, found = [getattr(setting, name) for setting in settings], {}
    for way, ways in (("whole", settings), ("checkpointed", [setting.checkpointed for setting in settings])):
        seconds = [statistics.median(values) for values in times(ways, rounds)]
        megabytes = [memory(setting) for setting in ways]
        found[way] = {
            "seconds": seconds, "megabytes": megabytes, "slope of seconds": slope(sizes, seconds),
            "slope of megabytes": slope(sizes, megabytes),
        }  # fmt: skip
    return {"setting": settings[0]._asdict(), "sizes": sizes} | found


def compare(setting, rounds):
    """An update over a long sequence, whole and checkpointed."""
    ways = [setting, setting.checkpointed]
    seconds, megabytes = times(ways, rounds), [memory(way) for way in ways]
    return {
        "setting": ways[1]._asdict(), "megabytes": megabytes, "less memory": megabytes[0] / megabytes[1],
        "seconds": [machine.spread(values) for values in seconds],
        "more time": machine.ratios(seconds[1], seconds[0]),
    }  # fmt: skip


def markdown(found):
    """Both tables."""
    rows = []
    for name, one in found["axes"].items():
        sizes, fixed = one["sizes"], {other: one["setting"][other] for other in "TBH" if other != name}
        where = f"{name} from {sizes[0]:,} to {sizes[-1]:,}; " + ", ".join(f"{k} {v:,}" for k, v in fixed.items())
        for way in ("whole", "checkpointed"):
            a = one[way]
            row = [f"{a['slope of seconds']:.2f}", f"{a['seconds'][0]:.3f} → {a['seconds'][-1]:.3f}"]
            row += [f"{a['slope of megabytes']:.2f}", f"{a['megabytes'][0]:.1f} → {a['megabytes'][-1]:.1f}"]
            rows.append([where, way, *row])
    grown = machine.table(["LSTM, last output", "", "slope of time", "s", "slope of memory", "MB"], rows)
    rows = []
    for one in found["long"]:
        a = one["setting"]
        where = f"{a['cell']} {a['H']}, {a['outputs']} outputs, batch {a['B']}, {a['D']} features"
        sizes = [f"{value:.1f}" for value in one["megabytes"]] + [f"{one['less memory']:.0f}"]
        seconds = [f"{spread['median']:.2f}" for spread in one["seconds"]] + [machine.shown(one["more time"])]
        rows.append([where, a["segment"], *sizes, *seconds])
    header = [f"{a['T']:,} steps", "segment", "whole, MB", "pieces, MB", "÷", "whole, s", "pieces, s", "×"]
    return f"One update, float32, one thread; checkpointed in pieces of √T.\n\n{grown}\n\n{machine.table(header, rows)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round over short sequences")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(peak(Setting(*options.child)))
        return
    os.environ |= machine.threads(1)
    shorter, rounds = (20, 1) if options.quick else (1, options.rounds)
    axes = {name: [one._replace(T=one.T // shorter) for one in settings] for name, settings in AXES.items()}
    found = {
        "axes": {name: axis(name, settings, min(rounds, 3)) for name, settings in axes.items()},
        "long": [compare(one._replace(T=one.T // shorter), rounds) for one in LONG],
    }
    machine.tell(found, markdown(found), options.json)


if __name__ == "__main__":
    main()
