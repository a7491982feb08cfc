"""Which way of dividing a layer is the fastest: each that fits, for those walks of the kernel for GPUs that have any.

``sweep`` tells what each takes for a step, there or back, and whether its numbers are those of the walk by steps.
What it writes is what ``Cluster`` and ``Grid`` are given: FILE.json has, by walk, precision, units and rows of the
batch, the fields of the fastest, which ``fastest`` reads.
"""

import functools
import itertools
import json
import time
from typing import Any, NamedTuple

import gpu_duel
import gpu_place
import machine
import numpy as np
from gpu_plan import BATCH, FLOAT32, HIDDEN, MODES, walks
from gpu_plan import Case as Network
from report import compact

from xprnn import cells, tree
from xprnn.backend import backend
from xprnn.kernels import cuda, cuda_cluster, cuda_grid, loop
from xprnn.kernels.cuda_tiling import Tiling
from xprnn.scan import scan, scan_vjp

STEPS, REPEATS = 512, 5
THREADS, SHARED = 512, 227 * 1024  # of a block, at most: so that a thread has 128 registers, and what a Hopper GPU has
# As parts of the largest number: what the precision costs, a few times.
TOLERANCES = {"highest": 1e-4, "high": 1e-2, "medium": 1e-1}


class Way(NamedTuple):
    """A way of dividing: the walk that has it, there or back ("both" where one has to serve both), and its fields."""

    walk: str
    way: str
    fields: dict
    made: Any


class Task(NamedTuple):
    """A size for which the fastest is looked for."""

    walk: str
    mode: str
    H: int
    B: int

    def __str__(self) -> str:
        return f"{self.walk}: LSTM H={self.H} B={self.B} {self.mode}"


def tasks():
    """All sizes of the benchmark's table, for each walk that can be divided."""
    sizes = itertools.product(HIDDEN, FLOAT32, BATCH)
    found = [(Network("LSTM", STEPS, B, H, H), mode) for H, mode, B in sizes]
    return [Task(walk, mode, case.H, case.B) for case, mode in found for walk in walks(case) if walk in WAYS]


def clusters(precision, H):
    """The tilings of a cluster's walk, with which a block fits."""
    kind, exact = cuda.kind_of(cells.LSTM(H)), precision == "highest"
    rows, tiles = ((1, 4, 8, 16), (2,)) if exact else ((8, 16), (1, 2, 4))
    for values in itertools.product((4, 8, 16), rows, (1, 2, 4, 8, 16), tiles, (16, 32)):
        tiling = Tiling(*values)
        for way, plan in (("forward", cuda_cluster.plan_there), ("backward", cuda_cluster.plan_back)):
            took = plan(tiling, precision, kind, (), H)
            if 8 * tiling.cluster <= H and THREADS // 4 <= took.threads <= THREADS and took.shared <= SHARED:
                yield Way("cluster", way, tiling._asdict(), cuda_cluster.Cluster(**{way: tiling}))


def grids(precision, H):
    """The forms of the walk of the whole GPU; which of them have room, the GPU knows."""
    for units, rows, warps, held in itertools.product(cuda_grid.UNITS, (8, 16, 32, 64), (8, 16), (16, 32)):
        if 8 * units <= 32 * warps:
            fields = {"units": units, "rows": rows, "warps": warps, "held": held}
            yield Way("grid", "both", fields, cuda_grid.Grid(**fields))


WAYS = {"cluster": clusters, "grid": grids}


@functools.lru_cache(maxsize=1)
def inputs(H, B, T, place):
    """Parameters, input, state and cotangents on the device, which they fill: only the last are kept."""
    cell, rng, there = cells.LSTM(H), np.random.default_rng(0), backend(place.backend, "float32")
    x, dys = rng.normal(size=(2, T, B, H))
    s, ds = (tuple(rng.normal(size=(2, B, H))) for _ in range(2))
    return tree.map(there.asarray, (cell.init(rng, H), x, s, dys, ds))


def measured(task, way, place, dry):
    """Microseconds of a step in that way; raises ValueError where its numbers are not those of the walk by steps."""
    cell, precision, T = cells.LSTM(task.H), MODES[task.mode].precision, 3 if dry else STEPS
    p, x, s, dys, ds = inputs(task.H, task.B, T, place)
    kernel, plain = (loop, loop) if dry else (cuda.CUDA(precision, walk=way.made), cuda.CUDA(precision))
    if not dry and not kernel.accepts(cell, x, None):
        raise ValueError("refused")
    (y, end, tape), (right, last, before) = (scan(cell, p, x, s, kernel=each) for each in (kernel, plain))
    _close([y, *end], [right, *last], TOLERANCES[precision])
    met, wanted = scan_vjp(cell, p, tape, dys, ds), scan_vjp(cell, p, before, dys, ds)
    _close(tree.leaves(met), tree.leaves(wanted), TOLERANCES[precision])

    def work():
        if way.way == "backward":
            return scan_vjp(cell, p, tape, dys, ds)
        _, _, kept = scan(cell, p, x, s, kernel=kernel)
        return scan_vjp(cell, p, kept, dys, ds) if way.way == "both" else None

    work()
    place.wait()
    return 1e6 / T * min(place.clock(work)[0] for _ in range(1 if dry else REPEATS))


def _close(met, wanted, tolerance):
    for a, b in zip(met, wanted, strict=True):
        worst = float(abs(a - b).max() / abs(b).max())
        if not worst <= tolerance:
            raise ValueError(f"wrong by {worst:.1e}")


def sweep(place, last, dry=False):
    """For each task that is begun before ``last`` all its ways, with microseconds of a step or why there are none."""
    for number, task in enumerate(tasks()):
        if time.time() >= last:
            return
        ways = list(WAYS[task.walk](MODES[task.mode].precision, task.H))
        small = task._replace(H=6, B=3) if dry else task
        found = []
        for way in {way.way: way for way in ways}.values() if dry else ways:
            took, problem = gpu_duel.attempt(place, measured, small, way, place, dry)
            found.append({"way": way.way, "fields": way.fields, "microseconds": took, "problem": problem})
        yield number, task, found


def best(found):
    """By way the fields of the fastest of those that were right."""
    good = sorted((one for one in found if one["microseconds"] is not None), key=lambda one: -one["microseconds"])
    return {one["way"]: one["fields"] for one in good}


def fastest(result, walk, precision, H, B):
    """The walk as the result of a sweep has it the fastest for this size."""
    chosen = result["fastest"][f"{walk} {precision} H={H} B={B}"]
    if walk == "grid":
        return cuda_grid.Grid(**chosen["both"])
    return cuda_cluster.Cluster(**{way: Tiling(**fields) for way, fields in chosen.items()})


def write(result, path):
    """Write path.json, and path.md with the fastest of each task."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_text(compact(result) + "\n")
    lines = [[f"{name}, {way}", fields] for name, ways in result["fastest"].items() for way, fields in ways.items()]
    shown = [[name, ", ".join(f"{field} {value}" for field, value in fields.items())] for name, fields in lines]
    gone = "\n".join(f"* {name}" for name in result["not reached"])
    dry = "A dry run: what is the fastest here says nothing.\n\n" if result["dry run"] else ""
    table = machine.table(["", ""], shown)
    text = f"# The fastest ways of dividing a layer on {result['gpu']['device']}\n\n{dry}{table}"
    path.with_suffix(".md").write_text(f"{text}\n\n## Not reached: {len(result['not reached'])}\n\n{gone}\n")


def main(output, minutes, dry):
    """Sweep for so long, writing after each task what there is by then."""
    place = gpu_place.cpu() if dry else gpu_place.gpu()
    last, every = time.time() + 60 * minutes, tasks()
    result = {"machine": machine.describe(), "gpu": gpu_place.describe(place), "dry run": dry}
    result |= {"fastest": {}, "all": {}, "not reached": list(map(str, every))}
    write(result, output)
    for number, task, found in sweep(place, last, dry):
        result["fastest"][f"{task.walk} {MODES[task.mode].precision} H={task.H} B={task.B}"] = best(found)
        result["all"][str(task)] = found
        result["not reached"] = [str(each) for each in every[number + 1 :]]
        write(result, output)
    print(json.dumps({"tasks": len(result["all"]), "not reached": len(result["not reached"])}))
