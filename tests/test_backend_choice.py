"""Choosing a backend: names, devices, what is said of one that cannot be used, and the tests' own option."""

import logging
import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import rows

from xprnn.backend import Backend, BackendError, available
from xprnn.backend import backend as choose
from xprnn.libraries import LIBRARIES, cuda


def test_specs():
    assert choose() == Backend("numpy", "cpu", "float32") == choose("numpy:cpu")
    assert choose("numpy", "float64").dtype == "float64"
    numpy = choose("numpy")
    assert choose(numpy) is numpy and choose(numpy, "float64") == choose("numpy", "float64")
    assert str(numpy) == "NumPy on cpu"


def test_a_backend_names_itself(backend):
    assert choose(f"{backend.name}:{backend.device}", "float64") == backend


@pytest.mark.parametrize("dtype", ["float16", "double", "int32", ""])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(ValueError, match="'float32' or 'float64'"):
        choose("numpy", dtype)


@pytest.mark.parametrize("dtype", [np.float32, 32])
def test_dtypes_that_are_no_strings_are_refused(dtype):
    with pytest.raises(TypeError, match="'float32' or 'float64'"):
        choose("numpy", dtype)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(BackendError, match="no backend 'nunpy'") as caught:
        choose("nunpy")
    assert all(name in caught.value.remedy for name in ("numpy", "cupy", "torch", "jax", "array_api_strict", "auto"))
    with pytest.raises(TypeError, match="not by a module"):
        choose(np)


@pytest.mark.parametrize(
    ("spec", "library", "found"),
    [
        ("numpy:cuda", "numpy", "cpu only"),
        ("torch:nowhere", "torch", "device type at start of device string: nowhere"),
        ("jax:nowhere", "jax", "nowhere"),
        ("jax:4711", "jax", "no device '4711', only cpu:0"),
        ("array_api_strict:nowhere", "array_api_strict", "The device 'nowhere' is not a valid choice"),
    ],
)
def test_unknown_devices_give_the_librarys_own_words(spec, library, found):
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    with pytest.raises(BackendError) as caught:
        choose(spec)
    assert repr(spec) in caught.value.reason and found in caught.value.reason
    assert caught.value.__cause__ is not None


def test_available_tells_of_each_backend():
    statuses = {status.name: status for status in available()}
    assert list(statuses) == ["numpy", "cupy", "torch", "jax", "array_api_strict"]
    assert statuses["numpy"].usable and statuses["numpy"].version == np.__version__
    for status in statuses.values():
        assert status.usable == bool(status.device) == bool(status.version)
        assert status.usable or (status.reason and status.remedy)


def test_cupy_without_a_gpu_says_what_was_found_and_what_fixes_it():
    if rows.problem(rows.Row("cupy", "cupy")) == "":
        pytest.skip("CuPy can be used here")
    with pytest.raises(BackendError, match="backend 'cupy:1' cannot be used") as caught:
        choose("cupy:1")
    remedy = caught.value.remedy
    assert "on this one, use 'numpy'" in remedy or "pip install 'xprnn[cuda1" in remedy or "nvidia-smi" in remedy


@pytest.mark.parametrize(
    ("driver", "wheels", "nvcc", "problem", "remedy"),
    [
        ((12, 8), [], "/bin/nvcc", "", "pip install 'xprnn[cuda12]'"),
        ((12, 8), [], None, "", "pip install 'xprnn[cuda12-ctk]'"),
        ((13, 0), [], "/bin/nvcc", "", "pip install 'xprnn[cuda13]'"),
        ((13, 0), ["cupy-cuda13x"], "/bin/nvcc", "libnvrtc.so.13: cannot open shared object file", "xprnn[cuda13-ctk]"),
        ((13, 0), ["cupy-cuda12x", "cupy-cuda13x"], None, "any", "pip uninstall -y cupy-cuda12x cupy-cuda13x && pip"),
        ((13, 0), ["cupy-cuda13x"], None, "cudaErrorNoDevice: no CUDA-capable device is detected", "CUDA_VISIBLE_DEV"),
        ((0, 0), [], None, "", "driver, pip install 'xprnn[cuda12-ctk]'; on this one, use 'numpy'"),
        ((0, 0), ["cupy-cuda12x"], None, "cudaErrorInsufficientDriver: ...", "its driver; on this one, use 'numpy'"),
    ],
)
def test_remedies_for_cupy(monkeypatch, driver, wheels, nvcc, problem, remedy):
    monkeypatch.setattr(cuda, "driver", lambda: driver)
    monkeypatch.setattr(cuda, "cupy_wheels", lambda: wheels)
    monkeypatch.setattr("shutil.which", lambda name: nvcc)
    assert remedy in LIBRARIES["cupy"].remedy(problem)
    assert all(wheel in LIBRARIES["cupy"].found() for wheel in wheels)


def test_auto_is_the_gpu_or_numpy_and_logs_why(caplog):
    with caplog.at_level(logging.INFO, "xprnn"):
        chosen = choose("auto", "float64")
    if rows.problem(rows.Row("cupy", "cupy")) == "":
        assert chosen.name == "cupy" and "CuPy on cuda:0" in caplog.text
    else:
        assert chosen == choose("numpy", "float64")
        assert "'auto' is NumPy" in caplog.text and "backend 'cupy' cannot be used" in caplog.text


def run(code, **environment):
    """What ``code`` prints in an interpreter of its own."""
    python = [sys.executable, "-W", "error", "-c", code]
    paths = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(python, env=os.environ | {"PYTHONPATH": paths} | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_and_using_numpy_loads_no_other_library():
    code = """
import sys
from xprnn.backend import backend
backend("numpy").check(backend("numpy").asarray([1.0]))
print(sorted({"torch", "jax", "cupy", "array_api_strict"} & set(sys.modules)))
"""
    assert run(code) == "[]\n"


def test_jax_never_gives_float32_for_float64():
    if find_spec("jax") is None:
        pytest.skip("JAX is not installed")
    code = """
import numpy as np
from xprnn.backend import Backend, BackendError, backend
def refused(f, *arguments):
    try: f(*arguments)
    except BackendError as error: print("JAX_ENABLE_X64=1" in error.remedy)
refused(backend, "jax", "float64")
jax = backend("jax", "float32")
refused(jax.asarray, [1.0], "float64")
refused(jax.asarray, jax.asarray([1.0]), "float64")
refused(Backend("jax", "cpu:0", "float64").asarray, [1.0])
refused(jax.asarray, [2**40])
print(jax.asarray(np.array([1.0])).dtype, jax.asarray([3]).dtype, int(jax.asarray([3])[0]))
"""
    assert run(code, JAX_ENABLE_X64="0").split() == ["True"] * 5 + ["float32", "int32", "3"]


def run_pytest(tmp_path, *arguments):
    """A run of a small test file with this directory's conftest."""
    (tmp_path / "test_one.py").write_text("def test_any(backend): print('on', backend.name)\ndef test_none(): pass\n")
    here = os.path.dirname(__file__)
    options = ["-q", "-rs", "-s", "-p", "conftest", "-p", "no:cacheprovider", *arguments]
    # Options of the run that this test is part of are not those of the other.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [here, *sys.path])), "PYTEST_ADDOPTS": ""}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)], env=environment, capture_output=True, text=True,
        cwd=tmp_path,
    )  # fmt: skip


def test_option_backend_runs_one_row_and_the_tests_without(tmp_path):
    done = run_pytest(tmp_path, "--backend", "numpy")
    assert "2 passed" in done.stdout and "on numpy" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["cupy", "nunpy"])
def test_option_backend_fails_the_run_if_it_cannot_be_used(tmp_path, name):
    if name in rows.LIBRARIES and not rows.problem(rows.Row(name, name)):
        pytest.skip(f"{name} can be used here")
    done = run_pytest(tmp_path, "--backend", name)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"--backend {name}" in done.stderr


def test_without_the_option_what_cannot_run_is_skipped_with_the_reason(tmp_path):
    if not rows.problem(rows.Row("cupy", "cupy")):
        pytest.skip("CuPy can be used here")
    done = run_pytest(tmp_path)
    assert done.returncode == 0 and "backend 'cupy' cannot be used" in done.stdout and "on numpy" in done.stdout
