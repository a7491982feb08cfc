"""Random streams: published answers, the same bits on every library, and numbers that must never change."""

import array_api_compat.numpy as xp
import numpy as np
import pytest

from xprnn.arrays import namespace
from xprnn.random import Key, threefry

KEY = Key(2**64 - 1).fold("a").fold(2)
KEPT = [0, 0, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1]
ONES = (0xFFFFFFFF, 0xFFFFFFFF)
PI = ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3))


def words(values):
    return np.asarray(values, dtype=np.uint32).view(np.int32)


def host_mask(shape, rate=0.5, key=KEY):
    return key.keep(xp, np.zeros(1), shape, rate)


@pytest.mark.parametrize(
    ("key", "counter", "answer"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        (ONES, ONES, (0x1CB996FC, 0xBB002BE7)),
        (*PI, (0xC4923A9C, 0x483DF7A0)),
    ],
    ids=["zeros", "ones", "pi"],
)
def test_known_answers_of_random123(backend, key, counter, answer):
    first, second = (backend.asarray(words([word, 0])) for word in counter)
    for word, expected in zip(threefry(key, first, second), answer, strict=True):
        assert backend.to_numpy(word).view(np.uint32)[0] == expected


def test_jax_has_the_same_threefry():
    reference = pytest.importorskip("jax.extend.random").threefry_2x32
    count = np.arange(10, dtype=np.uint32) * np.uint32(0x9E3779B9)
    expected = np.asarray(reference(np.asarray(PI[0], dtype=np.uint32), count))
    first, second = threefry(PI[0], count[:5].view(np.int32), count[5:].view(np.int32))
    np.testing.assert_array_equal(np.concatenate((first, second)).view(np.uint32), expected)


def test_threefry_leaves_its_counter_alone():
    counter = np.arange(4, dtype=np.int32)
    counter.flags.writeable = False
    assert threefry((1, 2), counter, counter)[0].tolist() != counter.tolist()


def test_streams_never_change():
    assert Key(0).fold("dropout").path == (1080621274959029892,)
    assert Key(7).fold("layer").fold(3).fold(-2).path == (
        15257034690147942130, 6646235546299174085, 7309738633120399502,
    )
    assert KEY.generator().integers(0, 2**32, 4).tolist() == [2343766530, 1974644747, 1159742582, 2223079748]
    assert Key(0).generator().integers(0, 2**32, 4).tolist() == [582496169, 60417458, 4027530181, 1107101889]


def test_masks_never_change_and_agree_on_every_library(backend):
    like = backend.asarray(np.zeros(1))
    kept = KEY.keep(namespace(like), like, (2, 3, 4), 0.5)
    assert kept.dtype == like.dtype and kept.device == like.device
    np.testing.assert_array_equal(backend.to_numpy(kept), 2 * np.reshape(KEPT, (2, 3, 4)))


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3, 1 - 2.0**-53])
def test_every_rate_agrees_on_every_library(backend, rate):
    like = backend.asarray(np.zeros(1))
    np.testing.assert_array_equal(
        backend.to_numpy(KEY.keep(namespace(like), like, (101,), rate)), host_mask((101,), rate)
    )


def test_the_rate_is_exact_to_the_last_bit():
    first, _ = threefry(KEY._words(), np.zeros(1, dtype=np.int32), np.zeros(1, dtype=np.int32))
    rate = (int(first[0]) + 2**31) / 2**32
    assert host_mask((1,), rate)[0] > 0
    assert host_mask((1,), rate + 2.0**-32)[0] == 0


@pytest.mark.parametrize("wide", [False, True])
def test_jax_needs_no_64_bits(wide):
    jax = pytest.importorskip("jax")
    like = np.zeros(1, dtype=np.float32)
    expected = KEY.keep(xp, like, (24,), 0.3)
    with jax.enable_x64(wide):
        like = jax.numpy.asarray(like)
        eager = KEY.keep(jax.numpy, like, (24,), 0.3)
        compiled = jax.jit(lambda x: KEY.keep(jax.numpy, x, (24,), 0.3))(like)
    np.testing.assert_array_equal(np.asarray(eager), expected)
    np.testing.assert_array_equal(np.asarray(compiled), expected)


def test_meta_tensors_need_no_synchronisation():
    torch = pytest.importorskip("torch")
    like = torch.zeros(1, dtype=torch.float64, device="meta")
    kept = KEY.keep(namespace(like), like, (5, 3), 0.3)
    assert (kept.shape, kept.dtype, kept.device.type) == ((5, 3), torch.float64, "meta")


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (7,), (2, 3), (4, 5)])
def test_an_element_hangs_on_its_number_alone(shape):
    kept = host_mask(shape)
    assert isinstance(kept, np.ndarray) and kept.shape == shape
    np.testing.assert_array_equal(kept.ravel(), 2 * np.array(KEPT)[: kept.size])


def test_nothing_is_dropped_at_rate_zero():
    np.testing.assert_array_equal(host_mask((10000,), 0.0), 1.0)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_statistics(rate):
    n = 200_000
    kept = host_mask((n,), rate)
    assert set(kept) == {0.0, 1 / (1 - rate)}
    scores = (kept * (1 - rate) - (1 - rate)) / np.sqrt(rate * (1 - rate))
    other = host_mask((n,), rate, KEY.fold("b")) * (1 - rate) - (1 - rate)
    assert abs(scores.mean()) * np.sqrt(n) < 4
    for lag in (1, 2, 3, 64):
        assert abs(scores[lag:] @ scores[:-lag]) / np.sqrt(n) < 4
    assert abs(scores @ other) / np.sqrt(rate * (1 - rate) * n) < 4
    assert abs(scores[::2].mean()) * np.sqrt(n / 2) < 4


def test_names_lead_to_different_streams():
    root = Key(5)
    keys = [root, Key(6), root.fold("a"), root.fold("b"), root.fold("a").fold("b"), root.fold("b").fold("a"),
            root.fold("ab"), root.fold(0), root.fold(1), root.fold("1"), root.fold(-1), root.fold(2**70), root.fold("")]
    assert len({key.generator().integers(2**63) for key in keys}) == len(keys)
    assert len({host_mask((64,), key=key).tobytes() for key in keys}) == len(keys)


def test_equal_names_are_equal_keys():
    assert Key(5).fold("a").fold(np.int64(3)) == Key(np.uint64(5)).fold("a").fold(3)
    assert type(Key(np.uint64(5)).seed) is int
    assert Key(5).generator().normal() == Key(5).generator().normal()


@pytest.mark.parametrize("seed", [True, np.True_, 1.0, "1", None])
def test_a_seed_is_an_integer(seed):
    with pytest.raises(TypeError, match=r"a seed must be an integer, not .* of type"):
        Key(seed)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_has_64_bits(seed):
    with pytest.raises(ValueError, match=rf"from 0 to 2\*\*64 - 1, not {seed}"):
        Key(seed)


@pytest.mark.parametrize("name", [True, 1.0, None, b"a"])
def test_a_name_is_a_string_or_an_integer(name):
    with pytest.raises(TypeError, match="must be an integer, not"):
        Key(0).fold(name)
