"""Updates and the norm of gradients as single launches, run on the CPU, beside the array operations they stand for."""

import itertools

import numpy as np
import pytest
from emulation import MISSING, Emulated
from test_optimizers import RULES

from xprnn import gpu, tree
from xprnn.optimizers import clip_by_norm, clip_by_value, clipped, global_norm

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

SHAPES = [(), (1,), (0, 3), (127,), (2, 64), (129,), (3, 5, 7), *((n,) for n in range(1, 40))]
CLIPS = clip_by_norm, clip_by_value
TOLERANCE = {"float32": 2e-6, "float64": 1e-14}
EACH_DTYPE = pytest.mark.parametrize("dtype", TOLERANCE)


@pytest.fixture
def on(monkeypatch):
    """Put whatever NumPy's arrays are in on this device."""
    return lambda device: monkeypatch.setattr(gpu, "DEVICES", (device,))


def draw(dtype, seed=0, shapes=SHAPES):
    rng = np.random.default_rng(seed)
    return {str(n): {"W": rng.normal(size=shape).astype(dtype)[...]} for n, shape in enumerate(shapes)}


def arrays(branch):
    return tree.map(np.asarray, branch)


def frozen(branch):
    for leaf in tree.leaves(branch):
        leaf.flags.writeable = False
    return branch


def same(got, wanted, tolerance):
    got, wanted = tree.flatten(got), tree.flatten(wanted)
    assert got.keys() == wanted.keys()
    for name, leaf in wanted.items():
        assert got[name].dtype == leaf.dtype and got[name].shape == leaf.shape
        np.testing.assert_allclose(got[name], leaf, rtol=10 * tolerance, atol=tolerance, err_msg=name)


def updates(rule, dtype, count=3, shapes=SHAPES):
    params = frozen(arrays(draw(dtype, shapes=shapes)))
    state = rule.init(params)
    for step in range(count):
        grads = frozen(arrays(draw(dtype, 1 + step, shapes)))
        params, state = rule.update(params, grads, state)
        slots = {name: frozen(arrays(slot)) for name, slot in state.items() if name != "step"}
        params, state = frozen(arrays(params)), {**slots, "step": state["step"]}
    return {"params": params, **{name: slot for name, slot in state.items() if name != "step"}}


@EACH_DTYPE
@pytest.mark.parametrize("name", RULES)
def test_an_update_is_one_launch_for_many_leaves(name, dtype, on):
    rule = RULES[name][0]
    wanted, device = updates(rule, dtype), Emulated()
    on(device)
    same(updates(rule, dtype), wanted, TOLERANCE[dtype])
    assert next(device.launches) == 3 * 2  # 45 leaves with elements


@EACH_DTYPE
def test_leaves_laid_out_otherwise_and_trees_in_another_order(dtype, on):
    rule = RULES["adam"][0]
    params, grads = ({"a": leaf, "b": leaf[:1]} for leaf in (draw(dtype, seed, [(6, 4)])["0"]["W"] for seed in (0, 1)))
    wanted, _ = rule.update(params, grads, rule.init(params))
    on(Emulated())
    turned = {name: np.asfortranarray(params[name]) for name in "ab"}
    strided = {name: np.repeat(grads[name], 2, axis=1)[:, ::2] for name in "ba"}
    moved, state = rule.update(turned, strided, rule.init(turned))
    same(moved, wanted, TOLERANCE[dtype])
    assert list(state["m"]) == ["a", "b"]


def test_other_dtypes_are_left_to_the_library(on):
    rule, device = RULES["adam"][0], Emulated()
    wanted = updates(rule, "float16", shapes=[(5,), (2, 3)])
    on(device)
    same(updates(rule, "float16", shapes=[(5,), (2, 3)]), wanted, 0.0)
    params, grads = {"a": np.ones(3), "b": np.ones(2, np.float32)}, {"a": np.ones(3), "b": np.ones(2, np.float32)}
    moved, _ = rule.update(params, grads, rule.init(params))
    assert moved["b"].dtype == np.float32 and moved["a"].dtype == np.float64
    assert rule.update({}, {}, rule.init({}))[0] == {}
    assert next(device.launches) == 0


@EACH_DTYPE
@pytest.mark.parametrize("limit", [0.5, 1e6])
def test_clipping_is_three_launches(dtype, limit, on):
    grads = frozen(arrays(draw(dtype, 3, [*SHAPES[:7], (3, 700), (140_000,)])))
    norm, wanted, device = global_norm(grads), clip_by_norm(grads, limit), Emulated()
    on(device)
    got = global_norm(grads)
    assert got.shape == () and got.dtype == dtype
    np.testing.assert_allclose(got, norm, rtol=10 * TOLERANCE[dtype])
    assert next(device.launches) == 2
    same(clip_by_norm(grads, limit), wanted, TOLERANCE[dtype])
    assert next(device.launches) == 6
    many = frozen(arrays(draw(dtype, 4)))
    same(clip_by_norm(many, limit), clip_by_norm(many, limit), 0.0)
    np.testing.assert_allclose(global_norm(many), np.sqrt(sum(np.sum(g * g) for g in tree.leaves(many))), rtol=1e-5)


@EACH_DTYPE
def test_clipping_each_number_is_one_launch(dtype, on):
    grads = arrays(draw(dtype, 3, SHAPES[:7])) | {"edges": np.array([np.nan, np.inf, -np.inf, -0.5, 0.5], dtype)}
    wanted, device = clip_by_value(grads, 0.5), Emulated()
    on(device)
    same(clip_by_value(grads, 0.5), wanted, 0.0)
    assert next(device.launches) == 1


@pytest.mark.parametrize("values", [
    [0.0, 0.0], [3e30, -4e30], [1e-30, 1e-30], [1.0, np.inf], [-np.inf, np.inf, 2.0], [np.nan, 1.0], [0.0, np.nan],
    [np.nan, np.inf], [np.inf, np.nan], [5.0, np.nan, 0.0],
])  # fmt: skip
def test_norms_at_the_edges(values, on):
    for order in itertools.permutations(values):
        grads = {"a": np.array(order[:1], np.float32), "b": np.array(order[1:], np.float32)}
        with np.errstate(all="ignore"):
            norm, wanted = global_norm(grads), clip_by_norm(grads, 1.0)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(gpu, "DEVICES", (Emulated(),))
                np.testing.assert_allclose(global_norm(grads), norm, rtol=1e-6)
                same(clip_by_norm(grads, 1.0), wanted, 1e-7)


def test_the_order_of_threads_changes_no_bit(on):
    results = []
    for seed in range(3):
        on(Emulated(seed))
        grads = arrays(draw("float32", 3, [(300,), (20_000,)]))
        results.append({"clipped": clip_by_norm(grads, 0.5), "update": updates(RULES["adam"][0], "float32")})
    for other in results[1:]:
        same(other, results[0], 0.0)


DAMAGE = [
    ("optimizers.cu", "p - n[0] * g;", "p + n[0] * g;", "sgd"),
    ("optimizers.cu", "n[1] * s[0] + g;", "n[1] * s[0] - g;", "momentum"),
    ("optimizers.cu", "nesterov ? g +", "nesterov ? s[0] +", "nesterov"),
    ("optimizers.cu", "n[4] * (g * g)", "n[4] * g", "adam"),
    ("optimizers.cu", "n[7] * p", "p", "adamw"),
    ("optimizers.cu", "/ n[5] + n[6]", "+ n[6]", "adam"),
    ("optimizers.cu", "s[1 + centered] = n[4] * s[1 + centered] + way", "n[4] * s[1 + centered] + way", "rmsprop all"),
    ("optimizers.cu", "size -= s[1] * s[1];", "size -= s[1];", "rmsprop all"),
    ("optimizers.cu", "s[0] += g * g;", "s[0] = g * g;", "adagrad"),
    ("optimizers.cu", "if (i >= count) return;", "if (i + 1 >= count) return;", "sgd"),
    ("optimizers.cu", "while (i >= ends.of[leaf])", "while (i > ends.of[leaf])", "sgd"),
    ("optimizers.cu", "i - ends.of[leaf - 1]", "i", "sgd"),
    ("clip.cu", "s = t + s * (m / a) * (m / a);", "s = t + s * (m / a);", "clip"),
    ("clip.cu", "s += t;", "s += 0;", "clip"),
    ("clip.cu", "        __syncthreads();\n        if (mine", "        if (mine", "clip"),
    ("clip.cu", "n += WIDTH) add", "n += 2 * WIDTH) add", "clip"),
    ("clip.cu", "2 * (first + blockIdx.x)] = m", "2 * blockIdx.x] = m", "clip"),
    ("clip.cu", "share > 1 ? Real(1) : share", "share", "clip"),
    ("clip.cu", "x < -bound ? -bound : x", "x", "clip"),
    ("clip.cu", "i += static_cast<Index>(gridDim.x) * WIDTH", "i += count", "clip"),
]


@pytest.mark.parametrize("file, old, new, name", DAMAGE)
def test_damage_is_seen(file, old, new, name, on, monkeypatch):
    monkeypatch.setattr(clipped, "BLOCKS", 260)
    shapes = [(5,), (100,), (0,), (34,), (1,)]
    grads = {"a": np.linspace(-1, 1, 70_000), "b": {str(n): np.ones(1 + n) for n in range(40)}}

    def results():
        if name != "clip":
            return updates(RULES[name][0], "float64", 2, shapes)
        return {f"{clip.__name__} {limit}": clip(grads, limit) for clip in CLIPS for limit in (0.7, 1e6)}

    wanted = results()
    on(Emulated(edits=((file, old, new),)))
    with pytest.raises((AssertionError, RuntimeError)):
        same(results(), wanted, 1e-13)
