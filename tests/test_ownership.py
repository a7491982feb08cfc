"""Whose an array or a file is: what a model holds is not changed from outside, and what it writes keeps its rights."""

import os
import threading

import numpy as np
import pytest
from rows import opened
from shell import Arrays, B, D, H, T, recurrent

import xprnn as xr
from xprnn import door
from xprnn.kernels import KERNELS, loop

NUMPY = opened("numpy", "float64")


def same(found, wanted):
    for a, b in zip(xr.tree.leaves(found), xr.tree.leaves(wanted), strict=True):
        np.testing.assert_array_equal(xr.to_numpy(a), xr.to_numpy(b))


def arrays(run):
    """Those of a run: parameters and the optimizer's."""
    return [a for a in xr.tree.leaves((run.params, run.optimizer)) if hasattr(a, "shape")]


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_a_copy_of_a_model_shares_nothing(name):
    pytest.importorskip(name)
    backend = opened(name, "float64")
    model, x = recurrent(backend), Arrays(backend).x
    model.fit(x, Arrays(backend).y, epochs=1, verbose=False)
    y = xr.to_numpy(model(x)).copy()
    for twin in (model.to(backend), model.to(name), model.to("numpy").to(backend)):
        same(twin(x), y)
        run = [xr.to_numpy(a).copy() for a in arrays(model.run)]
        for a in (*xr.tree.leaves(twin.params), *arrays(twin.run)):
            a[...] = 0
        same(model(x), y)
        same(tuple(arrays(model.run)), tuple(run))
        assert len(run) > 10


@pytest.mark.parametrize("cell", [xr.RNN, xr.LSTM, xr.GRU])
@pytest.mark.parametrize("batch", [1, B])
def test_the_mask_may_be_written_into_before_the_way_back(cell, batch):
    model = xr.Model(cell(H), NUMPY, input_shape=(None, D))
    rng = np.random.default_rng(0)
    x, mask, dy = rng.normal(size=(batch, T, D)), rng.random((batch, T)) < 0.5, rng.normal(size=(batch, T, H))
    tape = model.forward(x, mask=mask)[2]
    wanted = model.backward(tape, dy)
    mask[...] = ~mask
    same(model.backward(tape, dy), wanted)


def test_a_tape_is_of_the_parameters_that_there_were():
    model, a = recurrent(NUMPY), Arrays(NUMPY)
    y, _, tape = model.forward(a.x)
    wanted = model.backward(tape, np.ones_like(y))
    for part in model.params.values():
        for name, leaf in xr.tree.flatten(part).items():
            *way, last = name.split(".")
            branch = part
            for step in way:
                branch = branch[step]
            branch[last] = 2 * leaf
    assert not np.array_equal(model(a.x), y)
    same(model.backward(tape, np.ones_like(y)), wanted)


@pytest.mark.parametrize("name", [name for name in KERNELS if name == "cpu"])
def test_what_is_mapped_from_a_file_is_an_array_like_others(name, tmp_path, monkeypatch):
    model, x = recurrent(xr.backend("numpy")), np.random.default_rng(0).normal(size=(B, T, D)).astype("float32")
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert type(mapped) is np.memmap and np.shares_memory(door.plain(mapped), mapped)
    wanted = model(x), model.predict(x)
    monkeypatch.setattr(loop, "forward", lambda *a, **k: pytest.fail("the loop ran"))
    same((model(mapped), model.predict(mapped)), wanted)


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_a_file_keeps_its_rights(suffix, tmp_path, monkeypatch):
    """And a new one has what the process gives, which is not touched: other threads make files meanwhile."""
    (path := tmp_path / f"model{suffix}").touch(0o666)
    usual = path.stat().st_mode & 0o777
    path.unlink()
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask is that of all threads"))
    recurrent(NUMPY).save(path)
    assert path.stat().st_mode & 0o777 == usual
    written = []
    monkeypatch.setattr(os, "fsync", lambda file, plain=os.fsync: (written.append(os.fstat(file).st_mode), plain(file)))
    for rights in (0o600, 0o640):
        path.chmod(rights)
        written.clear()
        recurrent(NUMPY).save(path)
        assert path.stat().st_mode & 0o777 == rights and written[0] & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    same(xr.load(path).params, recurrent(NUMPY).params)


@pytest.mark.skipif(os.name == "nt", reason="Windows lets one at a time replace a file")
def test_many_may_save_to_one_place(tmp_path):
    path, errors = tmp_path / "model.npz", []

    def save():
        try:
            for _ in range(20):
                recurrent(NUMPY).save(path)
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=save) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not errors and [file.name for file in tmp_path.iterdir()] == [path.name]
    same(xr.load(path).params, recurrent(NUMPY).params)
