"""The loop kernel on NumPy beside NumPy written by hand with ``out=`` everywhere, and beside torch.nn if asked.

    python benchmarks/loop.py [--cases stream,charlm] [--cells LSTM] [--seconds 0.5] [--threads 1] [--torch] [--json]

All run in one process and take turns. A ratio is the peer's time over the loop's, the median over the rounds and its
quartiles: above 1 the loop is faster. Outputs and gradients of all are checked against float64 on 24 steps. Prints a
table in Markdown, or one JSON document: machine, versions, threads, BLAS and rows.
"""

import argparse
import ctypes
import json
import os
import platform
import statistics
import time
from pathlib import Path

# name: T, B, D, H
CASES = {
    "stream": (100, 1, 32, 64), "seedA": (250, 1, 32, 100), "seedA32": (250, 32, 32, 100),
    "charlm": (50, 50, 128, 128), "charlm512": (50, 50, 512, 512), "medium": (128, 64, 256, 512),
    "large": (16, 128, 1024, 1024), "longseq": (2000, 8, 64, 128),
}  # fmt: skip
CELLS = ("RNN", "LSTM", "GRU")

# BLAS reads these when NumPy is imported, so the number of threads is settled before.
parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--cases", default=",".join(CASES), help="which, with commas between")
parser.add_argument("--cells", default=",".join(CELLS), help="which, with commas between")
parser.add_argument("--seconds", type=float, default=0.4, help="at least so long for each contestant of a row")
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--torch", action="store_true", help="torch.nn too")
parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
options = parser.parse_args()
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = str(options.threads)

import handwritten  # noqa: E402
import numpy as np  # noqa: E402

from xprnn import cells, tree  # noqa: E402
from xprnn.kernels import loop  # noqa: E402

ROUNDS = 3  # at least
CHECKED = 24  # steps


class Loop:
    """The loop kernel."""

    def __init__(self, kind, p, x, s, dys):
        self.cell, self.given = getattr(cells, kind)(s[0].shape[1]), (p, x, s, dys)

    def forward(self):
        p, x, s, _ = self.given
        return loop.forward(self.cell, p, x, s, None, False, tape=False)[0]

    def train(self):
        p, x, s, dys = self.given
        ys, _, tape = loop.forward(self.cell, p, x, s, None, False)
        dx, ds, dp = loop.backward(self.cell, p, tape, dys, tuple(map(np.zeros_like, s)))
        return ys, {"x": dx, **dict(zip("hc", ds, strict=False)), **dp}


class Hand:
    """NumPy by hand."""

    def __init__(self, kind, *given):
        self.kind, self.given = kind, given

    def forward(self):
        return handwritten.FORWARD[self.kind](*self.given[:3])

    def train(self):
        return handwritten.TRAIN[self.kind](*self.given)


class Torch:
    """torch.nn."""

    def __init__(self, kind, p, x, s, dys):
        import torch

        torch.set_num_threads(options.threads)
        self.torch, self.module = torch, getattr(torch.nn, kind)(x.shape[2], s[0].shape[1])
        names = {"weight_ih_l0": p["Wx"].T, "weight_hh_l0": p["Wh"].T, "bias_ih_l0": p.get("bx", p.get("b"))}
        names["bias_hh_l0"] = p.get("bh", np.zeros_like(names["bias_ih_l0"]))
        self.module.load_state_dict({name: torch.tensor(a) for name, a in names.items()})
        self.x, self.dys, (h, *c) = torch.tensor(x), torch.tensor(dys), [torch.tensor(a)[None] for a in s]
        self.s = (h, *c) if c else h

    def forward(self):
        with self.torch.inference_mode():
            return self.module(self.x, self.s)[0].numpy()

    def train(self):
        self.module.zero_grad()
        leaf = self.x.detach().requires_grad_()
        y = self.module(leaf, self.s)[0]
        y.backward(self.dys)
        return y.detach().numpy(), {"x": leaf.grad.numpy()}


def drawn(kind, case):
    """Parameters, x, the initial state and the outputs' cotangents, float32."""
    (T, B, D, H), rng = CASES[case], np.random.default_rng(0)
    cell = getattr(cells, kind)(H)
    p = {name: rng.uniform(-1, 1, a.shape) / H**0.5 for name, a in cell.init(rng, D).items()}
    x, dys = rng.normal(size=(T, B, D)), rng.normal(size=(T, B, H))
    s = tuple(0.5 * rng.normal(size=(B, n)) for n in cell.state_sizes)
    return cast((p, x, s, dys), "float32")


def cast(given, dtype):
    return tree.map(lambda a: a.astype(dtype), given)


def check(makers, kind, given):
    """Raise unless all agree on the first steps with float64 as well as float32 can."""
    p, x, s, dys = given
    given = p, x[:CHECKED], s, dys[:CHECKED]
    ys, grads = Hand(kind, *cast(given, "float64")).train()
    for make in makers.values():
        one = make(kind, *given)
        met, found = one.train()
        for a, b in [(one.forward(), ys), (met, ys), *((a, grads[name]) for name, a in found.items())]:
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-4 * max(1.0, float(np.abs(b).max())))


def clocked(work, times):
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times


def take_turns(works):
    """The seconds of each piece of work in each round."""
    times = {name: max(1, int(0.02 / clocked(work, 1))) for name, work in works.items()}
    seconds, end = {name: [] for name in works}, time.perf_counter() + options.seconds * len(works)
    while len(seconds["loop"]) < ROUNDS or time.perf_counter() < end:
        for name, work in works.items():
            seconds[name].append(clocked(work, times[name]))
    return seconds


def rows():
    """One row for each cell, case and pass; printed as a table where that is wanted."""
    for kind in options.cells.split(","):
        for case in options.cases.split(","):
            given = drawn(kind, case)
            makers = {"loop": Loop, "hand": Hand} | ({"torch": Torch} if options.torch else {})
            check(makers, kind, given)
            contestants = {name: make(kind, *given) for name, make in makers.items()}
            for label, method in (("forward", "forward"), ("forward+backward", "train")):
                seconds = take_turns({name: getattr(one, method) for name, one in contestants.items()})
                row = {"cell": kind, "case": case, "sizes": CASES[case], "pass": label, "rounds": len(seconds["loop"])}
                row["ms"] = {name: 1e3 * statistics.median(values) for name, values in seconds.items()}
                row["ratio"] = {
                    name: statistics.quantiles([a / b for a, b in zip(values, seconds["loop"], strict=True)], n=4)
                    for name, values in seconds.items() if name != "loop"
                }  # fmt: skip
                yield row


def blas():
    """NumPy's BLAS, and the kernels that an OpenBLAS from a wheel has chosen."""
    library = np.show_config("dicts")["Build Dependencies"]["blas"]
    core = None
    for file in (Path(np.__file__).parents[1] / "numpy.libs").glob("*openblas*"):
        function = ctypes.CDLL(str(file)).scipy_openblas_get_corename64_
        function.restype = ctypes.c_char_p
        core = function().decode()
    return {"name": library["name"], "version": library["version"], "core": core}


def machine():
    name = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return {"processor": name, "cores": os.cpu_count(), "system": platform.system()}


def describe():
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    if options.torch:
        import torch

        versions["torch"] = torch.__version__
    return {"machine": machine(), "versions": versions, "threads": options.threads, "dtype": "float32", "blas": blas()}


def print_table(found):
    peers = ["hand"] + ["torch"] * options.torch
    ratios = [f"{peer} / loop | quartiles" for peer in peers]
    print(f"| {' | '.join(['cell', 'case', 'T × B × D × H', 'pass', 'loop ms', *ratios])} |")
    print(f"|---|---|---|---|---:|{'---:|---:|' * len(peers)}")
    for row in found:
        columns = [row["cell"], row["case"], " × ".join(map(str, row["sizes"])), row["pass"]]
        columns.append(f"{row['ms']['loop']:.2f}")
        for peer in peers:
            low, middle, high = row["ratio"][peer]
            columns += [f"{middle:.2f}", f"{low:.2f} to {high:.2f}"]
        print(f"| {' | '.join(columns)} |", flush=True)


def print_means(found):
    """Geometric means of hand / loop over the cases, for each cell and pass."""
    groups = {}
    for row in found:
        groups.setdefault((row["cell"], row["pass"]), []).append(row["ratio"]["hand"][1])
    for (kind, label), values in groups.items():
        print(f"* {kind} {label}: {statistics.geometric_mean(values):.2f}")


def main():
    document = describe()
    if options.json:
        print(json.dumps(document | {"rows": list(rows())}, indent=1))
        return
    print(json.dumps(document), end="\n\n")
    found = list(rows())
    print_table(found)
    print("\nGeometric means of hand / loop over the cases:\n")
    print_means(found)


if __name__ == "__main__":
    main()
