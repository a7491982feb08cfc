"""What it takes to begin: the seconds and the memory of an import, and the peak memory of one training step.

    python benchmarks/starting.py [--repeats 9] [--quick] [--json]

Every import is in a new process, in which all take turns; the first round warms up the disk's cache. Memory of an
import is the process's ru_maxrss. Memory of a step, forward and backward of an LSTM as in the table of cpu.py, is the
peak above what was there before it, with weights and input, in processes of their own, on Linux. One thread.
"""

import argparse
import importlib.util
import sys

import machine

LIBRARIES = ("numpy", "xprnn", "onnxruntime", "jax", "torch")
CODE = """
import time
begin = time.perf_counter()
import {}
print(time.perf_counter() - begin)
"""
CASES = ("charlm", "medium")


def imported(library):
    """The seconds of an import, and the peak memory of its process in MB."""
    line, _, megabytes = machine.first_line([sys.executable, "-c", CODE.format(library)], machine.compiled(1))
    return float(line), megabytes


def imports(libraries, repeats):
    """The spread of both for each library, and the median of each round's ratio to xprnn."""
    runs = {library: [] for library in libraries}
    for number in range(repeats + 1):
        for library in libraries if number % 2 else libraries[::-1]:
            run = imported(library)
            if number:
                runs[library].append(run)
    columns = {library: list(zip(*values, strict=True)) for library, values in runs.items()}
    ours = columns["xprnn"]
    return {
        library: {
            name: machine.spread(values) | {"to xprnn": machine.ratios(values, mine)}
            for name, values, mine in zip(("seconds", "megabytes"), theirs, ours, strict=True)
        }
        for library, theirs in columns.items()
    }


def step(library, case):
    """The megabytes that a training step needs; a short one goes before, for what is made once."""
    import cases
    import contestants

    job = cases.job("LSTM", case)
    train, question = getattr(contestants, library)(job, 1).train, cases.question(job.sizes, 0)
    train(cases.Question(question.x[:2], question.dy[:2]))
    return machine.peak_of(lambda: train(question))


def markdown(found):
    """Both tables."""
    rows = []
    for library, one in found["imports"].items():
        seconds, megabytes = one["seconds"], one["megabytes"]
        row = [library, machine.shown(seconds, 3), f"{seconds['to xprnn']['median']:.2f}"]
        rows.append([*row, f"{megabytes['median']:.0f}", f"{megabytes['to xprnn']['median']:.2f}"])
    begun = machine.table(["import", "s", "by xprnn's", "peak, MB", "by xprnn's"], rows)
    rows = [[case, *(f"{value:.1f}" for value in one.values())] for case, one in found["steps"].items()]
    header = ["training step of an LSTM", *(f"{library}, MB" for library in next(iter(found["steps"].values())))]
    return f"{begun}\n\n{machine.table(header, rows)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="two imports of each")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(step(*options.child))
        return
    libraries = [name for name in LIBRARIES if name == "xprnn" or importlib.util.find_spec(name)]
    peers = [name for name in ("xprnn", "torch") if name in libraries]
    found = {
        "imports": imports(libraries, 2 if options.quick else options.repeats),
        "steps": {
            case: {peer: machine.child(__file__, ["--child", peer, case], 1) for peer in peers} for case in CASES
        },
    }
    machine.tell(found, markdown(found), options.json)


if __name__ == "__main__":
    main()
