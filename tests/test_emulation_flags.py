"""The emulation of blocks that are all there at once and of their flags, and the device that launches them."""

import numpy as np
import pytest
from emulation import MISSING, Emulated
from emulation.build import built
from emulation.memory import run
from emulation.variants import VARIANTS

from xprnn.gpu.sources import source

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

# In a step, each number becomes a sum over those of all blocks, which stand in ``all`` for the even and the odd steps.
GRID = source("flags.cuh") + """
extern "C" __global__ void go(long long T, unsigned* all, unsigned* flags, unsigned* y) {
    const int blocks = gridDim.x, n = threadIdx.x, threads = blockDim.x;
    const unsigned number = blockIdx.x + 100 * n;
    uint4 mine = make_uint4(number, number + 1, number + 2, number + 3);
    for (int t = 0; t < T; ++t) {
        unsigned* now = all + t % 2 * 4 * blocks * threads;
        store_fresh16(now + 4 * (blockIdx.x * threads + n), mine);
        __syncthreads();
        if (n == 0) flag_raise(flags + blockIdx.x, t + 1);
        if (n < blocks && !flag_await(flags + n, t + 1, 1000000)) y[0] = 1;
        __syncthreads();
        mine = make_uint4(0, 0, 0, 0);
        for (int from = 0; from < blocks; ++from) {
            const uint4 other = load_fresh16(now + 4 * (from * threads + (n + 1) % threads));
            mine.x = mine.x * 3 + other.w, mine.y += other.x, mine.z += other.y, mine.w += other.z;
        }
    }
    y[1 + blockIdx.x * threads + n] = mine.x + mine.y + mine.z + mine.w;
}"""
BLOCKS, THREADS, T = 3, 64, 5


def go(text, seed=0, together=True, more=0):
    """What is lost, and the numbers of all threads."""
    count = BLOCKS * THREADS
    y, numbers = np.zeros(1 + count, np.uint32), np.zeros(2 * 4 * count, np.uint32)
    arguments = T, numbers, np.zeros(BLOCKS, np.uint32), y
    run("go", built(text)["run_go"], arguments, BLOCKS, THREADS + more, seed, 0, together)
    return y[0], y[1:]


def expected():
    mine = np.arange(BLOCKS)[:, None, None] + 100 * np.arange(THREADS)[:, None] + np.arange(4)
    for _ in range(T):
        other = np.roll(mine, -1, axis=1)
        first = other[..., 3]
        sums = [(first[0] * 3 + first[1]) * 3 + first[2], *(other[..., k].sum(0) for k in range(3))]
        mine = np.broadcast_to(np.stack(sums, -1), mine.shape)
    return mine.sum(-1).astype(np.uint32).reshape(-1)


def edited(old, new):
    assert GRID.count(old) == 1
    return GRID.replace(old, new)


@pytest.mark.parametrize("seed", range(8))
def test_blocks_wait_for_flags(seed):
    lost, y = go(GRID, seed)
    assert lost == 0
    np.testing.assert_array_equal(y, expected())


MISUSES = {
    "not awaited": ("n < blocks && !flag", "n < 0 && !flag"),
    "raised before all have written": ("mine);\n        __syncthreads();", "mine);"),
    "read before it was awaited": ("y[0] = 1;\n        __syncthreads();", "y[0] = 1;"),
    "one buffer": ("all + t % 2 * 4 * blocks * threads", "all"),
    "a step too early": ("flag_await(flags + n, t + 1", "flag_await(flags + n, t"),
}


@pytest.mark.parametrize("name", MISUSES)
def test_misuse_of_flags_is_seen(name):
    text = edited(*MISUSES[name])
    assert sum(not np.array_equal(go(text, seed)[1], expected()) for seed in range(8)) >= 6


def test_a_flag_that_is_never_raised_ends_the_wait():
    assert go(edited("if (n == 0) flag_raise", "if (n == 0 && t < 3) flag_raise"))[0] == 1
    assert go(GRID, together=False)[0] == 1
    assert go(edited("1000000)", "0)"))[0] == 1


def test_what_waits_without_an_end_is_told():
    with pytest.raises(RuntimeError, match="flags are read in vain: use flag_await"):
        go(edited("flag_raise(flags + blockIdx.x, t + 1);", "while (flag_read(flags) < 1000) {}"))


def test_what_is_written_for_all_arrives_in_the_end():
    text = source("flags.cuh") + """
extern "C" __global__ void go(unsigned* y) {
    store_fresh16(y + 4 * threadIdx.x, make_uint4(1, 2, 3, threadIdx.x));
    if (load_fresh16(y + 4 * threadIdx.x).z != 3) y[0] = 7;
}"""
    y = np.zeros((32, 4), np.uint32)
    run("go", built(text)["run_go"], (y,), 1, 32)
    np.testing.assert_array_equal(y, [[1, 2, 3, n] for n in range(32)])


def test_the_device_refuses_what_a_gpu_would_not_run():
    defines, given = VARIANTS["stream.cu"][0], ("stream.cu", "stream_step")
    device = Emulated(blocks=2)
    with pytest.raises(ValueError, match=r"stream_step needs 232449 bytes of shared memory, .* gives it 232448"):
        device.kernel(*given, defines, shared=232449)
    assert device.room(*given, defines, 128, 232449) == 0 and device.room(*given, defines, 128) == 2
    assert Emulated(generation=80).room(*given, defines, 128, 200_000) == 0
    launch = device.kernel(*given, defines, 64, together=True)
    words = "3 blocks of stream_step, of 128 threads and 64 bytes of shared memory, wait for each other, .* room for 2"
    with pytest.raises(ValueError, match=words):
        launch(3, 128, ())
    with pytest.raises(RuntimeError, match="there are 0 arguments"):
        launch(2, 128, ())
