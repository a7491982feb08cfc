"""Models, arrays and the one check that the tests of the commands for files share."""

import os

import numpy as np
import pytest

import xprnn as xr
from xprnn.cli import main

NEEDS = {".onnx": "onnx", ".keras": "h5py"}


def needs(*names):
    """Skip without the packages that the formats of these files want."""
    for suffix, package in NEEDS.items():
        if any(name.endswith(suffix) for name in names):
            pytest.importorskip(package)


def sequences(seed=3):
    """A model of (B, T, 4) that all formats have."""
    layers = xr.LSTM(5), xr.GRU(3, bidirectional=True, return_sequences=False), xr.Dense(2, "tanh")
    return xr.Model(xr.Sequential(*layers), seed=seed, input_shape=(None, 4))


def tokens():
    """A model of 7 token ids."""
    return xr.Model(xr.Sequential(xr.Embedding(7, 4), xr.RNN(5), xr.Dense(7)))


def batch(*shape, dtype="float32"):
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


def problem(capsys, *argv):
    """The one line that the command ends with, having written nothing."""
    before = {name: os.stat(name).st_mtime_ns for name in os.listdir()}
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("xprnn") and err.count("\n") == 1
    assert {name: os.stat(name).st_mtime_ns for name in os.listdir()} == before
    return err
