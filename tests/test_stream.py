"""Streams: one step at a time equals the whole sequence."""

import copy
import pickle

import numpy as np
import pytest
from shell import Arrays, D, H, T, V, recurrent, tokens

import xprnn as xr

CELLS = {
    "RNN": xr.RNN(H), "RNN relu": xr.RNN(H, activation="relu"), "LSTM": xr.LSTM(H), "PeepholeLSTM": xr.PeepholeLSTM(H),
    "GRU": xr.GRU(H), "GRU reset before": xr.GRU(H, reset_after=False), "stacked": xr.LSTM((4, 3), dropout=0.5),
    "learned state": xr.GRU(H, learn_state=True), "checkpointed": xr.LSTM(H, segment=2, recurrent_dropout=0.5),
    "LayerNormLSTM": xr.LayerNormLSTM(H), "zoneout": xr.Recurrent(xr.cells.Zoneout(xr.cells.LSTM(H), (0.1, 0.5))),
    "one direction": xr.Direction(xr.cells.LSTM(H)),
    "without a cell": xr.TimeDistributed(xr.Dense(3, "tanh")),
}  # fmt: skip


def walked(stream, x):
    """The outputs of a stream fed with the steps of x, side by side as of a whole sequence."""
    steps = [stream(x[:, t, ...] if x.ndim == 3 else x[:, t]) for t in range(x.shape[1])]
    return np.stack([xr.to_numpy(step) for step in steps], axis=1)


def near(found, wanted):
    np.testing.assert_allclose(xr.to_numpy(found), xr.to_numpy(wanted), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_streaming_is_the_whole_sequence(backend, cell):
    a = Arrays(backend)
    model = xr.Model(CELLS[cell], backend, input_shape=(None, D))
    model.params = xr.tree.map(lambda p: p + a.put(0.3 * a.rng.normal(size=tuple(p.shape))), model.params)
    whole, end, _ = model.forward(a.x)
    stream = model.stream()
    near(walked(stream, a.x), whole)
    for found, wanted in zip(xr.tree.leaves(stream.state), xr.tree.leaves(end), strict=True):
        near(found, wanted)


def test_a_whole_model_streams(backend):
    a = Arrays(backend)
    layers = xr.Sequential(
        xr.Embedding(V, D), xr.Dropout(0.3), xr.LayerNorm(), xr.LSTM(H, num_layers=2, dropout=0.3),
        xr.Sequential(xr.Dense(3, "relu"), xr.GRU(H)), xr.Activation("tanh"), xr.Dense(V),
    )  # fmt: skip
    model = xr.Model(layers, backend)
    near(walked(model.stream(), a.ids), model(a.ids))
    single = model.stream()
    outs = [single(a.ids[0, t, ...]) for t in range(T)]
    assert tuple(outs[0].shape) == (V,)
    near(np.stack([xr.to_numpy(out) for out in outs]), model(a.ids[0, ...]))


def test_padding_by_value_streams(backend):
    a = Arrays(backend)
    zeros = a.put(np.array([[1, 0, 2, 0, 3], [0, 0, 4, 5, 0]]))
    model = xr.Model(xr.Sequential(xr.Embedding(V, D, mask_zero=True), xr.GRU(H)), backend)
    near(walked(model.stream(), zeros), model(zeros))
    masking = xr.Model(xr.Sequential(xr.Masking(), xr.LSTM(H), xr.Dense(2)), backend, input_shape=(None, D))
    x = a.x * a.put([[[1.0], [0.0], [1.0], [0.0], [0.0]]])
    near(walked(masking.stream(), x), masking(x))


def test_the_last_output_of_each_beginning(backend):
    a = Arrays(backend)
    layers = xr.Sequential(xr.LSTM(H, return_sequences=False), xr.Dense(2))
    model = xr.Model(layers, backend, input_shape=(None, D))
    stream = model.stream()
    for t in range(T):
        near(stream(a.x[:, t, ...]), model(a.x[:, : t + 1, ...]))


def test_the_state_may_be_kept_and_set(backend):
    a, model = Arrays(backend), recurrent(backend)
    whole = xr.to_numpy(model(a.x))
    stream = model.stream()
    near(walked(stream, a.x[:, :3, ...]), whole[:, :3])
    kept = stream.state
    for _ in range(2):
        near(walked(stream, a.x[:, 3:, ...]), whole[:, 3:])
        stream.state = kept
    near(walked(model.stream(kept), a.x[:, 3:, ...]), whole[:, 3:])
    near(walked(model.stream(model.forward(a.x[:, :3, ...])[1]), a.x[:, 3:, ...]), whole[:, 3:])
    stream.reset()
    near(walked(stream, a.x), whole)
    alone = model.stream(model.forward(a.x[0, :3, :])[1])  # a single sequence's state has no batch
    near(np.stack([xr.to_numpy(alone(a.x[0, t, :])) for t in (3, 4)]), whole[0, 3:])


def test_streams_do_not_meet(backend):
    a, model = Arrays(backend), recurrent(backend)
    whole = xr.to_numpy(model(a.x))
    one, two = model.stream(), model.stream()
    for t in range(T):
        near(one(a.x[0, t, :]), whole[0, t])
        near(two(a.x[1, t, :]), whole[1, t])


@pytest.mark.parametrize("cell", [xr.RNN(H), xr.LSTM(H), xr.GRU(H), xr.LSTM((4, 3))])
def test_outputs_and_states_belong_to_the_caller(backend, cell):
    if backend.name == "jax":
        pytest.skip("nobody can write into JAX's arrays")
    a = Arrays(backend)
    model = xr.Model(cell, backend, input_shape=(None, D))
    whole, stream = xr.to_numpy(model(a.x)), model.stream()
    for t in range(T):
        step, before = stream(a.x[:, t, ...]), stream.state
        near(step, whole[:, t])
        kept = xr.tree.map(lambda s: xr.to_numpy(s).copy(), before)
        step[...] = np.nan
        stream(a.x[:, 0, ...])  # a step too many, from a state that is then set back
        for found, wanted in zip(xr.tree.leaves(before), xr.tree.leaves(kept), strict=True):
            near(found, wanted)
        stream.state = before


def test_a_step_takes_the_model_as_it_is(backend):
    a, model = Arrays(backend), recurrent(backend)
    stream = model.stream()
    stream(a.x[:, 0, ...])
    for change in ("all", "one", "in place"):
        kept = stream.state
        inner = model.params[model.layer.names[0]]["0"]
        if change == "all":
            model.params = xr.tree.map(lambda p: p * 0.5, model.params)
        elif change == "one":
            inner["Wh"] = inner["Wh"] * 3
        elif backend.name != "jax":  # nobody can write into JAX's arrays
            inner["Wh"][...] *= -0.7
        whole, _, _ = model.forward(a.x[:, 1:, ...], kept)
        near(walked(stream, a.x[:, 1:, ...]), whole)


def test_a_copy_goes_on_by_itself():
    a, model = Arrays(xr.backend("numpy", "float64")), xr.Model(xr.LSTM((4, 3)), dtype="float64", input_shape=(None, D))
    stream, whole = model.stream(), model(a.x)
    near(walked(stream, a.x[:, :2, :]), whole[:, :2])
    copies = copy.deepcopy(stream), pickle.loads(pickle.dumps(stream))
    for one in (*copies, stream):
        near(walked(one, a.x[:, 2:, :]), whole[:, 2:])


def test_a_step_of_another_shape_is_looked_at(backend):
    a, model = Arrays(backend), recurrent(backend)
    stream = model.stream()
    near(stream(a.x[:, 0, ...]), model(a.x)[:, 0, ...])
    for other in (a.x[0, 0, :], a.x[:1, 0, :]):  # a single sequence, or fewer, after a batch
        with pytest.raises(ValueError, match=r"state\[.* has the shape"):
            stream(other)
    with pytest.raises(ValueError, match="x has the shape"):
        stream(a.x[:, 0, 1:])
    near(stream(a.x[:, 1, ...]), model(a.x)[:, 1, ...])
    stream.reset()
    near(stream(a.x[0, 0, :]), model(a.x)[0, 0, :])
    near(stream(a.x[0, 1, :]), model(a.x)[0, 1, :])
    stream.reset()
    more = xr.to_numpy(a.x)[[0, 1, 1, 0]]
    near(walked(stream, a.put(more)), model(a.put(more)))


def test_steps_that_look_alike_are_looked_at_once(backend, monkeypatch):
    a, model, looked = Arrays(backend), recurrent(backend), []
    enter = xr.stream.Stream._enter
    monkeypatch.setattr(xr.stream.Stream, "_enter", lambda self, x_t: (looked.append(x_t), enter(self, x_t)))
    stream = model.stream()
    near(walked(stream, a.x), model(a.x))
    assert len(looked) == 1
    stream.state = stream.state
    stream(a.x[:, 0, ...])
    assert len(looked) == 2


@pytest.mark.parametrize("library", ["torch", "array_api_strict"])
def test_what_is_refused_is_refused_after_a_step_too(library):
    pytest.importorskip(library)
    a = Arrays(xr.backend(library, "float64"))
    stream = recurrent(a.backend).stream()
    stream(a.x[:, 0, ...])
    if library == "torch":
        others = a.x[:, 0, ...].requires_grad_(), a.x[:, 0, ...].to("meta"), xr.to_numpy(a.x)[:, 0]
    else:
        others = xr.backend("array_api_strict:device1", "float64").asarray(a.x[:, 0, ...]), xr.to_numpy(a.x)[:, 0]
    for other in others:
        with pytest.raises(xr.BackendError, match="`x_t`"):
            stream(other)
    near(stream(a.x[:, 1, ...]), recurrent(a.backend)(a.x)[:, 1, ...])


def test_a_stream_makes_the_parameters(backend):
    a = Arrays(backend)
    model = xr.Model(xr.GRU(H), backend)
    step = model.stream()(a.x[:, 0, ...])
    assert model.input_shape == (None, D)
    near(step, xr.Model(xr.GRU(H), backend)(a.x)[:, 0, ...])
    fixed = xr.Model(xr.GRU(H), backend, input_shape=(T, D))
    near(fixed.stream()(a.x[:, 0, ...]), step)
    dense = xr.Model(xr.Dense(2), backend, input_shape=(None, D))
    near(walked(dense.stream(), a.x), dense(a.x))


def test_an_empty_batch_streams(backend):
    stream = tokens(backend).stream()
    assert tuple(stream(Arrays(backend).put(np.zeros(0, int))).shape) == (0, V)
    assert stream.state[1][0][0].shape[0] == 0


def test_a_last_output_behind_told_padding_cannot_stream():
    layers = xr.Sequential(xr.Embedding(5, 3, mask_zero=True), xr.LSTM(4, return_sequences=False))
    with pytest.raises(ValueError, match="finds padding by the input's values"):
        xr.Model(layers).stream()
