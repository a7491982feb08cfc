"""Forms in which others write layers, built node by node: each becomes a Model that gives what the graph gives."""

import numpy as np
import pytest

import xprnn as xr
from xprnn.io.onnx.chain import NoChainError, to_model
from xprnn.io.onnx.graph import Graph, Node, Value
from xprnn.io.onnx.model import OnnxModel

D, H, OPEN = 3, 4, ("batch", "time", 3)
RNG = np.random.default_rng(0)


def random(*shape):
    return RNG.normal(size=shape).astype("float32")


def whole(*values):
    return np.array(values, np.int64)


LSTM = {"W": random(1, 4 * H, D), "R": random(1, 4 * H, H), "B": random(1, 8 * H)}
BOTH = {"W2": random(2, 3 * H, D), "R2": random(2, 3 * H, H), "B2": random(2, 6 * H)}
HEAD = {"V": random(H, 2), "v": random(2)}
NUMBERS = {
    "0": whole(0), "1": whole(1), "2": whole(2), "-1": whole(-1), "end": whole(2**63 - 1), "one": np.array(1),
    "zero": np.array(0), "half": np.array(0.5, "float32"), "two": np.float32([2]), "H": whole(H), "fold": whole(-1, H),
}  # fmt: skip


def graph(text, opset=17, shape=OPEN, lengths=False, constants=()):
    """A graph from lines such as "y = Op(a, b) axis=1", the last of which makes its output."""
    nodes = []
    for n, line in enumerate(filter(None, map(str.strip, text.splitlines()))):
        made, _, rest = line.partition(" = ")
        op, _, rest = rest.partition("(")
        taken, _, attributes = rest.partition(")")
        named = dict(pair.split("=") for pair in attributes.split())
        values = {name: eval(value) for name, value in named.items()}
        outputs = tuple("" if name == "_" else name for name in made.split(", "))
        inputs = tuple("" if name == "_" else name for name in taken.split(", ") if name)
        nodes.append(Node(op, f"{op}{n}", inputs, outputs, values))
    given = (Value("x", "float32", shape), *((Value("lengths", "int32", ("batch",)),) if lengths else ()))
    known = LSTM | BOTH | HEAD | NUMBERS | dict(constants)
    return Graph(given, (Value(nodes[-1].outputs[0], "float32", None),), tuple(nodes), known, opset)


# As TensorFlow's converter writes Keras's layers: lengths of the whole time, zeros for states, axes squeezed away.
STATES = """
    shape = Shape(x)
    batch = Slice(shape, 0, 1, 0)
    time = Slice(shape, 1, 2, 0)
    steps = Cast(time) to=6
    full = Expand(steps, batch)
    size = Concat(1, batch, H) axis=0
    zeros = ConstantOfShape(size)
    turned = Transpose(x) perm=(1,0,2)
    Y, Y_h = LSTM(turned, W, R, B, full, zeros, zeros) hidden_size=4
"""
# Name -> the kinds of the layers that it is, the nodes, and the version of the operators.
FORMS = {
    "sequence": (["LSTM"], STATES + "a = Squeeze(Y, 1)\n b = Transpose(a) perm=(1,0,2)", 17),
    "last": (
        ["LSTM", "Dense"],
        STATES + "a = Squeeze(Y_h, 0)\n b = MatMul(a, V)\n c = Add(b, v)\n d = Softmax(c) axis=1", 17,
    ),
    "old": (
        ["LSTM", "Pooling", "Activation"],
        """
        a = Transpose(x) perm=(1,0,2)
        Y = LSTM(a, W, R, B)
        b = Squeeze(Y) axes=(1,)
        c = Transpose(b) perm=(1,0,2)
        d = ReduceMean(c) axes=(1,)
        e = Squeeze(d) axes=(1,)
        f = Softmax(e)
        """, 11,
    ),
    "batch first": (["LSTM", "Dense"], "Y = LSTM(x, W, R, B) layout=1\n a = Squeeze(Y, 2)\n b = MatMul(a, V)", 17),
    "last, batch first": (["LSTM"], "_, Y_h = LSTM(x, W, R, B) layout=1\n a = Squeeze(Y_h, 1)", 17),
    "rows": (
        ["LSTM", "Dense"],
        STATES + """
        a = Squeeze(Y, 1)
        b = Transpose(a) perm=(1,0,2)
        c = Reshape(b, fold)
        d = Gemm(c, V, v)
        e = Concat(batch, time, 2) axis=0
        f = Reshape(d, e)
        g = Relu(f)
        """, 17,
    ),
    "average": (
        ["Recurrent"],
        """
        a = Transpose(x) perm=(1,0,2)
        Y = GRU(a, W2, R2, B2) direction='bidirectional'
        b, c = Split(Y) axis=1
        d = Squeeze(b, 1)
        e = Squeeze(c, 1)
        f = Add(d, e)
        g = Mul(f, half)
        h = Transpose(g) perm=(1,0,2)
        """, 17,
    ),
    "average, divided": (
        ["Recurrent"],
        """
        a = Transpose(x) perm=(1,0,2)
        _, Y_h = GRU(a, W2, R2, B2) direction='bidirectional'
        b = Slice(Y_h, 0, 1, 0)
        c = Slice(Y_h, 1, 2, 0)
        d = Squeeze(c, 0)
        e = Squeeze(b, 0)
        f = Add(d, e)
        g = Div(f, two)
        """, 17,
    ),
    "last step": (
        ["LSTM", "Dense"],
        """
        a = Transpose(x) perm=(1,0,2)
        Y = LSTM(a, W, R, B)
        b = Squeeze(Y, 1)
        c = Slice(b, -1, end, 0)
        d = Squeeze(c, 0)
        e = MatMul(d, V)
        """, 17,
    ),
    "last step, reckoned": (
        ["LSTM"],
        """
        a = Transpose(x) perm=(1,0,2)
        Y = LSTM(a, W, R, B)
        s = Shape(Y)
        t = Gather(s, zero)
        u = Sub(t, one)
        b = Gather(Y, u)
        c = Squeeze(b, 0)
        """, 17,
    ),
    "joined states": (
        ["Recurrent"],
        """
        a = Transpose(x) perm=(1,0,2)
        _, Y_h = GRU(a, W2, R2, B2) direction='bidirectional'
        b = Gather(Y_h, zero)
        c = Gather(Y_h, one)
        d = Unsqueeze(b, 0)
        e = Unsqueeze(c, 0)
        f = Concat(d, e) axis=0
        g = ReduceProd(f) axes=(0,) keepdims=0
        """, 17,
    ),
    "one direction's sum": (
        ["LSTM"], "a = Transpose(x) perm=(1,0,2)\n _, h = LSTM(a, W, R, B)\n b = ReduceSum(h, 0) keepdims=0", 17,
    ),
    "backwards": (
        ["Flip", "LSTM"],
        """
        f = Slice(x, -1, least, 1, -1)
        a = Transpose(f) perm=(1,0,2)
        Y = LSTM(a, W, R, B) direction='reverse'
        b = Squeeze(Y, 1)
        c = Gather(b, zero)
        """, 17,
    ),
    "pooled": (
        ["Pooling", "Activation"],
        "a = Transpose(x) perm=(0,2,1)\n b = GlobalMaxPool(a)\n c = Flatten(b)\n d = Gelu(c)", 20,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_forms(name):
    kinds, text, opset = FORMS[name]
    made = graph(text, opset, constants={"least": whole(-(2**63))})
    model = to_model(made)
    assert [type(layer).__name__ for layer in model.layer.layers] == kinds
    for batch, time in ((1, 1), (3, 5)):
        x = random(batch, time, D)
        np.testing.assert_allclose(model(x), OnnxModel(made)(x), rtol=1e-5, atol=1e-6)


TURNED = "a = Transpose(x) perm=(1,0,2)\n"
PADDED = {
    "sequence": "Y = LSTM(a, W, R, B, lengths)\n b = Squeeze(Y, 1)\n c = Transpose(b) perm=(1,0,2)",
    "last": "_, Y_h = LSTM(a, W, R, B, lengths)\n b = Squeeze(Y_h, 0)\n c = MatMul(b, V)",
    "dense": "Y = LSTM(a, W, R, B, lengths)\n b = Squeeze(Y, 1)\n c = MatMul(b, V)\n d = Add(c, v)\n e = Tanh(d)\n"
             "f = Transpose(e) perm=(1,0,2)\n g = Softmax(f)",
}  # fmt: skip


@pytest.mark.parametrize("name", PADDED)
def test_lengths(name):
    """A node that is told the lengths; what stands behind it sees the padding, and so it does in the Model."""
    made = graph(TURNED + PADDED[name], lengths=True)
    model, x, lengths = to_model(made), random(4, 5, D), np.array([5, 0, 2, 1], np.int32)
    np.testing.assert_allclose(model(x, lengths=lengths), OnnxModel(made)(x, lengths), rtol=1e-5, atol=1e-6)


NONE = {
    "no lengths": ("Y = LSTM(a, W, R, B)\n b = Squeeze(Y, 1)\n c = Transpose(b) perm=(1,0,2)", "not told the lengths"),
    "first of all": (PADDED["sequence"] + "\n d = Gather(c, zero) axis=1", "it takes step 0"),
    "last of all": (PADDED["sequence"] + "\n d = Slice(c, -1, end, 1)\n e = Squeeze(d, 1)", "it takes step"),
    "mean of all": (PADDED["sequence"] + "\n d = ReduceMean(c) axes=(1,) keepdims=0", "all steps, padding too"),
    "dense before": ("b = MatMul(x, U)", "its output has in padding"),
    "sum": (PADDED["sequence"] + "\n d = ReduceSum(c, 1) keepdims=0", "a sum over steps is no layer"),
}


@pytest.mark.parametrize("name", NONE)
def test_what_has_other_padding(name):
    text, words = NONE[name]
    with pytest.raises(NoChainError, match=words):
        to_model(graph(TURNED + text, lengths=True, constants={"U": random(D, 2)}))


WRONG = {
    "batch as time": ("Y = LSTM(x, W, R, B)\n b = Squeeze(Y, 1)", r"takes \(time, batch, feature\), and is given"),
    "widths": (TURNED + "Y = LSTM(a, W2, R, B)", "is no layer: its W is"),
    "rows differ": (TURNED + "Y = LSTM(a, W, R, B, _, states)", "initial_h is of shape"),
    "selu": ("a = Selu(x) alpha=1.0", "Selu node .* its alpha and gamma"),
    "norm of time": (
        "m = ReduceMean(x) axes=(1,)\n c = Sub(x, m)\n d = Mul(c, c)\n e = ReduceMean(d) axes=(1,)\n f = Add(e, half)\n"
        "g = Sqrt(f)\n h = Div(c, g)", "Sub node 'Sub1' is no layer",
    ),
    "scaled": ("a = Mul(x, half)", "Mul node .* half of what is no sum"),
    "summed": ("a = Transpose(x) perm=(1,0,2)\n Y = LSTM(a, W, R, B)\n b = ReduceSum(Y, 0)", "no mean and no maximum"),
    "bias": ("a = Add(x, U)", "Add node .* adds a constant to what is no product"),
    "input twice": ("a = Add(x, x)", "Add node .* not two directions|Add node .* not the two"),
    "unknown": ("a = Cos(x)\n b = Tanh(a)", r"Cos node 'Cos0' is no layer: there is no layer for it"),
    "clip": ("a = Clip(x, zero, two)", "Clip node .* between 0.0 and 2.0"),
    "by size": ("s = Shape(x)\n t = Gather(s, one)\n u = Cast(t) to=1\n a = Mul(x, u)", "makes numbers of a size"),
    "state by size": (
        TURNED + "s = Shape(x)\n t = Gather(s, one)\n u = Cast(t) to=1\n b = Gather(s, zero)\n c = Unsqueeze(b, 0)\n"
        "d = Concat(1, c, H) axis=0\n e = Expand(u, d)\n Y = LSTM(a, W, R, B, _, e)", "makes numbers of a size",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_layer(name):
    text, words = WRONG[name]
    with pytest.raises(NoChainError, match=words):
        to_model(graph(text, constants={"U": random(D), "states": random(1, 2, H)}))


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (None, "1 inputs"),
        (("batch", "time", None), "does not say how many features"),
        (("batch", "time", "steps", 3, 3), "its input is of shape"),
        (("batch", 0, 3), "its input is of shape"),
        ((), "its input is of shape"),
    ],
)
def test_inputs(shape, words):
    with pytest.raises(NoChainError, match=words):
        to_model(graph("y = Tanh(x)", shape=shape))


def test_a_state_for_each_row():
    made = graph(
        TURNED + "Y = LSTM(a, W, R, B, _, states)", shape=(2, "time", 3), constants={"states": random(1, 2, H)}
    )
    with pytest.raises(NoChainError, match="its initial_h is another in each row"):
        to_model(made)


def test_half_precision_is_widened():
    text = "a = MatMul(x, U)"
    made = graph(text, constants={"U": random(D, 2).astype("float16")})
    made = made._replace(inputs=(made.inputs[0]._replace(dtype="float16"),))
    model, x = to_model(made), random(2, 3, D)
    assert model.backend.dtype == "float32"
    np.testing.assert_allclose(model(x), x @ made.constants["U"].astype("float32"), rtol=1e-6)


def test_an_initial_state_is_learned():
    state = np.broadcast_to(random(1, 1, H), (1, 2, H))
    text = TURNED + "Y = LSTM(a, W, R, B, _, states, zeros)\n b = Squeeze(Y, 1)\n c = Transpose(b) perm=(1,0,2)"
    made = graph(text, shape=(2, "time", 3), constants={"states": state, "zeros": np.zeros((1, 2, H), "float32")})
    model, x = to_model(made), random(2, 4, D)
    assert model.layer == xr.Sequential(xr.LSTM(H, learn_state=True, double_bias=True))
    np.testing.assert_array_equal(model.params["lstm"]["0"]["state0"], state[0, 0])
    np.testing.assert_allclose(model(x), OnnxModel(made)(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [OPEN, ("batch", "time", "steps", 3)])
def test_more_layers_than_anyone_has(shape):
    text = "a0 = Tanh(x)\n" + "\n".join(f"a{n} = Tanh(a{n - 1})" for n in range(1, 1100))
    with pytest.raises(NoChainError, match="1000 layers"):
        to_model(graph(text, shape=shape))
