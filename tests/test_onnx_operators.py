"""Random inputs and attributes of operators against onnxruntime."""

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx_one_node import close, ours, saved, theirs

CASES = {}
I64 = np.int64


def case(*names, opset=18, times=6):
    """A function of rng and an operator's name that draws (inputs, attributes, number of outputs)."""

    def keep(draw):
        CASES.update({f"{name}-{opset}": (name, draw, opset, times) for name in names})
        return draw

    return keep


def floats(rng, shape, scale=2.0):
    return (scale * rng.normal(size=shape)).astype("float32")


def shape_of(rng, least=1, most=4):
    return tuple(int(n) for n in rng.integers(1, 5, rng.integers(least, most + 1)))


def broadcast(rng, count):
    """Shapes that broadcast with each other, of different ranks."""
    whole = shape_of(rng)
    shapes = [tuple(1 if rng.random() < 0.3 else n for n in whole)[rng.integers(len(whole)) :] for _ in range(count)]
    return [whole, *shapes[1:]]


def axis_of(rng, rank):
    return int(rng.integers(-rank, rank))


def some_axes(rng, rank):
    """Different axes, counted from the front or the back, in any order."""
    chosen = rng.permutation(rank)[: rng.integers(1, rank + 1)]
    return [int(n) - (rank if rng.random() < 0.5 else 0) for n in chosen]


@case("Add", "Sub", "Mul", "Div", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "PRelu")
def two_floats(rng, op):
    a, b = (floats(rng, shape) for shape in broadcast(rng, 2))
    return [a, b], {}, 1


@case("Add", "Mul", "Div", "Equal", "Less", "Mod", "Min", "Max", opset=17)
def two_integers(rng, op):
    a, b = (rng.integers(-7, 8, shape).astype("int64") for shape in broadcast(rng, 2))
    return [a, np.where(b == 0, 3, b)], {"fmod": int(rng.integers(2))} if op == "Mod" else {}, 1


@case("And", "Or", "Xor", "Equal", opset=16)
def two_bools(rng, op):
    return [rng.random(shape) < 0.5 for shape in broadcast(rng, 2)], {}, 1


@case("Sum", "Mean", "Min", "Max", "Where")
def several(rng, op):
    count = 3 if op == "Where" else int(rng.integers(1, 5))
    inputs = [floats(rng, shape) for shape in broadcast(rng, count)]
    return [inputs[0] > 0, *inputs[1:]] if op == "Where" else inputs, {}, 1


@case("Pow")
def power(rng, op):
    x, y = broadcast(rng, 2)
    exponent = rng.integers(-2, 4, y).astype(rng.choice(["int32", "int64", "float32"]))
    return [np.abs(floats(rng, x)) + 0.1, exponent], {}, 1


@case("Abs", "Ceil", "Cos", "Erf", "Exp", "Floor", "Identity", "IsInf", "IsNaN", "Neg", "Reciprocal", "Round", "Sign",
      "Sin", "Sigmoid", "Tanh", "Relu", "Softplus", "Softsign", "HardSwish", "Mish", "Shape", "Size")  # fmt: skip
def one(rng, op):
    x = np.round(floats(rng, shape_of(rng)), 1) if op == "Round" else floats(rng, shape_of(rng), 5)
    if op in ("IsInf", "IsNaN"):
        x.flat[0] = rng.choice([np.inf, -np.inf, np.nan])
    options = ("detect_negative", "detect_positive") if op == "IsInf" else ("start", "end") if op == "Shape" else ()
    return [x], {name: int(rng.integers(0, 2)) for name in options if rng.random() < 0.7}, 1


@case("Gelu", opset=20)
def gelu(rng, op):
    return [floats(rng, shape_of(rng))], {"approximate": str(rng.choice(["none", "tanh"]))}, 1


@case("Log", "Sqrt")
def positive(rng, op):
    return [np.abs(floats(rng, shape_of(rng))) + 1e-3], {}, 1


@case("Not")
def negation(rng, op):
    return [rng.random(shape_of(rng)) < 0.5], {}, 1


@case("Celu", "Elu", "LeakyRelu", "HardSigmoid", "Selu", "ThresholdedRelu")
def with_numbers(rng, op):
    names = {"HardSigmoid": ("alpha", "beta"), "Selu": ("alpha", "gamma")}.get(op, ("alpha",))
    attributes = {name: float(np.float32(rng.uniform(0.1, 2))) for name in names if rng.random() < 0.7}
    return [floats(rng, shape_of(rng))], attributes, 1


@case("Clip")
def clip(rng, op):
    low, high = (np.float32(n) if rng.random() < 0.7 else None for n in rng.normal(size=2))
    bounds = [None if n is None else np.array(n) for n in (low, high)]
    return [floats(rng, shape_of(rng)), *bounds], {}, 1


@case("Clip", opset=10)
def old_clip(rng, op):
    bounds = {"min": -float(rng.random()), "max": float(rng.random())}
    return [floats(rng, shape_of(rng))], {name: n for name, n in bounds.items() if rng.random() < 0.7}, 1


REDUCED = (
    "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"
)  # fmt: skip


@case(*REDUCED)
def reduction(rng, op):
    shape = shape_of(rng)
    attributes = {name: int(rng.integers(2)) for name in ("keepdims", "noop_with_empty_axes") if rng.random() < 0.7}
    axes = rng.choice(["none", "empty", "some"])
    given = None if axes == "none" else np.array(some_axes(rng, len(shape)) if axes == "some" else [], I64)
    return [floats(rng, shape), given], attributes, 1


@case(*REDUCED, opset=11)
def old_reduction(rng, op):
    shape = shape_of(rng)
    attributes = {"keepdims": int(rng.integers(2))} | (
        {"axes": some_axes(rng, len(shape))} if rng.random() < 0.7 else {}
    )
    return [floats(rng, shape)], attributes, 1


@case("ArgMax", "ArgMin")
def extreme(rng, op):
    shape = shape_of(rng)
    attributes = {"axis": axis_of(rng, len(shape)), "keepdims": int(rng.integers(2))}
    return [rng.integers(0, 3, shape).astype("float32")], attributes | {"select_last_index": int(rng.integers(2))}, 1


@case("CumSum")
def running(rng, op):
    shape = shape_of(rng)
    attributes = {"exclusive": int(rng.integers(2)), "reverse": int(rng.integers(2))}
    return [floats(rng, shape), np.array(axis_of(rng, len(shape)), I64)], attributes, 1


@case("Softmax", "LogSoftmax")
@case("Softmax", "LogSoftmax", opset=11)
def softmax(rng, op):
    shape = shape_of(rng)
    return [floats(rng, shape)], {} if rng.random() < 0.3 and len(shape) > 1 else {"axis": axis_of(rng, len(shape))}, 1


@case("Transpose")
def transpose(rng, op):
    shape = shape_of(rng)
    return [floats(rng, shape)], {"perm": rng.permutation(len(shape)).tolist()} if rng.random() < 0.7 else {}, 1


@case("Slice", times=20)
def slices(rng, op):
    shape = shape_of(rng)
    axes = some_axes(rng, len(shape))
    bounds = [rng.integers(-7, 8, len(axes)) for _ in range(2)]
    bounds[1][rng.random(len(axes)) < 0.3] = rng.choice([2**62, -(2**62)])
    steps = rng.choice([-3, -2, -1, 1, 2, 3], len(axes))
    return [floats(rng, shape), *(np.array(a, I64) for a in (*bounds, axes, steps))], {}, 1


@case("Slice", opset=9)
def old_slices(rng, op):
    shape = shape_of(rng)
    axes = [axis % len(shape) for axis in some_axes(rng, len(shape))]
    bounds = {name: rng.integers(-6, 7, len(axes)).tolist() for name in ("starts", "ends")}
    return [floats(rng, shape)], bounds | {"axes": axes}, 1


@case("Split", times=10)
def split(rng, op):
    shape = shape_of(rng)
    axis = axis_of(rng, len(shape))
    if rng.random() < 0.5:
        count = int(rng.integers(1, shape[axis] + 1))
        part = -(-shape[axis] // count)
        count = -(-shape[axis] // part)
        return [floats(rng, shape)], {"axis": axis, "num_outputs": count}, count
    cut = int(rng.integers(0, shape[axis] + 1))
    return [floats(rng, shape), np.array([cut, shape[axis] - cut], I64)], {"axis": axis}, 2


@case("Concat")
def concat(rng, op):
    shape = shape_of(rng)
    axis = axis_of(rng, len(shape))
    parts = [list(shape) for _ in range(rng.integers(1, 4))]
    for part in parts:
        part[axis] = int(rng.integers(0, 4))
    return [floats(rng, part) for part in parts], {"axis": axis}, 1


@case("Reshape")
def reshape(rng, op):
    shape = shape_of(rng, 2)
    wanted = [0, -1, *([1] if rng.random() < 0.5 else [])]
    return [floats(rng, shape), np.array(wanted, I64)], {}, 1


@case("Squeeze")
def squeeze(rng, op):
    shape = tuple(1 if rng.random() < 0.5 else n for n in shape_of(rng))
    ones = [n for n, size in enumerate(shape) if size == 1]
    axes = None if rng.random() < 0.4 else np.array([n - len(shape) * int(rng.integers(2)) for n in ones], I64)
    return [floats(rng, shape), axes], {}, 1


@case("Unsqueeze")
def unsqueeze(rng, op):
    shape, more = shape_of(rng, 1, 3), int(rng.integers(1, 3))
    rank = len(shape) + more
    axes = [int(n) - rank * int(rng.integers(2)) for n in rng.permutation(rank)[:more]]
    return [floats(rng, shape), np.array(axes, I64)], {}, 1


@case("Unsqueeze", opset=11)
def old_unsqueeze(rng, op):
    return [floats(rng, shape_of(rng, 1, 3))], {"axes": [0, 2]}, 1


@case("MaxPool", "AveragePool", times=20)
def pools(rng, op):
    rank = int(rng.integers(1, 3))
    lengths, strides = rng.integers(1, 4, (2, rank))
    pads = [int(rng.integers(length)) for length in (*lengths, *lengths)]
    attributes = {"kernel_shape": lengths.tolist(), "strides": strides.tolist(), "pads": pads}
    if rng.random() < 0.4:  # where windows leave gaps, onnxruntime finds its own padding negative
        automatic = str(rng.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))
        attributes = {"kernel_shape": lengths.tolist(), "auto_pad": automatic}
        attributes["strides"] = np.minimum(lengths, strides).tolist()
    if op == "AveragePool":
        attributes["count_include_pad"] = int(rng.integers(2))
    elif "pads" in attributes:
        attributes |= {"dilations": rng.integers(1, 3, rank).tolist(), "ceil_mode": int(rng.integers(2))}
    return [floats(rng, (2, 3, *rng.integers(5, 8, rank)))], attributes, 1


@case("GlobalAveragePool", "GlobalMaxPool")
def whole_pools(rng, op):
    return [floats(rng, (*shape_of(rng, 2, 2), *shape_of(rng, 1, 2)))], {}, 1


@pytest.mark.parametrize("name", CASES)
def test_operator(name, tmp_path):
    op, draw, opset, times = CASES[name]
    path, rng = tmp_path / "model.onnx", np.random.default_rng(len(name))
    for _ in range(times):
        inputs, attributes, count = draw(rng, op)
        while inputs[-1] is None:
            inputs.pop()
        given = saved(path, op, inputs, attributes, [True] * count, opset=opset)
        close(
            ours(path, given), theirs(path, given), 1e-5, (op, attributes, [None if a is None else a for a in inputs])
        )
