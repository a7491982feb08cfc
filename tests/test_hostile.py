"""Files made to hurt: each is refused with one clear error, in little memory and time, and nothing else happens."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
READING = HERE / "hostile" / "reading.py"
MAKERS: dict[str, tuple[str, ...]] = {"arrays": (), "own": ()}

if not sys.platform.startswith("linux"):
    pytest.skip("memory is limited by what Linux has for that", allow_module_level=True)


def read(reader, paths):
    """What came of reading each path, in order."""
    found = os.pathsep.join([str(HERE.parent), str(HERE)])
    done = subprocess.run(
        [sys.executable, str(READING), reader], env=os.environ | {"PYTHONPATH": found, "OMP_NUM_THREADS": "1"},
        input=json.dumps([str(path) for path in paths]), capture_output=True, text=True, timeout=300,
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


def faults(path, told):
    """What is wrong with a refusal."""
    words = told.get("message", "")
    wrong = [] if told["outcome"] == "FileError" else [f"{told['outcome']}: {words or told.get('result')}"]
    wrong += [] if str(path) in words else [f"the file is not named: {words}"]
    wrong += [] if len(words) < 1500 else [f"an error of {len(words)} characters"]
    wrong += [] if words.isprintable() else [f"an error that no terminal shows: {words!r}"]
    wrong += ["it took more memory than there was"] if "MemoryError" in words else []
    return wrong + [f"it did {deed}" for deed in told.get("done", ())]


@pytest.mark.parametrize("name", MAKERS)
def test_each_is_refused_and_nothing_else_happens(name, tmp_path):
    found = outcomes(maker(name).files(), tmp_path)
    wrong = {name: faults(path, told) for name, (path, told) in found.items()}
    assert not {name: why for name, why in wrong.items() if why}


@pytest.mark.parametrize("name", MAKERS)
def test_good_ones_of_the_same_makers_are_read(name, tmp_path):
    found = outcomes(maker(name).good(), tmp_path)
    assert not {name: told for name, (_, told) in found.items() if told["outcome"] != "read" or told["done"]}
