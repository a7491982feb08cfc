"""The emulation of GPUs finds what it is there to find, and does what CUDA does."""

import itertools

import numpy as np
import pytest
from emulation import MISSING, Emulated
from emulation.build import NotCompiled, built
from emulation.memory import Struct, run

from xprnn.gpu import blas

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

HEAD = 'extern "C" __global__ void go('
SCALE = HEAD + """long long count, double factor, const float* x, float* y) {
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) y[i] = factor * x[i];
}"""
TURN = HEAD + """int* y) {
    __shared__ int all[64];
    all[threadIdx.x] = threadIdx.x + 100 * blockIdx.x;
    __syncthreads();
    y[blockIdx.x * 64 + threadIdx.x] = all[63 - threadIdx.x];
}"""
WARP = HEAD + """int* y) {
    int sum = threadIdx.x;
    for (int step = 16; step > 0; step /= 2) sum += __shfl_down_sync(0xFFFFFFFFu, sum, step);
    y[threadIdx.x] = __shfl_sync(0xFFFFFFFFu, sum, 0) + 1000 * __shfl_xor_sync(0xFFFFFFFFu, (int)threadIdx.x, 1);
}"""


def go(text, arguments, blocks=1, threads=64, seed=0):
    run("go", built(text)["run_go"], arguments, blocks, threads, seed)


def floats(count):
    return np.arange(count, dtype=np.float32)


def test_threads_do_what_they_are_told():
    x, y = floats(100), np.zeros(100, np.float32)
    go(SCALE, (100, 2.0, x, y), 2)
    np.testing.assert_array_equal(y, 2 * x)


@pytest.mark.parametrize("arguments, words", [
    ((100, 2.0, floats(100)), "there are 3 arguments, the kernel takes 4"),
    ((100, 2, floats(100), floats(100)), "argument 1 is of kind i, the kernel takes d"),
    ((100, 2.0, np.zeros(100), floats(100)), "argument 2 is p of d, the kernel takes an array of f"),
    ((100, 2.0, 1, floats(100)), "argument 2 is i"),
    ((1000, 2.0, floats(1000), floats(100)), "writes beside an array of 400 bytes"),
])  # fmt: skip
def test_arguments_that_do_not_fit_are_told(arguments, words):
    with pytest.raises(RuntimeError, match=words):
        go(SCALE, arguments, 16)


STRUCTS = """struct Places { const float* of[2][2]; };
struct Numbers { double of[2]; };
""" + HEAD + """Places places, Numbers numbers, float* y) {
    const int i = threadIdx.x;
    if (i < 5) y[i] = numbers.of[0] * places.of[0][1][i] + numbers.of[1] * places.of[1][0][i];
}"""


def test_structs_are_given_by_value():
    x, y = floats(10), np.zeros(5, np.float32)
    places, numbers = Struct((0, x[:5], x[5:], 0)), Struct((10.0, 1.0))
    go(STRUCTS, (places, numbers, y))
    np.testing.assert_array_equal(y, 10 * x[:5] + x[5:])
    for arguments, words in (
        ((Struct((0, x, x)), numbers, y), "argument 0 is 3 of kind t, the kernel takes a tuple of 4"),
        ((places, Struct((1.0, 1)), y), "argument 1 is of kind i, the kernel takes d"),
        ((Struct((0, x, np.zeros(3), 0)), numbers, y), "argument 0 is p of d, the kernel takes an array of f"),
        ((x, numbers, y), "argument 0 is 1 of kind p, the kernel takes a tuple of 4"),
    ):
        with pytest.raises(RuntimeError, match=words):
            go(STRUCTS, arguments)


@pytest.mark.parametrize("argument", [None, "x", np.float32(1), True, (1.0, 2.0)])
def test_what_cupy_would_not_take_is_refused(argument):
    with pytest.raises(TypeError, match="arrays, integers and floats"):
        go(SCALE, (100, 2.0, argument, floats(100)))


def test_a_kernel_that_takes_what_cupy_does_not_give_is_not_built():
    with pytest.raises(NotCompiled, match="long long or double"):
        built(HEAD + "float x, float* y) { y[0] = x; }")


def test_what_lies_beside_an_array_is_nan():
    y = floats(100)
    go(SCALE, (100, 1.0, floats(99), y), 2)
    assert np.isnan(y[99]) and not np.isnan(y[:99]).any()


@pytest.mark.parametrize("seed", range(5))
def test_threads_meet(seed):
    y = np.zeros(128, np.int32)
    go(TURN, (y,), 2, seed=seed)
    np.testing.assert_array_equal(y, np.concatenate([np.arange(64)[::-1], np.arange(64)[::-1] + 100]))
    y = np.zeros(64, np.int32)
    go(WARP, (y,), seed=seed)
    sums = np.repeat([31 * 16, 31 * 16 + 32 * 32], 32)
    np.testing.assert_array_equal(y, sums + 1000 * (np.arange(64) ^ 1))


def test_a_missing_barrier_is_seen():
    y = np.zeros(128, np.int32)
    go(TURN.replace("    __syncthreads();\n", ""), (y,), 2)
    assert np.any(y == -1)  # nobody had written there


@pytest.mark.parametrize("text", [TURN, WARP])
def test_threads_that_wait_for_others_in_vain_are_told(text):
    text = text.replace("{\n", "{\n    if (threadIdx.x == 40) return;\n", 1)
    with pytest.raises(RuntimeError, match=r"deadlock in block 0: .* of 64 threads have ended, the others wait"):
        go(text, (np.zeros(128, np.int32),))


def test_the_seed_decides_the_order():
    text = HEAD + "long long* turn, long long* y) { y[blockIdx.x * blockDim.x + threadIdx.x] = (*turn)++; }"
    orders = []
    for seed in (0, 0, 1):
        orders.append(np.zeros(256, np.int64))
        go(text, (np.zeros(1, np.int64), orders[-1]), 4, seed=seed)
        np.testing.assert_array_equal(np.sort(orders[-1]), np.arange(256))
    assert np.array_equal(orders[0], orders[1]) and not np.array_equal(orders[0], orders[2])
    assert not np.array_equal(np.sort(orders[0][:64]), np.arange(64))  # blocks go on side by side


def test_arrays_that_share_memory_do_so_in_a_kernel():
    x = floats(100)
    go(SCALE, (50, 3.0, x[:50], x[50:]), 1)
    np.testing.assert_array_equal(x[50:], 3 * floats(50))
    matrix = floats(12).reshape(3, 4)
    go(SCALE, (4, 1.0, matrix[2], matrix[0]))
    np.testing.assert_array_equal(matrix[0], matrix[2])


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint16"])
def test_fresh_arrays_are_of_no_use(dtype):
    fresh = Emulated().empty((2, 3), dtype)
    assert np.all(np.isnan(fresh)) if fresh.dtype.kind == "f" else np.all(fresh == 0xFFFF)


def test_matrices_that_blas_does_not_take_are_told():
    a, b, out = np.zeros((3, 4)), np.zeros((4, 5)), np.zeros((3, 5))
    with pytest.raises(ValueError, match=r"a product of \(3, 4\) and \(3, 4\) does not fit \(3, 5\)"):
        blas.gemm(a, a, out)
    with pytest.raises(ValueError, match="written to rows"):
        blas.gemm(a, b, np.zeros((5, 3)).T)
    with pytest.raises(ValueError, match="copy it first"):
        blas.gemm(np.zeros((3, 8))[:, ::2], b, out)
    with pytest.raises(ValueError, match="copy it first"):
        blas.gemm(np.broadcast_to(np.zeros(4), (3, 4)), b, out)


@pytest.mark.parametrize("shape", [*itertools.product((1, 3), (1, 4), (1, 5))])
def test_products_are_those_of_matrices(shape):
    (n, k, m), rng, multiply = shape, np.random.default_rng(0), Emulated().product()
    for a in (rng.normal(size=(n, k + 2))[:, 1:-1], rng.normal(size=(k, n)).T, rng.normal(size=(k, n + 2))[:, 1:-1].T):
        for b in (rng.normal(size=(k, m + 3))[:, 2:-1], rng.normal(size=(m, k)).T):
            out = np.full((n, m + 1), np.nan)
            multiply(a, b, out[:, 1:])
            multiply(a, b, out[:, 1:], True)
            np.testing.assert_allclose(out[:, 1:], 2 * (a @ b), rtol=1e-13)
            assert np.all(np.isnan(out[:, 0]))
