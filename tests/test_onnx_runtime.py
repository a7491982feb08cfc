"""Random recurrent nodes with every attribute against onnxruntime."""

import numpy as np
import pytest

from xprnn.io.onnx.recurrent import DEFAULTS, DIRECTIONS, GATES, INPUTS

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx_one_node import close, ours, saved, theirs

# The activations of recurrent operators, and how many numbers each has; those in DEFAULTED may leave them out.
ACTIVATIONS = {
    "Relu": 0, "Tanh": 0, "Sigmoid": 0, "Softsign": 0, "Softplus": 0, "LeakyRelu": 1, "ThresholdedRelu": 1, "Elu": 1,
    "HardSigmoid": 2, "Affine": 2, "ScaledTanh": 2,
}  # fmt: skip
DEFAULTED = ("LeakyRelu", "Elu", "HardSigmoid")


def draw_attributes(rng, op, direction):
    """Attributes of a recurrent node, each there or not."""
    attributes = {"direction": direction} if direction != "forward" or rng.random() < 0.5 else {}
    if rng.random() < 0.6:
        count = len(DEFAULTS[op]) * len(DIRECTIONS[direction])
        names = [str(name) for name in rng.choice(list(ACTIVATIONS), count)]
        attributes["activations"] = names
        bare = rng.random() < 0.3 and all(name in DEFAULTED or not ACTIVATIONS[name] for name in names)
        for n, attribute in enumerate(("activation_alpha", "activation_beta")):
            takes = 0 if bare else sum(ACTIVATIONS[name] > n for name in names)
            if takes:
                attributes[attribute] = [float(value) for value in rng.uniform(0.1, 0.9, takes).astype("float32")]
    if rng.random() < 0.4:
        attributes["clip"] = float(np.float32(rng.uniform(0.1, 1.5)))
    if op == "LSTM" and rng.random() < 0.4:
        attributes["input_forget"] = 1
    if op == "GRU" and rng.random() < 0.5:
        attributes["linear_before_reset"] = 1
    return attributes


def draw_inputs(rng, op, directions, sizes):
    """The inputs of a recurrent node in layout 0, the optional ones there or not."""
    T, B, D, H = sizes
    gates = GATES[op]
    shapes = {
        "X": (T, B, D), "W": (directions, gates * H, D), "R": (directions, gates * H, H),
        "B": (directions, 2 * gates * H), "sequence_lens": (B,), "initial_h": (directions, B, H),
        "initial_c": (directions, B, H), "P": (directions, 3 * H),
    }  # fmt: skip
    inputs = [(0.5 * rng.normal(size=shapes[name])).astype("float32") for name in INPUTS]
    inputs[4] = rng.integers(0, T + 1, B).astype("int32")
    inputs = [a if n < 3 or rng.random() < 0.5 else None for n, a in enumerate(inputs)]
    inputs = inputs if op == "LSTM" else inputs[:6]
    while inputs[-1] is None:
        inputs.pop()
    return inputs


def turned(arrays):
    """Arrays of layout 0 as layout 1 has them: X (B, T, D), states (B, directions, H), Y (B, T, directions, H)."""
    orders = {3: (1, 0, 2), 4: (2, 0, 1, 3)}
    return [None if a is None else np.ascontiguousarray(a.transpose(orders[a.ndim])) for a in arrays]


@pytest.mark.parametrize("seed", range(10))
def test_recurrent_nodes(seed, tmp_path):
    """20 nodes each. onnxruntime runs layout 0 alone, so layout 1 is compared with that, turned."""
    path, rng = tmp_path / "model.onnx", np.random.default_rng(seed)
    count = 0
    while count < 20:
        op, direction = (str(rng.choice(names)) for names in (list(GATES), list(DIRECTIONS)))
        sizes = [int(size) for size in rng.integers(1, 6, 4)]
        attributes = draw_attributes(rng, op, direction)
        inputs = draw_inputs(rng, op, len(DIRECTIONS[direction]), sizes)
        outputs = rng.random(3 if op == "LSTM" else 2) < 0.7
        outputs[rng.integers(len(outputs))] = True
        constants = [n for n in (1, 2, 3, 7) if n < len(inputs) and rng.random() < 0.8]
        about = (op, direction, sizes, attributes, [a is not None for a in inputs], constants)
        attributes["hidden_size"] = sizes[3]
        given = saved(path, op, inputs, attributes, outputs, constants)
        wanted = theirs(path, given)
        if not all(np.abs(a).max() < 1e6 for a in wanted):
            continue  # gates without bounds can grow like the exponential of an exponential
        close(ours(path, given), wanted, 1e-5, about)
        inputs = [*turned(inputs[:1]), *inputs[1:5], *turned(inputs[5:7]), *inputs[7:]]
        given = saved(path, op, inputs, attributes | {"layout": 1}, outputs, constants)
        close(ours(path, given), turned(wanted), 1e-5, about)
        count += 1
