"""The loop kernel beside torch.nn on a CPU: forward, and forward with backward, as ratios of medians.

    python benchmarks/loop.py [--repeats 7] [--threads 1]

Both run in one process and take turns; inputs are fresh in each round; every timed output is checked against the loop
in float64. A ratio above 1 says that the loop on NumPy is faster. Needs torch (pip install '.[peers]').
"""

import argparse
import os
import statistics
import time

# BLAS reads these when NumPy is imported, so the number of threads is settled before.
parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--repeats", type=int, default=7)
parser.add_argument("--threads", type=int, default=1)
options = parser.parse_args()
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = str(options.threads)

import numpy as np  # noqa: E402
import torch  # noqa: E402

import xprnn as xr  # noqa: E402

# name: T, B, D, H
CASES = {"stream": (100, 1, 32, 64), "charlm": (50, 50, 128, 128), "medium": (128, 64, 256, 512)}
CELLS = {"RNN": xr.nn.RNN, "LSTM": xr.nn.LSTM, "GRU": xr.nn.GRU}


def clocked(work):
    """The seconds that ``work`` takes, and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def ours(rnn, x, dy, backward):
    if not backward:
        return rnn(x)[0], None
    y, _, pullback = rnn.vjp(x)
    return y, pullback(dy)[0]


def theirs(rnn, x, dy, backward):
    if not backward:
        with torch.inference_mode():
            return rnn(torch.from_numpy(x))[0].numpy(), None
    leaf = torch.from_numpy(x).requires_grad_()
    rnn.zero_grad()
    y = rnn(leaf)[0]
    y.backward(torch.from_numpy(dy))
    return y.detach().numpy(), leaf.grad.numpy()


def check(met, wanted):
    """Raise unless ``met`` (y, dx) is ``wanted`` as well as float32 can be."""
    for a, b in zip(met, wanted, strict=True):
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=0, atol=2e-4 * max(1.0, float(np.abs(b).max())))


def compare(kind, case, backward):
    """The median ratio of torch's time to ours, and both medians in seconds."""
    T, B, D, H = CASES[case]
    exact, here = (CELLS[kind](D, H, dtype=dtype) for dtype in ("float64", "float32"))
    there = getattr(torch.nn, kind)(D, H)
    there.load_state_dict({name: torch.from_numpy(a) for name, a in here.state_dict().items()})
    rng, times = np.random.default_rng(0), []
    for _ in range(options.repeats + 1):
        x, dy = (rng.normal(size=size).astype("float32") for size in [(T, B, D), (T, B, H)])
        wanted = ours(exact, x.astype("float64"), dy.astype("float64"), backward)
        pair = []
        for run, rnn in ((theirs, there), (ours, here)):
            seconds, result = clocked(lambda: run(rnn, x, dy, backward))  # noqa: B023 (called at once)
            check(result, wanted)
            pair.append(seconds)
        times.append(pair)
    del times[0]  # it warms up
    torch_time, loop_time = (statistics.median(side) for side in zip(*times, strict=True))
    return statistics.median(a / b for a, b in times), torch_time, loop_time


def main():
    torch.set_num_threads(options.threads)
    print(f"NumPy {np.__version__}, torch {torch.__version__}, {options.threads} thread(s), float32")
    print("| cell | case | T × B × D × H | pass | torch ms | loop ms | torch / loop |")
    print("|---|---|---|---|---:|---:|---:|")
    for kind in CELLS:
        for case, sizes in CASES.items():
            for backward in (False, True):
                ratio, torch_time, loop_time = compare(kind, case, backward)
                passes = "forward+backward" if backward else "forward"
                columns = [kind, case, " × ".join(map(str, sizes)), passes]
                columns += [f"{1e3 * torch_time:.2f}", f"{1e3 * loop_time:.2f}", f"{ratio:.2f}"]
                print(f"| {' | '.join(columns)} |")


if __name__ == "__main__":
    main()
