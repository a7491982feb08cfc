"""Fixtures that run a test on every backend there is, and the option that makes one of them a must."""

import os
import sys
import tempfile
from importlib import metadata

import pytest
import rows

# Workers, and what tests start, keep in one folder what takes long to make; it goes with the run.
KEPT = tempfile.TemporaryDirectory(prefix="xprnn-kept-")
os.environ.setdefault("XPRNN_KEPT", KEPT.name)


def prepare_jax(version):
    """Set what JAX reads when it is imported; ``version`` is jaxlib's, or empty."""
    os.environ.setdefault("JAX_ENABLE_X64", "1")
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    # It compiles for each shape anew, and with these in less than half the time; XLA_FLAGS="" does without. A jaxlib
    # that does not know one of them ends the process, so only those are asked that do.
    if version.startswith("0.10."):
        quick = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
        os.environ.setdefault("XLA_FLAGS", f"{quick} --xla_cpu_use_fusion_emitters=false")


prepare_jax(next((one.version for one in metadata.distributions(name="jaxlib")), ""))

# Fixture -> the rows it runs over.
FIXTURES = {
    "backend": [row for row in rows.ROWS if row.name in rows.LIBRARIES],
    "row": [row for row in rows.ROWS if row.values],
    "every_row": list(rows.ROWS),
    "law_row": [*(row for row in rows.ROWS if row.values), rows.NO_FLOAT64],
    "shapes_row": [row for row in rows.ROWS if not row.values],
    "float64_row": [row for row in rows.ROWS if row.values and row.dtype == "float64"],
}


def pytest_addoption(parser):
    parser.addoption("--backend", metavar="NAME", help=f"run this backend only, and fail without: {rows.LIBRARIES}")


def pytest_configure(config):
    name = config.getoption("backend")
    if name is None:
        return
    if name not in rows.LIBRARIES:
        raise pytest.UsageError(f"--backend {name}: choose one of {', '.join(rows.LIBRARIES)}")
    for row in rows.ROWS:
        if row.library == name and rows.problem(row):
            raise pytest.UsageError(f"--backend {name}: {rows.problem(row)}")


def pytest_generate_tests(metafunc):
    name = metafunc.config.getoption("backend")
    for fixture, chosen in FIXTURES.items():
        if fixture in metafunc.fixturenames:
            chosen = [row for row in chosen if name in (None, row.library)]
            metafunc.parametrize(fixture, chosen, ids=[row.name for row in chosen], indirect=True, scope="session")


def usable(row):
    """The row itself; skips the test with the reason where the row cannot run."""
    if rows.problem(row):
        pytest.skip(rows.problem(row))
    return row


@pytest.fixture(scope="session")
def row(request):
    """A row of tests/rows.py whose arrays have values."""
    return usable(request.param)


@pytest.fixture(scope="session")
def every_row(request):
    """A row of tests/rows.py, the shapes-only ones included."""
    return usable(request.param)


@pytest.fixture(scope="session")
def law_row(request):
    """A row whose arrays have values, the one without float64 included."""
    return usable(request.param)


@pytest.fixture(scope="session")
def shapes_row(request):
    """A row whose arrays have shapes only: a look at a value raises."""
    return usable(request.param)


@pytest.fixture(scope="session")
def float64_row(request):
    """A row in which derivatives can be measured."""
    return usable(request.param)


@pytest.fixture(scope="session")
def backend(request):
    """A float64 Backend, one of each library."""
    return usable(request.param).backend


@pytest.fixture(autouse=True, scope="module")
def jax_forgets():
    """JAX keeps what it has compiled for every shape: without this, gigabytes by the end of a run."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
