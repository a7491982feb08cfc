"""xprnn.nn without PyTorch: its numbers written down, what every backend must agree on, weights, modes and dropout."""

import copy
import pickle

import numpy as np
import pytest

from xprnn import nn
from xprnn.random import Key

# PyTorch 2.13 in float64, with these weights; the loss whose gradients these are is out.sum() + h_n.sum().
RNN_WEIGHTS = {
    "weight_ih_l0": [[0.54, 0.24], [-0.05, 0.49], [0.17, 0.34]],
    "weight_hh_l0": [[-0.37, -0.17, 0.09], [-0.24, -0.05, -0.37], [-0.17, 0.14, -0.02]],
    "bias_ih_l0": [-0.07, -0.11, -0.34],
    "bias_hh_l0": [0.19, 0.33, -0.33],
}
RNN_X = [[[-0.21, -0.43], [-0.71, -0.11], [-1.24, -0.48], [-0.69, -1.51]]]
RNN_OUT = [
    [
        [-0.09630064111253603, 0.019797412941691416, -0.6920607707072464],
        [-0.3093439673853742, 0.44607122187116055, -0.6612975039342508],
        [-0.5952070866084627, 0.33052637088363185, -0.7238737927904656],
        [-0.47469328925453036, -0.09099094420749845, -0.8139973510297006],
    ]
]
RNN_DX = [
    [
        [0.2635367287647067, 0.6763589220830237],
        [0.446358439877983, 0.7243455898728709],
        [-0.05805594851050507, 0.3574962852740572],
        [0.8521863450760835, 1.573163702567715],
    ]
]
RNN_GRADS = {
    "weight_ih_l0": [
        [-1.5776255238769572, -2.564800289331672],
        [-2.9385622312008755, -3.778492385014621],
        [-1.0781572704112616, -1.3252188855698463],
    ],
    "weight_hh_l0": [
        [-0.9635231630216613, 0.4800923390319771, -1.5840679724221194],
        [-1.4602652688777171, 0.9624393201770435, -2.4276459211808876],
        [-0.49978502115364043, 0.3145989255968949, -0.902210969415751],
    ],
    "bias_ih_l0": [2.6583086282685446, 4.332699351062217, 1.6774933735080282],
    "bias_hh_l0": [2.6583086282685446, 4.332699351062217, 1.6774933735080282],
}
# Both directions, batch_first, lengths 3 and 1; weight number n is sin(arange(size) + n) / 2, and x is cos(arange(12)).
GATED = {
    "LSTM": {
        "out": [
            [
                [0.2668241854074111, 0.09601249794162053, -0.3566311017406244, -0.23733579721698717],
                [0.05114250961635707, 0.12657404683890044, -0.41544463468925685, -0.455423229044255],
                [-0.03165296702894995, 0.15316694837651978, -0.13044851195604665, -0.36739981492215734],
            ],
            [[0.28386902132578645, 0.06544596929632394, -0.09221755556169675, -0.020452055859435023], [0] * 4, [0] * 4],
        ],
        "c_n": [
            [[-0.04321848201401194, 0.3765726555704363], [0.47151550762125044, 0.09977963554866259]],
            [[-0.9668177812164639, -0.4790165157469807], [-0.25911764524537156, -0.03415631838260665]],
        ],
        "dx": [
            [
                [0.9289020551403073, 0.8784579338050715],
                [0.6077182439411792, 0.44312032938659085],
                [1.083192311891284, 0.6136438382992532],
            ],
            [[0.8958236466577896, 0.4975041621414147], [0, 0], [0, 0]],
        ],
        "sums": [
            *(3.5162395638759385, 0.9214617344840847, 7.613465302197942, 7.613465302197941),
            *(2.75821840420266, 0.4838515990732223, 1.2093047956930645, 1.2093047956930645),
        ],
    },
    "GRU": {
        "out": [
            [
                [0.48826284968768635, 0.03618661810770628, -0.42267213630939726, -0.2355964283418374],
                [0.006327801826788548, 0.5290757040616012, -0.36134384525402186, -0.5213140277882218],
                [-0.18316637859758472, 0.481507019296678, -0.12307344107103832, -0.37031162498963277],
            ],
            [[0.5118914402299118, -0.024849827972506712, -0.10550396201179824, 0.018704773098832363], [0] * 4, [0] * 4],
        ],
        "dx": [
            [
                [0.9190458820659099, 0.4201085279289898],
                [0.3924240342311513, 0.007834467721644589],
                [0.41648958204463327, 0.09602718931247539],
            ],
            [[0.990831417532362, 0.2536949577280647], [0, 0], [0, 0]],
        ],
        "sums": [
            *(3.3532012572891294, 1.2341988406581754, 7.8438822361779295, 4.736053678188627),
            *(1.9881133598411258, -0.9886864406043181, 6.1384582540722885, 4.168965364798809),
        ],
    },
}


def close(backend, met, wanted):
    backend.check(met, "result")
    np.testing.assert_allclose(backend.to_numpy(met), np.array(wanted, float), rtol=1e-12, atol=1e-14)


def test_rnn_gives_torch_numbers(backend):
    rnn = nn.RNN(2, 3, batch_first=True, backend=backend)
    rnn.load_state_dict(RNN_WEIGHTS)
    x, ones = backend.asarray(RNN_X), backend.xp.ones_like
    out, h_n, pullback = rnn.vjp(x)
    assert tuple(out.shape) == (1, 4, 3) and tuple(h_n.shape) == (1, 1, 3)
    close(backend, out, RNN_OUT)
    close(backend, h_n, [[RNN_OUT[0][-1]]])
    close(backend, rnn(x)[0], RNN_OUT)
    dx, _, grads = pullback(ones(out), ones(h_n))
    close(backend, dx, RNN_DX)
    for name, wanted in RNN_GRADS.items():
        close(backend, grads[name], wanted)


@pytest.mark.parametrize("name", GATED)
def test_gated_gives_torch_numbers(backend, name):
    wanted = GATED[name]
    rnn = getattr(nn, name)(2, 2, batch_first=True, bidirectional=True, backend=backend)
    sizes = {label: tuple(a.shape) for label, a in rnn.named_parameters()}
    waves = [0.5 * np.sin(np.arange(np.prod(shape)) + n).reshape(shape) for n, shape in enumerate(sizes.values())]
    rnn.load_state_dict(dict(zip(sizes, waves, strict=True)))
    x, ones = backend.asarray(np.cos(np.arange(12.0)).reshape(2, 3, 2)), backend.xp.ones_like
    out, h_n, pullback = rnn.vjp(x, lengths=[3, 1])
    close(backend, out, wanted["out"])
    first, second = wanted["out"]
    h = h_n[0] if name == "LSTM" else h_n
    close(backend, h, [[first[2][:2], second[0][:2]], [first[0][2:], second[0][2:]]])
    if name == "LSTM":
        close(backend, h_n[1], wanted["c_n"])
    dx, _, grads = pullback(ones(out), (ones(h), ones(h)) if name == "LSTM" else ones(h))
    close(backend, dx, wanted["dx"])
    sums = [float(np.sum(backend.to_numpy(grad))) for grad in grads.values()]
    np.testing.assert_allclose(sums, wanted["sums"], rtol=1e-12)


@pytest.mark.parametrize("name", nn.__all__)
def test_every_backend_begins_with_the_same_weights(backend, name):
    wanted = getattr(nn, name)(3, 4, seed=5, dtype="float64").state_dict()
    met = getattr(nn, name)(3, 4, seed=5, backend=backend).state_dict()
    for label, a in met.items():
        backend.check(a, label)
        np.testing.assert_array_equal(backend.to_numpy(a), wanted[label])
    other = getattr(nn, name)(3, 4, seed=6, dtype="float64").state_dict()
    assert all(np.all(a != wanted[label]) for label, a in other.items())


def test_a_layer_more_leaves_the_others_as_they_were():
    short, long = nn.GRU(3, 4, seed=1), nn.GRU(3, 4, 2, bidirectional=True, seed=1)
    for name, weight in short.named_parameters():
        np.testing.assert_array_equal(weight, getattr(long, name))


def test_shapes_alone_on_meta():
    pytest.importorskip("torch", reason="torch is not installed")
    rnn = nn.LSTM(3, 4, 2, bidirectional=True, dropout=0.5, backend="torch:meta")
    x = rnn.backend.asarray(np.zeros((5, 2, 3)))
    out, h_n, pullback = rnn.vjp(x, lengths=[2, 0])
    dx, dhx, _ = pullback(out, h_n)
    assert [tuple(a.shape) for a in (out, *h_n, dx, *dhx)] == [(5, 2, 8), *[(4, 2, 4)] * 2, (5, 2, 3), *[(4, 2, 4)] * 2]


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_a_cell_is_a_sequence_of_one_step(name):
    rng = np.random.default_rng(0)
    whole, cell = getattr(nn, name)(3, 4, dtype="float64"), getattr(nn, f"{name}Cell")(3, 4, dtype="float64")
    cell.load_state_dict({label.removesuffix("_l0"): a for label, a in whole.state_dict().items()})
    x, state = rng.normal(size=(6, 2, 3)), None
    for step in x:
        state = cell(step, state)
    _, h_n = whole(x)
    for a, b in zip(state if name == "LSTM" else [state], h_n if name == "LSTM" else [h_n], strict=True):
        np.testing.assert_allclose(a, b[0], rtol=1e-13)


def test_an_initial_state_of_zeros_is_none():
    rng = np.random.default_rng(0)
    rnn, cell = nn.LSTM(3, 4, 2, dtype="float64"), nn.LSTMCell(3, 4, dtype="float64")
    x, h = rng.normal(size=(5, 2, 3)), rng.normal(size=(2, 2, 4))
    np.testing.assert_array_equal(rnn(x)[0], rnn(x, (None, np.zeros((2, 2, 4))))[0])
    np.testing.assert_array_equal(rnn(x, (h, None))[0], rnn(x, (h, np.zeros((2, 2, 4))))[0])
    np.testing.assert_array_equal(cell(x[0])[1], cell(x[0], (None, None))[1])


def test_cotangents_left_out_are_zero():
    rnn = nn.GRU(3, 4, 2, dtype="float64")
    out, h_n, pullback = rnn.vjp(np.random.default_rng(0).normal(size=(5, 2, 3)))
    both = pullback(out, h_n)
    parts = pullback(out), pullback(None, h_n)
    np.testing.assert_allclose(both[0], parts[0][0] + parts[1][0], rtol=1e-12)
    np.testing.assert_allclose(both[1], parts[0][1] + parts[1][1], rtol=1e-12)
    for name, grad in both[2].items():
        np.testing.assert_allclose(grad, parts[0][2][name] + parts[1][2][name], rtol=1e-12, atol=1e-15)
    assert all(np.all(grad == 0) for grad in pullback()[2].values())


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_results_may_be_written_into_before_the_reverse(name):
    """A result that is a view of the tape would change what the reverse computes."""
    x = np.random.default_rng(0).normal(size=(5, 2, 3))
    rnn, cell = getattr(nn, name)(3, 4, 2, dtype="float64"), getattr(nn, f"{name}Cell")(3, 4, dtype="float64")
    out, h_n, pullback = rnn.vjp(x)
    h, step_back = cell.vjp(x[0])
    for call, args in ((pullback, (np.ones_like(out),)), (step_back, (copy.deepcopy(h),))):
        first = call(*args)
        wanted = copy.deepcopy(first)
        for a in (out, *h_n, *h, *first[1], first[0], *first[2].values()):
            a *= 7
        np.testing.assert_equal(call(*args), wanted)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_gradients_share_no_memory(name):
    out, _, pullback = getattr(nn, name)(3, 4, 2, dtype="float64").vjp(np.ones((5, 2, 3)))
    found = list(pullback(out)[2].values())
    assert not any(np.shares_memory(a, b) for n, a in enumerate(found) for b in found[:n])


def test_two_calls_may_be_outstanding():
    rnn, rng = nn.LSTM(3, 4, dtype="float64"), np.random.default_rng(0)
    x, other = rng.normal(size=(2, 5, 2, 3))
    out, _, alone = rnn.vjp(x)
    wanted = alone(out)
    _, _, first = rnn.vjp(x)
    rnn.vjp(other)
    rnn(other)
    np.testing.assert_equal(first(out), wanted)


def test_weights_are_attributes_that_a_step_of_descent_may_change():
    rng = np.random.default_rng(0)
    rnn = nn.GRU(3, 4, bidirectional=True, seed=2)
    x, target = rnn.backend.asarray(rng.normal(size=(6, 5, 3))), rnn.backend.asarray(rng.uniform(-0.5, 0.5, (6, 5, 8)))
    losses = []
    for _ in range(60):
        out, _, pullback = rnn.vjp(x, lengths=[6, 5, 4, 3, 2])
        difference = np.where(out == 0, 0, out - target)
        losses.append(np.sum(difference**2))
        _, _, grads = pullback(difference)
        for name, weight in rnn.named_parameters():
            setattr(rnn, name, weight - 0.1 * grads[name])
    assert losses[-1] < 0.5 * losses[0] and np.all(np.diff(losses) < 0)


def test_a_copy_and_a_pickle_compute_the_same():
    rnn, x = nn.LSTM(3, 4, 2, seed=3), np.ones((5, 2, 3), np.float32)
    for again in (copy.deepcopy(rnn), pickle.loads(pickle.dumps(rnn))):
        np.testing.assert_equal(again(x), rnn(x))
        again.bias_hh_l0 += 1
        assert np.all(again(x)[0] != rnn(x)[0])


def relays(**options):
    """Two layers that hand a positive x through, so that what dropout does between them can be read off."""
    rnn = nn.RNN(40, 40, 2, "relu", bias=False, dtype="float64", **options)
    weights = {name: np.eye(40) if "ih" in name else np.zeros((40, 40)) for name in rnn.state_dict()}
    rnn.load_state_dict(weights)
    return rnn


def test_dropout_is_between_layers_and_scales_what_it_keeps():
    rnn, x = relays(dropout=0.25), np.random.default_rng(0).uniform(1, 2, (50, 10, 40))
    out, _, pullback = rnn.vjp(x)
    factors = out / x
    np.testing.assert_allclose(factors[factors != 0], 4 / 3, rtol=1e-12)
    assert abs(np.mean(factors == 0) - 0.25) < 0.01
    assert np.all(np.mean(factors[1:] != factors[:-1], axis=(1, 2)) > 0.2), "each step has its own"
    np.testing.assert_allclose(pullback(np.ones_like(x))[0], factors, rtol=1e-12)


def test_dropout_is_for_training_and_can_be_replayed():
    rnn, x, key = relays(dropout=0.5, seed=4), np.ones((5, 2, 40)), Key(9).fold("step")
    assert rnn.training
    first, second = rnn(x)[0], rnn(x)[0]
    assert rnn.calls == 2 and np.any(first != second)
    np.testing.assert_array_equal(rnn(x, key=key)[0], rnn(x, key=key)[0])
    assert rnn.calls == 2 and np.any(rnn(x, key=key)[0] != first)
    assert rnn.eval() is rnn and not rnn.training
    np.testing.assert_array_equal(rnn(x, key=key)[0], x)
    assert rnn.train() is rnn and rnn.calls == 2
    rnn.calls = 0
    np.testing.assert_array_equal(rnn(x)[0], first)
    again, other = relays(dropout=0.5, seed=4), relays(dropout=0.5, seed=5)
    np.testing.assert_array_equal([again(x)[0], again(x)[0]], [first, second])
    assert np.any(other(x)[0] != first)


def test_dropout_is_the_same_on_every_backend(backend):
    x = np.random.default_rng(0).normal(size=(5, 2, 3))
    wanted = nn.GRU(3, 4, 2, dropout=0.5, dtype="float64")(x, lengths=[5, 2])[0]
    close(backend, nn.GRU(3, 4, 2, dropout=0.5, backend=backend)(backend.asarray(x), lengths=[5, 2])[0], wanted)
