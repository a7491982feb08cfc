"""A trained model in a process of its own: import, load 10 MB, predict once, print. xprnn on NumPy beside frameworks.

    python benchmarks/deploy.py [--repeats 11] [--install] [--output benchmarks/results/deploy]

Each library gets the same weights in its own format and the same input; all outputs are held to torch's (1e-4). Each
run is a new process; the libraries take turns. Measured from outside: seconds until the output is there, and the most
memory the process ever held (its ru_maxrss). torch is needed (pip install '.[peers]'); onnxruntime and Keras join in
where they are installed. This process imports neither: on Linux a child's ru_maxrss begins with its parent's.
"""

import argparse
import importlib.util
import itertools
import json
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import machine

CHILD = Path(__file__).with_name("deploy_child.py")
ENVIRONMENT = machine.compiled(1) | {"KERAS_BACKEND": "torch"}
STAGES = ("import", "load", "predict")
TORCH = "torch==2.13.0"
INSTALLS = {"xprnn": ["."], "torch": [TORCH, "numpy"], "onnxruntime": ["onnxruntime"], "keras": ["keras", TORCH]}
LIBRARIES = ("xprnn", "torch", "onnxruntime", "keras")
FEATURES, HIDDEN, OUTPUTS, STEPS = 128, 448, 10, 50
TOLERANCE = 1e-4
DESCRIPTION = f"LSTM {FEATURES} → {HIDDEN} → {HIDDEN}, last output, Dense {OUTPUTS}; {STEPS} steps, batch 1, float32"


def make(folder, libraries):
    """Write one random model in the format of each library, and an input."""
    import numpy as np
    import torch

    import xprnn as xr
    from xprnn.io import keras

    layers = xr.LSTM(HIDDEN, num_layers=2, return_sequences=False), xr.Dense(OUTPUTS)
    model = xr.Model(xr.Sequential(*layers, names=("rnn", "head")), input_shape=(None, FEATURES))
    model.save(f"{folder}/model.safetensors")
    np.save(f"{folder}/x.npy", np.random.default_rng(0).normal(size=(1, STEPS, FEATURES)).astype("float32"))
    state = {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in xr.io.torch.state_dict(model).items()}
    torch.save(state, f"{folder}/model.pt")
    if "onnxruntime" in libraries:
        model.save_onnx(f"{folder}/model.onnx")
    if "keras" in libraries:
        keras.save(model, f"{folder}/model.keras")


def once(library, folder):
    """Start a process -> what it printed, with the seconds until then and its peak memory in MB."""
    line, seconds, megabytes = machine.first_line([sys.executable, CHILD, library, folder], ENVIRONMENT)
    return json.loads(line) | {"seconds": seconds, "megabytes": megabytes}


def check(outputs):
    """Raise unless all libraries gave torch's numbers."""
    wanted = outputs["torch"]
    for library, met in outputs.items():
        error = max(abs(a - b) for a, b in zip(met, wanted, strict=True))
        if not error <= TOLERANCE:
            raise SystemExit(f"{library} differs from torch by {error:.1e}")


def measure(libraries, folder, repeats):
    """All runs of each library; the first of each, which warms up the disk's cache, is not among them."""
    runs = {library: [] for library in libraries}
    for n in range(repeats + 1):
        latest = {library: once(library, folder) for library in libraries}
        check({library: run["y"] for library, run in latest.items()})
        for library, run in latest.items():
            if n:
                runs[library].append(run)
        print(f"round {n}/{repeats}", file=sys.stderr)
    return runs


def summarize(runs):
    """Medians, ranges, and the median of each round's ratio to xprnn."""
    found = {}
    for library, mine in runs.items():
        numbers = {}
        for what in ("seconds", "megabytes"):
            values = [run[what] for run in mine]
            ratios = [a[what] / b[what] for a, b in zip(mine, runs["xprnn"], strict=True)]
            numbers[what] = {"median": statistics.median(values), "least": min(values), "most": max(values)}
            numbers[what]["to xprnn"] = statistics.median(ratios)
        ends = [[0.0, *run["stages"].values()] for run in mine]
        lasted = [[b - a for a, b in itertools.pairwise(one)] for one in ends]
        numbers["stages"] = dict(zip(STAGES, map(statistics.median, zip(*lasted, strict=True)), strict=True))
        found[library] = numbers
    return found


def installed(library):
    """The megabytes that ``pip install`` puts into an empty folder, dependencies and compiled files included."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        shutil.copytree(machine.ROOT / "xprnn", source / "xprnn", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
            shutil.copy(machine.ROOT / name, source)
        wanted = [str(source) if name == "." else name for name in INSTALLS[library]]
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-cache-dir", "--target", f"{folder}/there"]
        subprocess.run([*pip, *wanted], check=True)
        return sum(path.stat().st_size for path in (Path(folder) / "there").rglob("*") if path.is_file()) / 1e6


def spread(numbers, digits):
    """A median with the least and the most, and how it compares with xprnn's."""
    middle, least, most = (f"{numbers[name]:.{digits}f}" for name in ("median", "least", "most"))
    return [f"{middle} ({least}–{most})", f"{numbers['to xprnn']:.1f}"]


def markdown(about, found):
    """The result as a page."""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines = [
        f"# A process that loads a model and predicts once, {about['date']}", "",
        f"`{about['command']}` on {about['machine']}, Python {about['python']}; {versions}; one thread.",
        f"The model: {about['model']}, {about['bytes'] / 1e6:.1f} MB. Each library reads it in its own format.",
        f"{about['repeats']} processes of each, taking turns, after one that warms up the disk's cache; every output "
        f"is within {TOLERANCE:g} of torch's.",
        "Medians (least–most); × is the median of each round's ratio to xprnn. Memory is the process's ru_maxrss.",
        "Keras computes with torch. Installed is what `pip install` puts into an empty folder, with dependencies.", "",
        "| | to first output, s | × | peak memory, MB | × | import, s | load, s | predict, s | installed, MB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    for library, numbers in found.items():
        row = [library, *spread(numbers["seconds"], 2), *spread(numbers["megabytes"], 0)]
        row += [f"{numbers['stages'][stage]:.3f}" for stage in STAGES]
        row += [f"{numbers['installed']:.0f}" if "installed" in numbers else "-"]
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--install", action="store_true", help="measure also what pip installs; it downloads gigabytes")
    parser.add_argument("--output", type=Path, help="write OUTPUT.json and OUTPUT.md")
    options = parser.parse_args()
    libraries = [name for name in LIBRARIES if name == "xprnn" or importlib.util.find_spec(name)]
    with tempfile.TemporaryDirectory() as folder:
        code = f"import deploy; deploy.make({folder!r}, {libraries!r})"
        subprocess.run([sys.executable, "-c", code], cwd=CHILD.parent, env=ENVIRONMENT, check=True)
        size = (Path(folder) / "model.safetensors").stat().st_size
        found = summarize(measure(libraries, folder, options.repeats))
    for library in libraries if options.install else ():
        found[library]["installed"] = installed(library)
    command = " ".join(["python benchmarks/deploy.py", *sys.argv[1:]])
    about = {
        "date": time.strftime("%Y-%m-%d"), "command": command,
        "machine": f"{machine.processor()}, {machine.cores()} cores",
        "python": platform.python_version(), "repeats": options.repeats, "bytes": size,
        "model": DESCRIPTION, "versions": {name: metadata.version(name) for name in ("numpy", *libraries[1:])},
    }  # fmt: skip
    page = markdown(about, found)
    print(page, end="")
    if options.output:
        options.output.with_suffix(".json").write_text(json.dumps(about | {"found": found}, indent=1) + "\n")
        options.output.with_suffix(".md").write_text(page)


if __name__ == "__main__":
    main()
