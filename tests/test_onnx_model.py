"""OnnxModel: what it refuses, what it is called with, where its numbers live, what it keeps."""

import itertools
import tracemalloc

import numpy as np
import pytest
from rows import opened

from xprnn.backend import BackendError
from xprnn.io.onnx import OnnxModel
from xprnn.io.onnx.graph import Graph, Node, Value
from xprnn.io.onnx.operators import OPERATORS
from xprnn.io.store import FileError

NUMPY = opened("numpy", "float32")
X = Value("x", "float32", ("batch", 3))


def graph(*nodes, inputs=(X,), outputs=("y",), constants=None, opset=18):
    """A graph of nodes (op, inputs, outputs, attributes), names with spaces between them."""
    made = tuple(Node(op, f"n{n}", tuple(i.split()), tuple(o.split()), a) for n, (op, i, o, a) in enumerate(nodes))
    return Graph(inputs, tuple(Value(name, "float32", None) for name in outputs), made, constants or {}, opset)


def add(count=1, **changes):
    """x plus 1, and the result, time and again."""
    names = ["x", *(f"h{n}" for n in range(count - 1)), "y"]
    nodes = [("Add", f"{a} one", b, {}) for a, b in itertools.pairwise(names)]
    return graph(*nodes, constants={"one": np.ones((), "float32")}, **changes)


def float32(*shape):
    return np.arange(np.prod(shape), dtype="float32").reshape(shape)


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (("Frobnicate", "x", "y", {}), "^Frobnicate node 'n1': the operator is not known$"),
        (("Conv", "x x", "y", {}), "^Conv node 'n1': the operator is not known$"),
        (("Softmax", "x", "y", {"strange": 1}), "^Softmax node 'n1': its attribute 'strange' is not known$"),
        (("Pad", "x", "y", {"mode": "edge"}), "its mode is 'edge'; known is 'constant' alone"),
        (("ScatterElements", "x x x", "y", {"reduction": "add"}), "its reduction is 'add'"),
        (("BatchNormalization", "x x x x x", "y", {"training_mode": 1}), "its training_mode is '1'"),
        (("MaxPool", "x", "y z", {"kernel_shape": (2,)}), "it has 2 outputs; known are 1"),
        (("Cast", "x", "y", {"to": 8}), "element type has the number 8"),
        (("Constant", "", "y", {"value_string": "a"}), "it holds 'value_string', and not one of value,"),
        (("LSTM", "x w w", "y", {"direction": "sideways"}), "its direction is 'sideways', and not one of"),
        (("LSTM", "x w w", "y", {"activations": ("Tanh",)}), "it has 1 activations, and takes 3"),
        (("GRU", "x w w", "y", {"activations": ("Tanh", "Sine")}), "there is no activation 'Sine'"),
        (("RNN", "x w w", "y", {"activations": ("ScaledTanh",)}), "ScaledTanh has no activation_alpha"),
        (("RNN", "x w w", "y", {"clip": -1.0}), "the bound of clip must be above 0"),
        (("RNN", "x w w", "y", {"clip": float("nan")}), "no activation 'clip.nan"),
        (("LSTM", "x w w", "y", {}), r"its W is of shape \(1, 4, 3\), and not \(1, 12, 3\)"),
        (("RNN", "x w r", "y", {"hidden_size": 4}), "its hidden_size is 4"),
        (("Reshape", "w s", "y", {}), "reshape"),
        (("Range", "s s s", "y", {}), "Range node .n1.: can only convert an array of size 1"),
    ],
)
def test_what_is_refused_before_anything_runs(node, words):
    constants = {"w": float32(1, 4, 3), "r": float32(1, 3, 3), "s": np.array([7, 7])}
    constants |= {"w": float32(1, 3, 3)} if node[0] == "RNN" else {}
    first = ("Add", "x", "z0", {})  # wrong too, if it ran
    with pytest.raises(FileError, match=words):
        OnnxModel(graph(first, node, constants=constants))


def test_inputs_in_order_and_by_name():
    two = (Value("a", "float32", None), Value("b b", "int64", (2,)))
    node = Node("CastLike", "", ("b b", "a"), ("c",), {})
    model = OnnxModel(Graph(two, (Value("c", "float32", None),), (node,), {}, 18))
    a, b = float32(2), np.array([3, 4])
    for got in (model(a, b), model(a, **{"b b": b}), model(**{"b b": b, "a": a})):
        np.testing.assert_array_equal(got, np.array([3, 4], "float32"), strict=True)
    for inputs, named in (((a,), {}), ((a, b, b), {}), ((a, b), {"a": a}), ((a,), {"c": b})):
        with pytest.raises(TypeError, match="the model takes a, b b, each once; it is given"):
            model(*inputs, **named)


@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (np.ones((2, 3)), BackendError, "`x` is of dtype float64, the model is NumPy on cpu in float32"),
        ([[1.0, 2.0, 3.0]], BackendError, "`x` is a list, the model is NumPy"),
        (np.ones((2, 3), "int64"), TypeError, "`x` is of dtype int64; the file wants float32"),
        (float32(2, 4), ValueError, r"`x` is of shape \(2, 4\); the file wants \(batch, 3\)"),
        (float32(3), ValueError, r"`x` is of shape \(3,\); the file wants \(batch, 3\)"),
    ],
)
def test_inputs_that_do_not_fit(x, error, words):
    with pytest.raises(error, match=words):
        OnnxModel(add())(x)


def test_integers_are_widened_and_nothing_else():
    ids = (Value("x", "int32", None),)
    model = OnnxModel(graph(("Identity", "x", "y", {}), inputs=ids))
    assert model(np.array([1, 2], "int16")).dtype == np.int32
    for wrong in ("int64", "bool", "float32"):
        with pytest.raises(TypeError, match=f"`x` is of dtype {wrong}; the file wants int32"):
            model(np.array([1, 0], wrong))


def test_an_error_says_in_which_node():
    inputs = (X, Value("z", "float32", None))
    with pytest.raises(ValueError, match="broadcast") as caught:
        OnnxModel(graph(("Add", "x z", "y", {}), inputs=inputs))(float32(2, 3), float32(5))
    assert str(caught.value).startswith("Add node 'n0' cannot be computed: ") and caught.value.__cause__ is not None


def test_floats_are_of_one_dtype_if_one_is_asked_for(backend):
    """Constants, casts, what nodes hold and make, and inputs."""
    wide = (Value("x", "float64", None),)
    nodes = [
        ("Cast", "x", "a", {"to": 1}), ("Constant", "", "b", {"value_float": 0.25}), ("Add", "a b", "c", {}),
        ("Shape", "x", "s", {}), ("ConstantOfShape", "s", "d", {}), ("Add", "c d", "e", {}),
        ("Add", "e half", "y", {}),
    ]  # fmt: skip
    made = graph(*nodes, inputs=wide, constants={"half": np.full((), 0.5, "float16")})
    x = np.array([1 / 3, 2 / 3])
    wanted = x + 0.25 + 0.5
    got = OnnxModel(made, backend)(backend.asarray(x))
    assert got.dtype == backend.xp.float64
    np.testing.assert_allclose(backend.to_numpy(got), wanted, rtol=1e-15)
    narrow = opened(f"{backend.name}:{backend.device}", "float32")
    by_file = OnnxModel(made, f"{backend.name}:{backend.device}")  # the file's: float64 in, float32 out
    for model, x_here in ((OnnxModel(made, narrow), narrow.asarray(x)), (by_file, backend.asarray(x))):
        got = model(x_here)
        assert got.dtype == backend.xp.float32
        np.testing.assert_allclose(backend.to_numpy(got), wanted, rtol=1e-6)


def test_constants_are_computed_once():
    nodes = [
        ("Transpose", "w", "a", {}), ("Mul", "a a", "b", {}), ("Constant", "", "s", {"value_ints": (3, 3)}),
        ("Reshape", "b s", "c", {}), ("MatMul", "x c", "y", {}),
    ]  # fmt: skip
    model = OnnxModel(graph(*nodes, constants={"w": float32(3, 3)}))
    assert [step.node.op for step in model._plan.steps] == ["MatMul"]
    x = float32(2, 3)
    np.testing.assert_array_equal(model(x), x @ (float32(3, 3).T ** 2))


def test_shapes_stay_on_the_host(backend):
    """What is made of shapes alone is in NumPy's arrays until it meets an array of the device."""
    nodes = [
        ("Shape", "x", "s", {}), ("Gather", "s zero", "n", {}), ("Div", "n two", "m", {}),
        ("Concat", "m rest", "t", {"axis": 0}), ("Reshape", "x t", "y", {}), ("Cast", "m", "f", {"to": 1}),
        ("Mul", "y f", "z", {}),
    ]  # fmt: skip
    constants = {"zero": np.array([0]), "two": np.array(2), "rest": np.array([-1])}
    model = OnnxModel(graph(*nodes, outputs=("y", "z", "s", "two"), constants=constants), backend)
    met = {}

    def spied(step):
        def call(*arguments):
            met[step.node.op] = [type(a) for a in arguments]
            return step.call(*arguments)

        return step._replace(call=call)

    model._plan = model._plan._replace(steps=tuple(map(spied, model._plan.steps)))
    x = np.arange(12.0).reshape(4, 3)
    y, z, s, two = (backend.to_numpy(a) for a in model(backend.asarray(x)))
    np.testing.assert_array_equal(y, x.reshape(2, 6))
    np.testing.assert_array_equal(z, 2 * x.reshape(2, 6))
    assert s.tolist() == [4, 3] and two == 2
    device = type(backend.asarray(x))
    assert [met[op] for op in ("Gather", "Div", "Concat", "Cast")] == [[np.ndarray] * 2] * 3 + [[np.ndarray]]
    assert met["Reshape"] == [device, tuple] and met["Mul"] == [device, device]


def test_the_logarithm_of_a_sigmoid(backend):
    """As exporters write logsigmoid: of a number far below 0 it is that number."""
    model = OnnxModel(
        graph(("Sigmoid", "x", "s", {}), ("Log", "s", "y", {}), inputs=(X._replace(shape=None),)), backend
    )
    x = np.array([-600.0, -40.0, -1.0, 0.0, 1.0, 30.0])
    got = backend.to_numpy(model(backend.asarray(x)))
    np.testing.assert_allclose(got, -np.logaddexp(0, -x), rtol=1e-13, atol=1e-15)


def test_outputs_are_arrays_of_the_backend(backend):
    """Also those that are an input, a constant, made on the host, or without axes."""
    nodes = [("Size", "x", "n", {}), ("ReduceSum", "x", "y", {"keepdims": 0})]
    model = OnnxModel(graph(*nodes, outputs=("x", "c", "n", "y"), constants={"c": np.ones(2, "float32")}), backend)
    x = backend.asarray(np.ones((2, 3)))
    for a, wanted in zip(model(x), (np.ones((2, 3)), np.ones(2), 6, 6.0), strict=True):
        assert type(a) is type(x)
        np.testing.assert_array_equal(backend.to_numpy(a), wanted)


def test_what_is_needed_no_more_is_let_go():
    x = np.zeros((2**17, 3), "float32")
    model = OnnxModel(add(40))
    tracemalloc.start()
    try:
        y = model(x)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 3.5 * x.nbytes
    np.testing.assert_array_equal(y, x + 40)
    assert not x.any()


def test_calls_share_nothing_and_change_nothing(backend):
    model = OnnxModel(add(3), backend)
    a, b = (backend.asarray(np.full((2, 3), value)) for value in (1.0, 5.0))
    first = model(a)
    np.testing.assert_array_equal(backend.to_numpy(model(b)), np.full((2, 3), 8.0))
    np.testing.assert_array_equal(backend.to_numpy(first), np.full((2, 3), 4.0))
    np.testing.assert_array_equal(backend.to_numpy(a), np.ones((2, 3)))


def test_to_another_backend(backend):
    model = OnnxModel(add()).to(f"{backend.name}:{backend.device}")
    got = model(backend.asarray(float32(2, 3), "float32"))
    assert (model.backend.name, got.dtype) == (backend.name, backend.xp.float32)
    np.testing.assert_array_equal(backend.to_numpy(got), float32(2, 3) + 1)


def test_summary():
    model = OnnxModel(add(2))
    head = "OnnxModel(x (batch, 3) float32 -> y of any shape float32; 2 nodes on NumPy on cpu)"
    assert repr(model) == head
    assert model.summary().splitlines() == [head, "  Add  x, one -> h0", "  Add  h0, one -> y"]


@pytest.mark.parametrize("weights", ["constants", "inputs"])
def test_recurrent_nodes_refuse_what_does_not_fit(weights):
    values = {"w": float32(1, 3, 2), "r": float32(1, 3, 3)}
    inputs = [Value("x", "float32", None), Value("n", "int32", None)]
    inputs += [Value(name, "float32", None) for name in values] if weights == "inputs" else []
    made = graph(("RNN", "x w r  n", "y", {}), inputs=tuple(inputs))
    node = made.nodes[0]._replace(inputs=("x", "w", "r", "", "n"))
    made = made._replace(nodes=(node,), constants=values if weights == "constants" else {})
    more = values if weights == "inputs" else {}
    model = OnnxModel(made)
    lengths = np.array([2, 1], "int32")
    assert model(float32(2, 2, 2), lengths, **more).shape == (2, 1, 2, 3)
    for x, n, words in (
        (float32(2, 2), lengths, "X has 3 axes, the last of 2"),
        (float32(2, 2, 3), lengths, "X has 3 axes, the last of 2"),
        (float32(0, 2, 2), lengths, "X has no steps"),
        (float32(2, 2, 2), np.array([3, 1], "int32"), r"a number from 0 to 2 for each of 2 rows; it is \(3, 1\)"),
        (float32(2, 2, 2), np.array([-1, 1], "int32"), "a number from 0 to 2"),
        (float32(2, 2, 2), np.array([1], "int32"), "for each of 2 rows"),
    ):
        with pytest.raises(ValueError, match=words):
            model(x, n, **more)


def test_every_operator_is_named_as_the_standard_names_it():
    onnx = pytest.importorskip("onnx")
    for op in OPERATORS:
        assert onnx.defs.get_schema(op).name == op
