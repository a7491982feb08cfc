"""One step at a time at a batch of one: xprnn's Stream, torch.nn and onnxruntime; beside it a whole sequence at once.

    python benchmarks/streaming.py [--rounds 21] [--quick] [--json]

Every call is timed by itself, in blocks of a sequence of 1,000 steps in which all take turns; the first block warms up.
All outputs of all calls are held to the textbook's cells in float64. One thread on one core; whole sequences also with
two threads each, in a process of its own. Needs torch and onnxruntime (pip install '.[peers]').
"""

import argparse
import json
import os
import statistics
import time

import machine

STEPS, WALKS = 1000, 5  # of a sequence; how often a whole one is gone over in a turn


def xprnn_steps(job):
    """A walk over x (T, 1, D) for a user of ``Model.stream``: it makes the steps, and gives how to take one."""
    import contestants

    stream = contestants.xprnn_model(job).stream()

    def begin():
        stream.reset()
        return stream

    return (lambda x: list(x[:, 0])), begin


def torch_steps(job, one_step):
    """The same for torch: the layer with one step, or its cell."""
    import contestants
    import torch

    layer = contestants.torch_layer(job, one_step)
    empty = torch.zeros((1, job.sizes.H) if one_step else (1, 1, job.sizes.H))

    def begin():
        state = (empty, empty) if job.cell == "LSTM" else empty

        def of_layer(x_t):
            nonlocal state
            y, state = layer(x_t, state)
            return y

        def of_cell(x_t):
            nonlocal state
            state = layer(x_t, state)
            return state[0] if job.cell == "LSTM" else state

        return of_cell if one_step else of_layer

    return (lambda x: [torch.from_numpy(x_t if one_step else x_t[None]) for x_t in x]), begin


def onnxruntime_steps(job):
    """The same for onnxruntime: a session that takes the state and gives it back."""
    import contestants
    import numpy as np

    states = ("h", "c") if job.cell == "LSTM" else ("h",)
    session = contestants.onnx_session(job, 1, states)
    empty = np.zeros((1, 1, job.sizes.H), "float32")

    def begin():
        state = dict.fromkeys(states, empty)

        def step(x_t):
            nonlocal state
            y, *ends = session.run(None, {"x": x_t} | state)
            state = dict(zip(states, ends, strict=True))
            return y

        return step

    return (lambda x: [x_t[None] for x_t in x]), begin


def steps(job):
    """All that go step by step."""
    return {
        "xprnn": xprnn_steps(job),
        "torch, layer": torch_steps(job, False),
        "torch, cell": torch_steps(job, True),
        "onnxruntime": onnxruntime_steps(job),
    }


def walk(begin, inputs):
    """The nanoseconds of each step, and their outputs."""
    step, nanoseconds, outputs = begin(), [], []
    for x_t in inputs:
        start = time.perf_counter_ns()
        y = step(x_t)
        nanoseconds.append(time.perf_counter_ns() - start)
        outputs.append(y)
    return nanoseconds, outputs


def single_steps(job, x, right, rounds):
    """The microseconds of every call, by who was called."""
    import cases
    import numpy as np

    sides = steps(job)
    inputs = {name: make(x) for name, (make, _) in sides.items()}
    times = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides) if number % 2 else reversed(sides):
            nanoseconds, outputs = walk(sides[name][1], inputs[name])
            cases.check(cases.Answer(np.stack([np.asarray(y).reshape(1, -1) for y in outputs])), right)
            if number:
                times[name] += nanoseconds
    return {name: [value / 1e3 for value in values] for name, values in times.items()}


def whole_sequences(job, x, right, rounds, threads):
    """The microseconds of a step of a whole sequence, by who computed it, round by round, each after calls unseen."""
    import cases
    import contestants
    import duel

    sides = {name: getattr(contestants, name)(job, threads).infer for name in ("xprnn", "torch", "onnxruntime")}
    question, times = cases.Question(x, None), {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides) if number % 2 else reversed(sides):
            time.sleep(duel.PAUSE[threads > 1])
            for _ in range(WALKS):
                sides[name](question)
            start = time.perf_counter()
            for _ in range(WALKS):
                answer = sides[name](question)
            times[name].append((time.perf_counter() - start) / WALKS / STEPS * 1e6)
            cases.check(answer, right)
    return {name: values[1:] for name, values in times.items()}


def measure(cell, rounds, threads):
    """The figures for a cell of all tables that so many threads are for."""
    import cases
    import numpy as np
    import textbook
    import torch

    torch.set_num_threads(threads)
    job = cases.job(cell, "stream")
    job = job._replace(sizes=job.sizes._replace(T=STEPS))
    x = cases.question(job.sizes, 0).x
    weights = {name: a.astype("float64") for name, a in job.weights.items()}
    right = cases.Answer(textbook.forward(cell, weights, x.astype("float64"))[0])
    with torch.inference_mode():
        whole = whole_sequences(job, x, right, rounds, threads)
        single = single_steps(job, x, right, rounds) if threads == 1 else {}
    found = {
        f"whole sequence, threads: {threads}": {
            name: machine.spread(values) | {"ratio": machine.ratios(values, whole["xprnn"])}
            for name, values in whole.items()
        }
    }
    if single:
        middle = statistics.median(single["xprnn"])
        found["single steps"] = {
            name: {
                "calls": len(values), "median": statistics.median(values), "99 %": float(np.percentile(values, 99)),
                "ratio": statistics.median(values) / middle,
            }
            for name, values in single.items()
        }  # fmt: skip
    return found


def clock():
    """The microseconds that timing takes: they are in each single call's time."""
    return statistics.median(walk(lambda: lambda x_t: x_t, range(10_000))[0]) / 1e3


def markdown(found, seconds):
    """Both tables."""
    rows, more = [], []
    for cell, one in found.items():
        for name, a in one["single steps"].items():
            rows.append([cell, name, f"{a['median']:.2f}", f"{a['99 %']:.2f}", f"{a['ratio']:.1f}"])
        alone, two = (one[f"whole sequence, threads: {threads}"] for threads in (1, 2))
        for name in alone:
            each = ((f"{a['median']:.3f}", machine.shown(a["ratio"])) for a in (alone[name], two[name]))
            more.append([cell, name, *(text for pair in each for text in pair)])
    calls = next(iter(found.values()))["single steps"]["xprnn"]["calls"]
    single = machine.table(["cell", "one step a call", "median, µs", "99 %, µs", "by xprnn's"], rows)
    heads = ["µs a step, one thread", "by xprnn's", "two threads", "by xprnn's"]
    whole = machine.table(["cell", f"a sequence of {STEPS:,} steps a call", *heads], more)
    return (
        f"A batch of one, 32 features, 64 units, float32; one step a call with one thread, {calls:,} calls of each, "
        f"every one timed, the clock's own {seconds:.2f} µs included.\n\n{single}\n\n{whole}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=21, help=f"blocks of {STEPS:,} calls of each, 2 or more")
    parser.add_argument("--quick", action="store_true", help="three blocks")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    parser.add_argument("--two-threads", action="store_true", help="print JSON of whole sequences on two threads alone")
    options = parser.parse_args()
    rounds, threads = 3 if options.quick else options.rounds, 2 if options.two_threads else 1
    found = {}
    if threads == 1:
        found = machine.child(__file__, ["--two-threads", "--rounds", rounds], 2)
        os.environ |= machine.threads(1)
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import cases

    found = {cell: measure(cell, rounds, threads) | found.get(cell, {}) for cell in cases.CELLS}
    if threads == 2:
        print(json.dumps(found))
    else:
        machine.tell({"clock": clock(), "cells": found}, markdown(found, clock()), options.json)


if __name__ == "__main__":
    main()
