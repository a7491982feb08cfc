"""Files made to hurt: each is refused with one clear error, in little memory and time, and nothing else happens."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hostile import damage

HERE = Path(__file__).resolve().parent
MAKERS: dict[str, tuple[str, ...]] = {
    "arrays": (), "own": (), "keras": ("h5py",), "onnx_graphs": ("onnx",),
}  # fmt: skip
# Good files to damage: of which maker, by which name.
OWN = {"safetensors": ("own", "safetensors"), "npz": ("own", "npz")}
OTHERS = {
    "torch": ("arrays", "safetensors: two"), "arrays": ("arrays", "npz: one"), "array": ("arrays", "npy: one"),
    "keras": ("keras", "as it is"), "onnx": ("onnx_graphs", "outside"),
}  # fmt: skip

if not sys.platform.startswith("linux"):
    pytest.skip("memory is limited by what Linux has for that", allow_module_level=True)


def read(reader, paths):
    """What came of reading each path, in order."""
    done = subprocess.run(
        [sys.executable, "-m", "hostile.reading", reader], cwd=HERE, timeout=300,
        env=os.environ | {"PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1"},
        input=json.dumps([str(path) for path in paths]), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def listing(folder):
    """All that is in a folder: names, kinds, sizes and times of writing."""
    found = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        found[str(path.relative_to(folder))] = about.st_mode, about.st_size, about.st_mtime_ns
    return found


def made(files, folder):
    """Each file in a folder of its own -> the paths by name."""
    paths = {}
    for number, (name, file) in enumerate(files.items()):
        home = folder / str(number)
        home.mkdir()
        paths[name] = file.put(home)
    return paths


def outcomes(files, folder):
    """What came of reading each file: by name, its path and the outcome. Nothing in ``folder`` may have changed."""
    paths, found = made(files, folder), {}
    before = listing(folder)
    for reader in dict.fromkeys(file.reader for file in files.values()):
        names = [name for name in files if files[name].reader == reader]
        results = read(reader, [paths[name] for name in names])
        found |= {name: (paths[name], result) for name, result in zip(names, results, strict=True)}
    assert listing(folder) == before
    return found


def maker(name):
    for package in MAKERS[name]:
        pytest.importorskip(package)
    return importlib.import_module(f"hostile.{name}")


def faults(path, told, may_read=False):
    """What is wrong with a refusal, and with what went on meanwhile."""
    words, wrong = told.get("message", ""), [f"it did {deed}" for deed in told.get("done", ())]
    if may_read and told["outcome"] == "read":
        return wrong
    wrong += [] if told["outcome"] == "FileError" else [f"{told['outcome']}: {words or told.get('result')}"]
    wrong += [] if str(path) in words else [f"the file is not named: {words}"]
    wrong += [] if len(words) < 1500 else [f"an error of {len(words)} characters"]
    wrong += [] if words.isprintable() else [f"an error that no terminal shows: {words!r}"]
    return wrong + (["it took more memory than there was"] if "MemoryError" in words else [])


def check(found, may_read=False):
    """Raise unless all was well with each."""
    wrong = {name: faults(path, told, may_read) for name, (path, told) in found.items()}
    assert not {name: why for name, why in wrong.items() if why}


@pytest.mark.parametrize("name", MAKERS)
def test_each_is_refused_and_nothing_else_happens(name, tmp_path):
    check(outcomes(maker(name).files(), tmp_path))


def test_what_is_computed_while_reading_takes_little(tmp_path):
    check(outcomes(maker("onnx_graphs").bounded(), tmp_path), may_read=True)


@pytest.mark.parametrize("name", MAKERS)
def test_good_ones_of_the_same_makers_are_read(name, tmp_path):
    found = outcomes(maker(name).good(), tmp_path)
    assert not {name: told for name, (_, told) in found.items() if told["outcome"] != "read" or told["done"]}


def damaged(place, folder, share=1):
    """What came of reading a good file with something wrong in it at random, many times."""
    name, kind = place
    return outcomes(damage.files(maker(name).good()[kind], np.random.default_rng(0), share), folder)


@pytest.mark.parametrize("name", OWN)
def test_whatever_happened_to_a_model_is_noticed(name, tmp_path):
    found = damaged(OWN[name], tmp_path)
    check(found)
    assert sum(name.startswith("flipped") for name in found) == 200


@pytest.mark.parametrize("name", OTHERS)
def test_no_damage_does_more_than_change_numbers(name, tmp_path):
    check(damaged(OTHERS[name], tmp_path, share=2), may_read=True)
