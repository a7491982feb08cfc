"""Models as ONNX files: ONNX's checker takes them, and onnxruntime gives what the model gives."""

import sys

import numpy as np
import onnx_models
import pytest

import xprnn as xr
from xprnn.io.onnx import write
from xprnn.io.onnx.model import OnnxModel

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

SIZES = ((1, 1), (3, 5), (2, 7))  # batch, time
EACH = pytest.mark.parametrize("name", onnx_models.MODELS)


def run(graph, feed):
    """The outputs of onnxruntime, which are checked to be as many and as large as the graph says."""
    data = write.encode(graph)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    found = runtime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, feed)
    for value, array in zip(graph.outputs, found, strict=True):
        assert len(value.shape) == array.ndim
        assert all(isinstance(n, str) or n == size for n, size in zip(value.shape, array.shape, strict=True))
    return found


def close(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@EACH
def test_runs_elsewhere(name):
    model = onnx_models.made(name)
    graph = write.to_graph(model.layer, *model.built(), "float32")
    for batch, time in SIZES:
        x = onnx_models.sample(model, batch, time)
        close(run(graph, {"x": x}), [model(x)])


@pytest.mark.parametrize("name", onnx_models.SEQUENCES)
def test_lengths(name):
    """Of padded rows too, one without a step among them; what stands in padding, NaN included, counts for nothing."""
    model = onnx_models.made(name)
    graph = write.to_graph(model.layer, *model.built(), "float32", lengths=True)
    for batch, time in SIZES:
        x = onnx_models.sample(model, batch, time)
        lengths = onnx_models.lengths(batch, x.shape[1])
        x = onnx_models.padded(x, lengths)
        close(run(graph, {"x": x, "lengths": lengths}), [model(x, lengths=lengths)])


def rough(graph):
    """Whether float64 numbers go through an attribute, which is float32."""
    values = [np.asarray(value) for node in graph.nodes for value in node.attributes.values()]
    return any(value.dtype.kind == "f" for value in values)


@EACH
def test_runs_here(name):
    """What is written runs as a graph too, in float64, padded rows included."""
    model = onnx_models.made(name, "float64")
    for ragged in (False, True) if name in onnx_models.SEQUENCES else (False,):
        graph = write.to_graph(model.layer, *model.built(), "float64", lengths=ragged)
        x = onnx_models.sample(model, 3, 5)
        given = {"lengths": onnx_models.lengths(3, x.shape[1])} if ragged else {}
        x = onnx_models.padded(x, given["lengths"]) if ragged else x
        tolerance = 1e-6 if rough(graph) else 1e-12
        found, wanted = OnnxModel(graph)(x, *given.values()), model(x, **given)
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", onnx_models.STATEFUL)
@pytest.mark.parametrize("ragged", [False, True])
def test_states(name, ragged):
    model = onnx_models.made(name)
    graph = write.to_graph(model.layer, *model.built(), "float32", lengths=ragged, states=True)
    x = onnx_models.sample(model, 3, 4)
    lengths = np.array([x.shape[1], 0, 2])
    rng = np.random.default_rng(2)
    begin = xr.tree.map(lambda n: rng.normal(size=(3, n)).astype("float32"), model.layer.state_sizes)
    names = [value.name for value in graph.inputs if value.name.startswith("state.")]
    assert names == [f"state.{onnx_models.leaf(path)}" for path in xr.tree.flatten(begin)]
    feed = {"x": x} | dict(zip(names, xr.tree.leaves(begin), strict=True)) | ({"lengths": lengths} if ragged else {})
    y, end, _ = model.forward(x, begin, lengths=lengths if ragged else None)
    close(run(graph, feed), [y, *xr.tree.leaves(end)])
    assert [value.name for value in graph.outputs] == ["y", *(f"last_{name}" for name in names)]


def nodes(model, **options):
    return [node.op for node in write.to_graph(model.layer, *model.built(), "float32", **options).nodes]


def test_one_node_a_layer():
    layer = xr.Sequential(xr.LSTM(3, 2), xr.GRU(3, bidirectional=True), onnx_models.MODELS["different"])
    ops = nodes(xr.Model(layer, input_shape=(None, 3)))
    assert [op for op in ops if op in ("RNN", "LSTM", "GRU")] == ["LSTM", "LSTM", "GRU", "GRU", "LSTM"]
    assert ops.count("Transpose") == 2, "time goes first once, and back once"
    assert not {"Where", "Range", "Shape"} & set(nodes(xr.Model(xr.LSTM(3), input_shape=(None, 3))))


def test_a_shared_layer_has_its_weights_once():
    model = onnx_models.made("shared-lstm")
    graph = write.to_graph(model.layer, *model.built(), "float32")
    assert [name for name, a in graph.constants.items() if a.ndim > 1] == [
        "lstm.0.W",
        "lstm.0.R",
        "lstm.0.B",
        "dense.W",
    ]
    assert sum(node.op == "LSTM" for node in graph.nodes) == 2


def test_file(tmp_path):
    """The same bytes each time, another file is replaced, and what stands in it is what was built."""
    model, path = onnx_models.made("everything"), tmp_path / "model.onnx"
    path.write_bytes(b"before")
    model.save_onnx(path, lengths=True)
    data = path.read_bytes()
    model.save_onnx(path, lengths=True)
    assert path.read_bytes() == data and [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    onnx.checker.check_model(str(path), full_check=True)
    proto = onnx.load(path)
    assert (proto.ir_version, [entry.version for entry in proto.opset_import]) == (8, [17])
    x, lengths = onnx_models.sample(model, 3, 5), np.array([5, 1, 3])
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    close(session.run(None, {"x": x, "lengths": lengths}), [model(x, lengths=lengths)])


@EACH
def test_float64_is_checked(name):
    model = onnx_models.made(name, "float64")
    data = write.encode(write.to_graph(model.layer, *model.built(), "float64"))
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)


def test_backends(backend, tmp_path):
    models = [onnx_models.made("everything", "float64", spec) for spec in ("numpy", backend)]
    for n, model in enumerate(models):
        model.save_onnx(tmp_path / f"{n}.onnx")
    assert (tmp_path / "0.onnx").read_bytes() == (tmp_path / "1.onnx").read_bytes()


class Own(xr.Dense):
    """A layer of the caller's own."""


def cell(*cells):
    return xr.Recurrent(cells)


@pytest.mark.parametrize(
    ("layer", "error", "words"),
    [
        (cell(xr.cells.ProjectedLSTM(4, 2)), TypeError, r"no ProjectedLSTM\(hidden=4, projection=2"),
        (xr.LayerNormLSTM(4), TypeError, r"no LayerNormLSTM\(hidden=4"),
        (cell(xr.cells.Zoneout(xr.cells.RNN(4), (0.1,))), TypeError, r"no Zoneout\(cell=RNN\(hidden=4"),
        (cell(xr.cells.RNN(3), xr.cells.RNN(3, "selu")), ValueError, "no activation selu in cells.*activation='selu'"),
        (cell(xr.cells.GeneralGRU(3, ("clip(1) sigmoid", "tanh"))), ValueError, "the first two activations alike"),
        (cell(xr.cells.GeneralLSTM(3, ("clip(1) sigmoid", "clip(1) tanh", "clip(1) tanh"))), ValueError, "third never"),
        (xr.Masking(), TypeError, r"no Masking\(mask_value=0.0\)"),
        (Own(3), TypeError, r"no Own\(units=3"),
        (xr.TimeDistributed(Own(3)), TypeError, r"no Own\(units=3"),
    ],
)
def test_what_onnx_has_not(layer, error, words, tmp_path):
    model = xr.Model(xr.Sequential(xr.Dense(3), layer) if not layer.makes_mask else layer, input_shape=(None, 3))
    with pytest.raises(error, match=words):
        model.save_onnx(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_what_a_model_has_not(tmp_path):
    path, ids, samples = tmp_path / "model.onnx", xr.Model(xr.Embedding(3, 2, mask_zero=True)), xr.Dense(2)
    with pytest.raises(ValueError, match=r"told by an id, so not Embedding\(vocab=3, units=2, mask_zero=True\)"):
        ids.save_onnx(path)
    with pytest.raises(ValueError, match=r"lengths=True is for models of sequences, not for samples of shape \(3,\)"):
        xr.Model(samples, input_shape=(3,)).save_onnx(path, lengths=True)
    with pytest.raises(ValueError, match="no recurrent layer"):
        xr.Model(samples, input_shape=(3,)).save_onnx(path, states=True)
    with pytest.raises(ValueError, match="has no parameters before it has seen data"):
        xr.Model(xr.LSTM(3)).save_onnx(path)
    with pytest.raises(FileNotFoundError, match="no folder"):
        onnx_models.made("lstm").save_onnx(tmp_path / "nowhere" / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "LARGEST", 100)
    with pytest.raises(ValueError, match=r"holds at most 100 bytes, the model's parameters are \d+"):
        onnx_models.made("lstm").save_onnx(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'xprnn\[onnx\]'"):
        onnx_models.made("lstm").save_onnx(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
