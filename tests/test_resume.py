"""Model files at work: one backend after another, runs that go on, and saving that is killed."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rows
from rows import opened
from shell import NUMPY, Arrays, D, H, T, V, identical, named, tokens

import xprnn as xr


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture(scope="module", params=["float32", "float64"])
def trained(request, tmp_path_factory):
    """Files of a model trained on each backend that is here, and what each predicted."""
    dtype, folder, made = request.param, tmp_path_factory.mktemp("trained"), {}
    for row in rows.ROWS:
        if row.values and row.name in rows.LIBRARIES and not rows.problem(row):
            backend = opened(row.spec, dtype)
            model, a = tokens(backend), Arrays(backend)
            model.fit(a.ids, a.ids, loss="cross_entropy", optimizer=xr.Adam(0.01), epochs=2, verbose=False)
            model.save(folder / f"{row.library}.safetensors")
            made[row.library] = backend, xr.to_numpy(model.predict(a.ids))
    return dtype, folder, made


def test_trained_on_one_and_loaded_on_any(trained):
    dtype, folder, made = trained
    ids = NUMPY.asarray(Arrays(NUMPY).ids)
    tolerance = 1e-6 if dtype == "float32" else 1e-12
    pairs = list(itertools.product(made, made))
    for source, target in pairs:
        backend, _ = made[target]
        loaded = xr.load(folder / f"{source}.safetensors", backend)
        assert loaded.backend == backend and loaded.backend.dtype == dtype
        found = xr.to_numpy(loaded.predict(backend.asarray(ids)))
        np.testing.assert_allclose(found, made[source][1], rtol=tolerance, atol=tolerance, err_msg=f"{source} {target}")
    assert len(pairs) >= 4 or "torch" not in made


def noisy(backend):
    layers = xr.Sequential(
        xr.Embedding(V, D), xr.Dropout(0.2), xr.LSTM(H, 2, dropout=0.3, recurrent_dropout=0.4), xr.LayerNorm(),
        xr.Dense(V),
    )  # fmt: skip
    return xr.Model(layers, backend, seed=9)


def reports(model, x, lengths, resume=False, epochs=3, chunk=2):
    return model.training(
        x, x, loss="cross_entropy", optimizer=xr.Adam(0.01), epochs=epochs, batch_size=2, chunk=chunk, clip=1.0,
        lengths=lengths, resume=resume,
    )  # fmt: skip


@pytest.mark.parametrize("stop", [1, 4, 6, 7, 11, 18])
def test_a_resumed_run_is_the_run_that_never_stopped(backend, stop, path):
    if backend.name == "jax":
        pytest.skip("JAX without jit is slow, and nothing here is done by a library")
    x, lengths = backend.asarray(np.random.default_rng(0).integers(0, V, (4, T))), [5, 3, 4, 1]
    model, straight = noisy(backend), noisy(backend)
    wanted = [report.loss for report in reports(straight, x, lengths)]
    found = [report.loss for report in itertools.islice(reports(model, x, lengths), stop)]
    before = named(tuple(model.run))
    model.save(path, run=True)
    identical(tuple(model.run), before)
    loaded = xr.load(path, backend)
    identical(tuple(loaded.run), tuple(model.run))
    found += [report.loss for report in reports(loaded, x, lengths, resume=True)]
    assert found == wanted and len(wanted) == 18
    identical(loaded.params, straight.params)
    identical(tuple(loaded.run), tuple(straight.run))
    assert loaded.run.optimizer["step"] == 18 and type(loaded.run.optimizer["step"]) is int
    assert list(reports(loaded, x, lengths, resume=True)) == []


def test_a_run_is_no_larger_for_having_been_elsewhere(path):
    model, x = noisy(NUMPY), np.random.default_rng(0).integers(0, V, (4, T))
    next(reports(model, x, [5, 3, 4, 1]))
    model.save(path, run=True)
    size = path.stat().st_size
    for other in (xr.load(path), model.to("numpy", "float64")):
        other.save(path, run=True)
        assert path.stat().st_size == size


def test_a_run_goes_on_in_another_process(path):
    x, lengths = np.random.default_rng(0).integers(0, V, (4, T)), [5, 3, 4, 1]
    model, straight = noisy(NUMPY), noisy(NUMPY)
    for _ in reports(straight, x, lengths):
        pass
    for _ in itertools.islice(reports(model, x, lengths), 7):
        pass
    model.save(path, run=True)
    script = (
        "import sys; import numpy as np, xprnn as xr; from test_resume import reports\n"
        "model = xr.load(sys.argv[1]); x = np.random.default_rng(0).integers(0, 7, (4, 5))\n"
        "for _ in reports(model, x, [5, 3, 4, 1], resume=True): pass\n"
        "model.save(sys.argv[1], run=True)"
    )
    run(script, path)
    loaded = xr.load(path)
    identical(loaded.params, straight.params)
    identical(tuple(loaded.run), tuple(straight.run))


def test_a_run_goes_on_only_as_it_was(backend, path):
    x, lengths = backend.asarray(np.random.default_rng(0).integers(0, V, (4, T))), [5, 3, 4, 1]
    model = noisy(backend)
    for _ in itertools.islice(reports(model, x, lengths), 2):
        pass
    before = model.run
    for data, options in ((x, {"chunk": 3}), (x, {"chunk": None}), (x[:2, :], {}), (x[:, :4], {})):
        with pytest.raises(ValueError, match=r"stopped within an epoch over x \(4, 5\), batch_size=2 and chunk=2;"):
            reports(model, data, [1] * data.shape[0], resume=True, **options)
    options = {"loss": "cross_entropy", "batch_size": 2, "chunk": 2, "resume": True}
    for optimizer, words in ((xr.SGD(0.1), r"\{step, m, v\} and \{step\}"), (xr.RMSprop(), "another than RMSprop")):
        with pytest.raises(ValueError, match=words):
            model.training(x, x, optimizer=optimizer, **options)
    assert model.run is before
    model.run = before._replace(update=6)
    with pytest.raises(ValueError, match="stopped after 6 updates of an epoch that has 6"):
        reports(model, x, lengths, resume=True)
    model.save(path)
    with pytest.raises(ValueError, match="was saved without its run"):
        reports(xr.load(path, backend), x, lengths, resume=True)


def test_the_best_parameters_are_saved_and_the_run_goes_on_from_its_own(path):
    x = np.random.default_rng(0).integers(0, V, (4, T))
    rising = itertools.chain([0.0], itertools.count(1.0))
    model = noisy(NUMPY)
    history = model.fit(
        x, x, loss="cross_entropy", epochs=5, metrics={"value": lambda y, target, mask: NUMPY.asarray(next(rising))},
        early_stopping=xr.EarlyStopping("value", patience=2, restore_best=True), verbose=False,
    )  # fmt: skip
    assert history.epochs == 3 and model.params is not model.run.params
    model.save(path, run=True)
    loaded = xr.load(path)
    identical(loaded.params, model.params)
    identical(tuple(loaded.run), tuple(model.run))
    assert (named(loaded.run.params)["dense.W"] != named(loaded.params)["dense.W"]).all()


KILLED = """
import os, random, signal, sys, time
import numpy as np, xprnn as xr
path, folder = sys.argv[1], os.path.dirname(sys.argv[1])
model = xr.Model(xr.LSTM(16), input_shape=(None, 8))
def fill(value):
    model.params = xr.tree.map(lambda a: np.full_like(a, value), model.params)
    model.save(path, run=False, extra={"value": value})
fill(-1.0)
seen, parts, n = set(), 0, 0
while n < 50 or len(seen) <= 10 or parts <= 5:
    n += 1
    ready, go = os.pipe()
    child = os.fork()
    if not child:
        os.write(go, b"x")
        value = 1000.0 * n
        while True:
            fill(value)
            value += 1.0
    os.read(ready, 1)
    time.sleep(random.random() * (0.03 + n / 1000))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(ready); os.close(go)
    loaded = xr.load(path)
    values = {float(v) for a in xr.tree.leaves(loaded.params) for v in np.unique(a)}
    assert len(values) == 1, values
    seen |= values
    for name in os.listdir(folder):
        if name != os.path.basename(path):
            assert name.startswith(".") and name.endswith(".part"), name
            os.unlink(os.path.join(folder, name)); parts += 1
print(len(seen), parts)
"""


def run(script, path):
    root = Path(__file__).resolve().parents[1]
    found = os.pathsep.join([str(root), str(root / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], env=os.environ | {"PYTHONPATH": found, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_killed_while_it_saves_fifty_times(path):
    """And more often, until it did get somewhere, and was hit in the middle of a write."""
    values, parts = map(int, run(KILLED, path).split())
    assert values > 10 and parts > 5
