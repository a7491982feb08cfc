"""The building holds: imports go down only, files stay short, optional libraries stay outside until asked for."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import subjects

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "xprnn"
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in FILES}
SOURCES = [path for folder in ("xprnn", "tests", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))]
COMPILED = [
    path
    for folder in ("xprnn", "tests")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".h", ".cpp", ".cuh", ".cu")
]
EACH = pytest.mark.parametrize("name", MODULES)

# The floor of every module and package directly in xprnn; a module may import from its own floor and those below.
FLOORS = {
    "types": 0, "arrays": 0, "libraries": 0, "backend": 0, "tree": 0, "random": 0, "initializers": 0, "ops": 0,
    "lengths": 0, "gpu": 0,
    "cells": 1,
    "kernels": 2,
    "scan": 3,
    "layers": 4, "losses": 4, "objectives": 4, "metrics": 4, "optimizers": 4,
    "training": 5,
    "model": 6, "stream": 6, "door": 6, "fitting": 6, "history": 6, "summary": 6, "io": 6, "nn": 6, "models": 6,
    "compiled": 6, "callbacks": 6,
    "cli": 7, "__main__": 7,
}  # fmt: skip
UNAWARE_OF_EACH_OTHER = ("layers", "losses", "metrics", "optimizers")
MAY_KNOW = [("metrics", "losses")]  # every loss can be reported
OUTSIDE = "testing"  # imports floors 0 to 4, and is imported by nobody

# Where work on the host is honest; everything else asks an array for its namespace.
NUMPY = ("types", "arrays", "random", "initializers", "backend", "libraries", "gpu", "models", "io", "cli", "testing")
NUMPY_ALONE = ("xprnn.kernels.notes", "xprnn.kernels.program", "xprnn.kernels.replay")
OPTIONAL = ("torch", "jax", "cupy", "cupyx", "array_api_strict", "matplotlib", "keras", "onnx", "onnxruntime", "h5py")


def parsed(name):
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def floor(name):
    """The floor of a module of xprnn by its full name."""
    top = name.split(".")[1]
    assert top in FLOORS, f"{name} has no floor: put {top!r} into FLOORS of {Path(__file__).name}"
    return FLOORS[top]


def imported(name):
    """The modules of xprnn that a module imports anywhere in it, functions included, by full name."""
    package = name.split(".") if MODULES[name].name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(parsed(name)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "xprnn")
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            if source.split(".")[0] == "xprnn":
                members = [f"{source}.{alias.name}" for alias in node.names]
                yield from (member if member in MODULES else source for member in members)


def at_module_level(tree):
    """The import statements that run when the module is imported."""
    for node in tree.body:
        for inner in [node, *getattr(node, "body", [])] if isinstance(node, ast.If | ast.Try) else [node]:
            if isinstance(inner, ast.Import):
                yield from (alias.name for alias in inner.names)
            elif isinstance(inner, ast.ImportFrom) and not inner.level:
                yield inner.module


@EACH
def test_imports_go_down_only(name):
    if name == "xprnn":
        return
    top = name.split(".")[1]
    assert top == OUTSIDE or floor(name) >= 0
    for other in imported(name):
        if other == "xprnn":
            assert floor(name) == 7, f"{name} imports from xprnn itself; import from the module that has it"
            continue
        where = other.split(".")[1]
        if top == OUTSIDE:
            assert where == OUTSIDE or floor(other) <= 4, f"{name} imports {other}, which is above the layers"
            continue
        assert where != OUTSIDE, f"{name} imports {other}, which is for tests only"
        assert floor(other) <= floor(name), f"{name} (floor {floor(name)}) imports {other} (floor {floor(other)})"
        aware = top != where and {top, where} <= set(UNAWARE_OF_EACH_OTHER) and (top, where) not in MAY_KNOW
        assert not aware, f"{name} imports {other}; layers, losses, metrics and optimizers know nothing of each other"


def test_the_package_itself_leaves_the_checks_outside():
    assert not [other for other in imported("xprnn") if other.startswith("xprnn.testing")]


@pytest.mark.parametrize("path", COMPILED, ids=lambda path: str(path.relative_to(ROOT)))
def test_lines_of_what_is_compiled_are_short(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > 120] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300, f"{path} has {len(text.splitlines())} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = node.end_lineno - node.lineno + 1
            assert length <= 50, f"{path}: {node.name} has {length} lines"


@EACH
def test_every_module_says_what_it_is(name):
    path = MODULES[name]
    assert ast.get_docstring(parsed(name)) or not path.read_text(encoding="utf-8").strip(), f"{name} has no docstring"


@EACH
def test_numpy_stays_where_host_work_is_honest(name):
    tree = parsed(name)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    uses = {alias.name.split(".")[0] for node in imports if isinstance(node, ast.Import) for alias in node.names}
    uses |= {node.module.split(".")[0] for node in imports if isinstance(node, ast.ImportFrom) and not node.level}
    if "numpy" in uses:
        assert name.split(".")[1] in NUMPY or name in NUMPY_ALONE, f"{name} imports NumPy"


@EACH
def test_optional_libraries_are_imported_when_asked_for(name):
    wrong = [module for module in at_module_level(parsed(name)) if module.split(".")[0] in OPTIONAL]
    assert not wrong, f"{name} imports {wrong} at module level; import it in the function that needs it"


def test_import_loads_no_other_array_library():
    code = f"import sys, xprnn; print([name for name in {OPTIONAL!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_doors_to_other_frameworks_are_there_when_asked_for():
    code = "import xprnn; print(*(getattr(xprnn.io, name).__name__ for name in ('keras', 'onnx', 'torch')))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["xprnn.io.keras", "xprnn.io.onnx", "xprnn.io.torch"]
    with pytest.raises(AttributeError, match="no attribute 'tensorflow'; there are keras, onnx, torch"):
        importlib.import_module("xprnn.io").tensorflow  # noqa: B018 (the look is what is tested)


def test_cells_know_no_masks_and_scan_no_cells():
    for file in (PACKAGE / "cells").glob("*.py"):
        assert "mask" not in file.read_text(encoding="utf-8").lower(), f"{file.name} speaks of masks"
    for word in ("lstm", "gru", "rnn("):
        assert word not in (PACKAGE / "scan.py").read_text(encoding="utf-8").lower()


@EACH
def test_nothing_is_left_undone(name):
    found = re.findall(
        r"\b(TODO|FIXME|XXX|HACK)\b|raise NotImplementedError$", MODULES[name].read_text(encoding="utf-8"), re.M
    )
    assert not found, f"{name} has {found}"
    for node in ast.walk(parsed(name)):
        if isinstance(node, ast.FunctionDef) and not any("abstract" in ast.unparse(d) for d in node.decorator_list):
            stub = isinstance(node.body[-1], ast.Pass)
            assert not stub, f"{name}.{node.name} does nothing"


def concrete(package):
    """The cells or layers of a package, in all its modules, but for the abstract ones and those with an underscore."""
    base = importlib.import_module(f"xprnn.{package}.base")
    kind = base.Cell if package == "cells" else base.Layer
    found = set()
    for name in MODULES:
        if name.startswith(f"xprnn.{package}."):
            values = vars(importlib.import_module(name)).values()
            found |= {c for c in values if isinstance(c, type) and issubclass(c, kind) and c.__module__ == name}
    return {c for c in found if not c.__abstractmethods__ and not c.__name__.startswith("_")}


def test_every_cell_is_public_and_under_the_laws():
    missing = concrete("cells") - {type(cell) for cell in subjects.CELLS.values()}
    assert not missing, f"put {missing} into CELLS of tests/subjects.py"
    assert {cell.__name__ for cell in concrete("cells")} <= set(importlib.import_module("xprnn.cells").__all__)


def test_every_layer_is_under_the_laws():
    missing = concrete("layers") - {type(layer) for layer, _ in subjects.LAYERS.values()}
    assert not missing, f"put {missing} into LAYERS of tests/subjects.py"


@pytest.mark.parametrize("package", ["losses", "metrics", "optimizers"])
def test_every_loss_metric_and_optimizer_has_a_test(package):
    loaded = importlib.import_module(f"xprnn.{package}")
    names = [name for name, value in vars(loaded).items() if callable(value) and not name.startswith("_")]
    home = [name for name in names if getattr(loaded, name).__module__.startswith(loaded.__name__)]
    public = [name for name in home if not inspect.isabstract(getattr(loaded, name))]
    tests = [file.read_text(encoding="utf-8") for file in sorted((ROOT / "tests").glob("test_*.py"))]
    missing = [
        name for name in public if not any(package in text and re.search(rf"\b{name}\b", text) for text in tests)
    ]
    assert public, f"xprnn.{package} makes nothing public"
    assert not missing, f"no test speaks of {missing} of xprnn.{package}"
