"""Optimizers: literal numbers from their equations, twenty steps beside torch, clipping, schedules, bad arguments."""

import copy
import dataclasses
import math

import numpy as np
import pytest

from xprnn import optimizers, tree
from xprnn.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop, clip_by_norm, clip_by_value, global_norm, schedules
from xprnn.optimizers.schedules import Constant, Cosine, Exponential, Piecewise, Warmup

RULES = {
    "sgd": (SGD(0.1), "SGD", {"lr": 0.1}),
    "momentum": (SGD(0.1, momentum=0.9), "SGD", {"lr": 0.1, "momentum": 0.9}),
    "nesterov": (SGD(0.1, 0.9, nesterov=True), "SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "rmsprop": (RMSprop(0.01, 0.95), "RMSprop", {"lr": 0.01, "alpha": 0.95}),
    "rmsprop all": (
        RMSprop(0.01, rho=0.95, epsilon=1e-6, momentum=0.8, centered=True),
        "RMSprop",
        {"lr": 0.01, "alpha": 0.95, "eps": 1e-6, "momentum": 0.8, "centered": True},
    ),
    "adagrad": (Adagrad(0.1), "Adagrad", {"lr": 0.1}),
    "adagrad start": (
        Adagrad(0.1, initial_accumulator=0.3, epsilon=1e-7),
        "Adagrad",
        {"lr": 0.1, "initial_accumulator_value": 0.3, "eps": 1e-7},
    ),
    "adam": (Adam(0.01), "Adam", {"lr": 0.01}),
    "adam all": (Adam(0.01, 0.8, 0.95, 1e-3), "Adam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3}),
    "adamw": (AdamW(0.01), "AdamW", {"lr": 0.01}),
    "adamw all": (
        AdamW(0.01, 0.8, 0.95, 1e-3, 0.2),
        "AdamW",
        {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.2},
    ),
}
rng = np.random.default_rng(5)
PARAMS = {"a": {"W": rng.normal(size=(2, 3))}, "b": rng.normal(size=(4,)), "nothing": {}}
STEPS = [tree.map(lambda p: rng.normal(size=p.shape), PARAMS) for _ in range(20)]


def place(backend, values):
    return tree.map(backend.asarray, values)


def fetch(backend, values):
    return tree.map(backend.to_numpy, values)


def assert_equal(got, expected, rtol=0.0, atol=0.0):
    got, expected = tree.flatten(got), tree.flatten(expected)
    assert got.keys() == expected.keys()
    for name in got:
        assert got[name].dtype == expected[name].dtype and got[name].shape == expected[name].shape
        np.testing.assert_allclose(got[name], expected[name], rtol=rtol, atol=atol, err_msg=name)


@pytest.fixture(params=RULES)
def rule(request):
    return RULES[request.param][0]


@pytest.mark.parametrize("name", RULES)
def test_twenty_steps_equal_torch(backend, name):
    torch = pytest.importorskip("torch")
    rule, peer, options = RULES[name]
    theirs = [torch.tensor(x, requires_grad=True) for x in tree.leaves(PARAMS)]
    optimizer = getattr(torch.optim, peer)(theirs, **options)
    params = place(backend, PARAMS)
    state = rule.init(params)
    for number, grads in enumerate(STEPS):
        for parameter, g in zip(theirs, tree.leaves(grads), strict=True):
            parameter.grad = torch.tensor(g)
        optimizer.step()
        params, state = rule.update(params, place(backend, grads), state)
        assert state["step"] == number + 1
    for ours, parameter in zip(tree.leaves(fetch(backend, params)), theirs, strict=True):
        np.testing.assert_allclose(ours, parameter.detach().numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "rule, expected",
    [
        # p = 1, then the gradients 2 and −1
        (SGD(0.5), [0.0, 0.5]),
        (SGD(0.5, momentum=0.5), [0.0, 0.0]),  # v = 2, 0
        (SGD(0.5, momentum=0.5, nesterov=True), [-0.5, 0.0]),  # g + v/2 = 3, −1
        (RMSprop(0.5, rho=0.5, epsilon=1.0), [0.585786437626905, 0.810531309018494]),  # v = 2, 3/2
        (RMSprop(0.5, rho=0.5, epsilon=1.0, centered=True), [0.5, 0.5 + 0.5 / 2.224744871391589]),  # v − m² = 1, 1.5
        (RMSprop(0.5, rho=0.5, epsilon=1.0, momentum=0.5, centered=True), [0.5, 0.25 + 0.5 / 2.224744871391589]),
        (Adagrad(0.5, epsilon=1.0), [1 - 1 / 3, 1 - 1 / 3 + 0.5 / (math.sqrt(5) + 1)]),  # v = 4, 5
        (Adagrad(0.5, initial_accumulator=5.0, epsilon=1.0), [0.75, 0.75 + 0.5 / (math.sqrt(10) + 1)]),
        # m = 1, 0 over 1/2, 3/4; v = 2, 1.5 over 1/2, 3/4
        (Adam(0.5, 0.5, 0.5, 2.0), [0.75, 0.75]),
        # m = 0.5, 0.125 over 1/4, 7/16 (β₁ = 3/4); v̂ = 4, 2
        (Adam(0.5, 0.75, 0.5, 2.0), [0.75, 0.75 - 0.5 * (2 / 7) / (math.sqrt(2) + 2)]),
        (AdamW(0.5, 0.5, 0.5, 2.0, 0.5), [0.5, 0.375]),  # 1 · 3/4 − 1/4; 1/2 · 3/4 − 0
    ],
    ids=repr,
)
def test_literal_numbers(backend, rule, expected):
    params, state = {"p": backend.asarray(np.ones(1))}, None
    for number, (g, wanted) in enumerate(zip((2.0, -1.0), expected, strict=True)):
        state = state or rule.init(params)
        params, state = rule.update(params, {"p": backend.asarray(np.array([g]))}, state)
        assert state["step"] == number + 1
        np.testing.assert_allclose(backend.to_numpy(params["p"]), [wanted], rtol=1e-14, atol=1e-14)


def test_pure(rule):
    params = tree.map(np.array, PARAMS)
    params, state = rule.update(params, STEPS[0], rule.init(params))
    grads = copy.deepcopy(STEPS[1])
    before = copy.deepcopy((params, grads, state))
    for leaf in tree.leaves((params, grads, {k: v for k, v in state.items() if k != "step"})):
        leaf.flags.writeable = False
    first, second = (rule.update(params, grads, state) for _ in range(2))
    assert_equal(first[0], second[0])
    assert (state["step"], second[1]["step"]) == (1, 2) and first[1].keys() == state.keys() == second[1].keys()
    assert_equal((params, grads), before[:2])
    assert_equal({**state, "step": None}, {**before[2], "step": None})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_stays(backend, rule, dtype):
    rule = dataclasses.replace(rule, learning_rate=np.float64(0.01))
    params = tree.map(lambda p: backend.asarray(p, dtype=dtype), PARAMS)
    grads = tree.map(lambda p: backend.asarray(p, dtype=dtype), STEPS[0])
    wanted = params["b"].dtype
    moved, state = rule.update(params, clip_by_value(clip_by_norm(grads, 1.0), 0.5), rule.init(params))
    assert all(x.dtype == wanted for x in tree.leaves({"p": moved, **{k: v for k, v in state.items() if k != "step"}}))
    assert float(backend.to_numpy(moved["b"])[0]) != PARAMS["b"][0]


def test_nothing_to_learn(rule):
    params, state = rule.update({}, {}, rule.init({}))
    assert params == {} and state["step"] == 1


def test_nan_shows(backend, rule):
    grads = place(backend, STEPS[0])
    grads["b"] = backend.asarray(np.array([0.0, np.nan, 1.0, 0.0]))
    params = place(backend, PARAMS)
    moved, _ = rule.update(params, grads, rule.init(params))
    np.testing.assert_array_equal(np.isnan(backend.to_numpy(moved["b"])), [False, True, False, False])


def test_centered_survives_a_constant_gradient(backend):
    rule, params = RMSprop(0.0, rho=0.5, centered=True), {"p": backend.asarray(np.array([1.0, 1.0]))}
    state = rule.init(params)
    for _ in range(200):
        params, state = rule.update(params, {"p": backend.asarray(np.array([0.1, 1.7]))}, state)
    np.testing.assert_array_equal(backend.to_numpy(params["p"]), [1.0, 1.0])


def test_scheduled_rate(backend):
    rule = SGD(Piecewise((1, 2), (1.0, 0.5, 0.0)))
    params, seen = {"p": backend.asarray(np.zeros(1))}, []
    state = rule.init(params)
    for _ in range(4):
        params, state = rule.update(params, {"p": backend.asarray(np.ones(1))}, state)
        seen.append(float(backend.to_numpy(params["p"])[0]))
    assert seen == [-1.0, -1.5, -1.5, -1.5]
    assert type(Adam(np.float32).rate(3)) is float and Adam(np.float32).rate(3) == 3.0


def test_first_update_is_at_step_zero(rule):
    late = dataclasses.replace(rule, learning_rate=Piecewise((1,), (0.0, 0.1)))
    params, state = late.update(PARAMS, STEPS[0], late.init(PARAMS))
    assert_equal(params, PARAMS)
    assert late.update(params, STEPS[1], state)[0]["b"][0] != PARAMS["b"][0]


def test_schedules():
    assert [Constant(0.3)(step) for step in (0, 9)] == [0.3, 0.3]
    assert [Exponential(8.0, 0.5, steps=2)(step) for step in (0, 1, 2, 4)] == [8.0, 8.0 * 0.5**0.5, 4.0, 2.0]
    assert [Exponential(8.0, 0.5, 2, staircase=True)(step) for step in (0, 1, 2, 3, 4)] == [8.0, 8.0, 4.0, 4.0, 2.0]
    assert [Piecewise([2, 3], [4, 2, 1])(step) for step in range(5)] == [4.0, 4.0, 2.0, 1.0, 1.0]
    assert [Warmup(1.0, 4)(step) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    rates = [Cosine(3.0, steps=6, warmup=2, end=1.0)(step) for step in (0, 1, 2, 4, 6, 60)]
    assert rates == pytest.approx([1.5, 3.0, 3.0, 2.0, 1.0, 1.0], abs=1e-15)


def test_descriptions_compare_and_print():
    assert Adam(Cosine(1, 10)) == Adam(Cosine(1.0, 10)) != Adam(Cosine(1.0, 11))
    assert repr(SGD(Warmup(0.1, 5))) == "SGD(learning_rate=Warmup(peak=0.1, steps=5), momentum=0.0, nesterov=False)"
    assert Piecewise([1], [2, 3]) == Piecewise((1,), (2.0, 3.0)) and hash(Piecewise([1], [2, 3]))
    with pytest.raises(dataclasses.FrozenInstanceError):
        Adam().beta_1 = 0.5


@pytest.mark.parametrize("limit", [0.5, 3.0, 1e6])
def test_clip_by_norm_equals_torch(backend, limit):
    torch = pytest.importorskip("torch")
    theirs = [torch.zeros(g.shape, dtype=torch.float64, requires_grad=True) for g in tree.leaves(STEPS[0])]
    for parameter, g in zip(theirs, tree.leaves(STEPS[0]), strict=True):
        parameter.grad = torch.tensor(g)
    norm = torch.nn.utils.clip_grad_norm_(theirs, limit)
    grads = place(backend, STEPS[0])
    assert float(backend.to_numpy(global_norm(grads))) == pytest.approx(norm.item(), rel=1e-14)
    for ours, parameter in zip(tree.leaves(fetch(backend, clip_by_norm(grads, limit))), theirs, strict=True):
        np.testing.assert_allclose(ours, parameter.grad.numpy(), rtol=1e-13)


def test_clip_by_norm_literally(backend):
    grads = place(backend, {"a": np.array([3.0, 0.0]), "b": {"c": np.array([[-4.0]]), "none": np.zeros((0, 2))}})
    assert float(backend.to_numpy(global_norm(grads))) == pytest.approx(5.0, rel=1e-15)
    clipped = fetch(backend, clip_by_norm(grads, 2.5))
    np.testing.assert_allclose(clipped["a"], [1.5, 0.0], rtol=1e-6)
    np.testing.assert_allclose(clipped["b"]["c"], [[-2.0]], rtol=1e-6)
    assert_equal(fetch(backend, clip_by_norm(grads, 6.0)), fetch(backend, grads))


def test_clip_by_norm_at_the_edges(backend):
    zero = place(backend, {"a": np.zeros(3)})
    assert_equal(fetch(backend, clip_by_norm(zero, 1.0)), fetch(backend, zero))
    assert float(backend.to_numpy(global_norm(zero))) == 0.0
    assert clip_by_norm({}, 1.0) == {} and global_norm({"a": {}}) == 0.0
    hollow = place(backend, {"a": np.zeros((0, 2))})
    assert_equal(fetch(backend, clip_by_norm(hollow, 1.0)), fetch(backend, hollow))
    nan = fetch(backend, clip_by_norm(place(backend, {"a": np.array([1.0, np.nan]), "b": np.ones(1)}), 1.0))
    assert np.all(np.isnan(nan["a"])) and np.all(np.isnan(nan["b"]))
    assert math.isinf(float(backend.to_numpy(global_norm(place(backend, {"a": np.array([1.0, -np.inf])})))))


def test_norm_of_exploding_float32(backend):
    grads = {"a": backend.asarray(np.array([3e30, -4e30]), dtype="float32")}
    assert float(backend.to_numpy(global_norm(grads))) == pytest.approx(5e30, rel=1e-6)
    np.testing.assert_allclose(backend.to_numpy(clip_by_norm(grads, 1.0)["a"]), [0.6, -0.8], rtol=1e-6)


def test_clip_by_value(backend):
    grads = place(backend, {"a": {"b": np.array([-3.0, -0.5, 0.0, np.nan, np.inf])}, "c": {}})
    clipped = fetch(backend, clip_by_value(grads, 1))
    np.testing.assert_array_equal(clipped["a"]["b"], [-1.0, -0.5, 0.0, np.nan, 1.0])


def test_nothing_waits_for_its_device(rule):
    torch = pytest.importorskip("torch")
    params, grads = (tree.map(lambda x: torch.tensor(x, device="meta"), values) for values in (PARAMS, STEPS[0]))
    moved, _ = rule.update(params, clip_by_value(clip_by_norm(grads, 1.0), 1.0), rule.init(params))
    assert moved["a"]["W"].shape == (2, 3) and moved["a"]["W"].device.type == "meta"


def test_get():
    for name, rule in (("adam", Adam), ("SGD", SGD), ("rmsprop", RMSprop), ("adagrad", Adagrad), ("adamw", AdamW)):
        assert optimizers.get(name) == rule()
    rule = Adam(0.1)
    assert optimizers.get(rule) is rule
    with pytest.raises(ValueError, match=r"'nadam'.*adamw"):
        optimizers.get("nadam")
    with pytest.raises(TypeError, match=r"0\.1"):
        optimizers.get(0.1)


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: SGD(-0.1), ValueError, "SGD: learning_rate=-0.1.*at least 0"),
        (lambda: Adam(math.nan), ValueError, "learning_rate=nan"),
        (lambda: Adam(math.inf), ValueError, "learning_rate=inf.*finite"),
        (lambda: Adam("fast"), TypeError, "learning_rate='fast'"),
        (lambda: Adam("0.1"), TypeError, "learning_rate='0.1'"),
        (lambda: Adam(None), TypeError, "learning_rate=None"),
        (lambda: Adam(True), TypeError, "learning_rate=True"),
        (lambda: SGD(momentum=1.0), ValueError, "momentum=1.0.*below 1"),
        (lambda: SGD(nesterov=True), ValueError, "nesterov"),
        (lambda: RMSprop(rho=1.0), ValueError, "rho=1.0"),
        (lambda: RMSprop(epsilon=0.0), ValueError, "epsilon=0.0.*above 0"),
        (lambda: RMSprop(momentum=-1), ValueError, "momentum=-1"),
        (lambda: Adagrad(initial_accumulator=-1), ValueError, "initial_accumulator"),
        (lambda: Adagrad(epsilon=-1), ValueError, "epsilon"),
        (lambda: Adam(beta_1=1.0), ValueError, "Adam: beta_1=1.0"),
        (lambda: AdamW(beta_2=-0.1), ValueError, "AdamW: beta_2=-0.1"),
        (lambda: AdamW(epsilon=0), ValueError, "epsilon"),
        (lambda: AdamW(weight_decay=-1), ValueError, "weight_decay"),
        (lambda: Constant(-1), ValueError, "Constant: rate=-1"),
        (lambda: Exponential(1, 0), ValueError, "decay=0"),
        (lambda: Exponential(1, 0.5, 0), ValueError, "steps=0"),
        (lambda: Exponential(1, 0.5, 2.5), TypeError, "steps=2.5"),
        (lambda: Piecewise([1], [1.0]), ValueError, "1 boundaries and 1 rates"),
        (lambda: Piecewise([2, 2], [1, 1, 1]), ValueError, "boundaries"),
        (lambda: Piecewise([2], [1, math.nan]), ValueError, "rates"),
        (lambda: Warmup(0.1, True), TypeError, "steps=True"),
        (lambda: Cosine(0.1, 5, warmup=5), ValueError, "warmup=5 of steps=5"),
        (lambda: clip_by_norm({}, 0.0), ValueError, "clip_by_norm: limit=0.0"),
        (lambda: clip_by_value({}, math.nan), ValueError, "clip_by_value: limit=nan"),
    ],
)
def test_bad_arguments(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_schedules_are_public():
    assert optimizers.schedules is schedules
