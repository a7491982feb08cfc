"""The emulation of thread-block clusters, tensor cores and flags: it does what the headers say, and sees misuse."""

import numpy as np
import pytest
from emulation import MISSING
from emulation.build import built
from emulation.memory import run
from emulation.products import rounded

from xprnn.gpu.sources import source

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

SEEDS = range(4)
# In a step, the number of each thread becomes a sum over its neighbours in all blocks, in the order of their ranks.
GATHER = source("cluster.cuh") + """
const int CLUSTER = 4, WORDS = 64, BYTES = CLUSTER * WORDS * 4;
extern "C" __global__ void __cluster_dims__(CLUSTER, 1, 1) __launch_bounds__(WORDS, 1) go(long long T, unsigned* y) {
    Barrier* full = reinterpret_cast<Barrier*>(shared_memory());
    unsigned* all = reinterpret_cast<unsigned*>(shared_memory() + 128);
    const int rank = cluster_rank(), n = threadIdx.x;
    unsigned mine = blockIdx.x + 100 * n;
    if (n == 0) {
        for (int k = 0; k < 2; ++k) barrier_begin(full + k, 1);
        barrier_fence();
        for (int k = 0; k < 2; ++k) barrier_expect(full + k, BYTES);
    }
    cluster_meet();
    for (int t = 0; t < T; ++t) {
        unsigned* now = all + t % 2 * CLUSTER * WORDS;
        for (int peer = 0; peer < CLUSTER; ++peer) push4(now + rank * WORDS + n, full + t % 2, peer, mine);
        barrier_wait(full + t % 2, t / 2 % 2);
        if (n == 0) barrier_expect(full + t % 2, BYTES);
        mine = 0;
        for (int from = 0; from < CLUSTER; ++from) mine = mine * 3 + now[from * WORDS + (n + 1) % WORDS];
    }
    y[blockIdx.x * WORDS + n] = mine;
}"""
GIVEN = 128 + 2 * 4 * 64 * 4
# The same with all that is shared in the block's own arrays.
OWN = GATHER.replace("Barrier* full = reinterpret_cast<Barrier*>(shared_memory())", "__shared__ Barrier full[2]")
OWN = OWN.replace("unsigned* all = reinterpret_cast<unsigned*>(shared_memory() + 128)", "__shared__ unsigned all[512]")


def go(text, *arguments, blocks=8, threads=64, seed=0, shared=0, together=False):
    run("go", built(text)["run_go"], arguments, blocks, threads, seed, shared, together)


def edited(text, old, new):
    assert text.count(old) == 1
    return text.replace(old, new)


def gathered(T):
    numbers = np.arange(8)[:, None] + 100 * np.arange(64)
    for _ in range(T):
        for first in (0, 4):
            a, b, c, d = np.roll(numbers[first : first + 4], -1, axis=1)
            numbers[first : first + 4] = ((a * 3 + b) * 3 + c) * 3 + d
    return numbers.astype(np.uint32).reshape(-1)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("text, shared", [(GATHER, GIVEN), (OWN, 0)], ids=["given", "own"])
def test_blocks_of_a_cluster_push_to_each_other(text, shared, seed):
    y = np.zeros(512, np.uint32)
    go(text, 6, y, seed=seed, shared=shared)
    np.testing.assert_array_equal(y, gathered(6))


MISUSES = {
    "lost push": (
        "peer < CLUSTER; ++peer", "peer < CLUSTER - (t == 4); ++peer",
        r"deadlock in block \d: 0 of 64 threads have ended, the others wait: 0 to 63 at barrier_wait for parity 0, "
        r"at byte 8 of its shared memory, where 256 bytes and 0 expectations are missing; .* block [37]: .* parity 0, "
        r"at byte 0 of its shared memory, where 1024 bytes and 0 expectations are missing",
    ),
    "parity": ("full + t % 2, t / 2 % 2", "full + t % 2, t % 2", "in a phase that lacks 0 expectations|deadlock"),
    "not expected again": ("        if (n == 0) barrier_expect(full + t % 2, BYTES);\n", "", "deadlock"),
    "not awaited": ("        barrier_wait(full + t % 2, t / 2 % 2);\n", "", "in a phase that lacks 0 expectations"),
    "not made known": ("        barrier_fence();\n", "", "whose barrier has had no barrier_fence"),
    "not met": ("    cluster_meet();\n", "", r"push at a barrier of block \d that has not begun"),
    "one buffer": ("all + t % 2 * CLUSTER * WORDS", "all", None),
    "too few bytes": ("* WORDS * 4;", "* WORDS * 4 - 4;", None),
    "to nobody": ("peer < CLUSTER; ++peer", "peer <= CLUSTER; ++peer", r"push from block \d to number 4 of 4"),
    "beyond the end": ("now + rank * WORDS + n", "now + rank * WORDS + n + 1", "no place for 4 bytes .* byte 2176 of"),
    "begun twice": ("        barrier_fence();\n", "barrier_begin(full, 1); barrier_fence();\n", "has begun twice"),
    "ended too early": ("t < T; ++t", "t < T - (rank == 1); ++t", "push(es)? to .*(under way|has ended)"),
}  # fmt: skip


def goes_wrong(text, y, seed):
    try:
        go(text, 6, y, seed=seed, shared=GIVEN)
    except RuntimeError:
        return True
    return not np.array_equal(y, gathered(6))


@pytest.mark.parametrize("name", MISUSES)
def test_misuse_of_pushes_is_seen(name):
    old, new, words = MISUSES[name]
    for seed in SEEDS:
        y = np.zeros(512, np.uint32)
        if words is None:
            assert goes_wrong(edited(GATHER, old, new), y, seed)
        else:
            with pytest.raises(RuntimeError, match=words):
                go(edited(GATHER, old, new), 6, y, seed=seed, shared=GIVEN)


BYTES = source("cluster.cuh") + """
extern "C" __global__ void __cluster_dims__(2, 1, 1) go(long long step, unsigned* y) {
    Barrier* full = reinterpret_cast<Barrier*>(shared_memory());
    unsigned* got = reinterpret_cast<unsigned*>(shared_memory() + 16);
    if (threadIdx.x == 0) {
        barrier_begin(full, 2);
        barrier_fence();
        barrier_expect(full, 20);
        barrier_expect(full, 8);
    }
    cluster_meet();
    const int other = 1 - cluster_rank();
    if (threadIdx.x == 5) push16(got, full, other, 1, 2, 3, other);
    if (threadIdx.x == 6) push8(got + 4 + step, full, other, 5, 6);
    if (threadIdx.x == 7) push4(got + 6, full, other, 7);
    barrier_wait(full, 0);
    if (threadIdx.x < 7) y[blockIdx.x * 7 + threadIdx.x] = got[threadIdx.x];
    cluster_meet();
}"""


def test_pushes_of_each_size():
    y = np.zeros(28, np.uint32)
    go(BYTES, 0, y, blocks=4, threads=32, shared=44)
    np.testing.assert_array_equal(y.reshape(4, 7), [[1, 2, 3, n % 2, 5, 6, 7] for n in range(4)])
    with pytest.raises(RuntimeError, match="no place for 8 bytes of its shared memory"):
        go(BYTES, 1, y, blocks=4, threads=32, shared=44)
    with pytest.raises(RuntimeError, match="a grid of 3 blocks in clusters of 2"):
        go(BYTES, 0, y, blocks=3, threads=32, shared=44)
    with pytest.raises(RuntimeError, match="a grid of 8 blocks of 96 threads, of at most 64"):
        go(GATHER, 6, y, threads=96, shared=GIVEN)


GIVEN_ALONE = source("block.cuh") + """
extern "C" __global__ void go(long long place, float* y) {
    float* given = reinterpret_cast<float*>(shared_memory());
    if (threadIdx.x < 3) given[place + threadIdx.x] = blockIdx.x;
    __syncthreads();
    y[threadIdx.x] = given[threadIdx.x];
    if (reinterpret_cast<unsigned long long>(given) % 256 != 128) y[0] = 7;
}"""


def test_shared_memory_is_undefined_and_ends():
    y = np.zeros(64, np.float32)
    go(GIVEN_ALONE, 1, y, blocks=1, shared=40)
    np.testing.assert_array_equal(y, [np.nan, 0, 0, 0, *[np.nan] * 60])
    for place in (8, -1):
        with pytest.raises(RuntimeError, match="block 0 writes beside its 40 bytes of shared memory"):
            go(GIVEN_ALONE, place, y, blocks=1, shared=40)


MEET = source("block.cuh") + """
extern "C" __global__ void go(int* y) {
    __shared__ int all[128];
    const int n = threadIdx.x, half = n / 64;
    all[n] = n;
    if (n < 128) meet(1 + half, 64);
    if (n < 128) y[n] = all[half * 64 + 63 - n % 64];
}"""


def test_some_threads_of_a_block_meet():
    wanted = np.r_[np.arange(64)[::-1], 64 + np.arange(64)[::-1]]
    for seed in SEEDS:
        y = np.zeros(128, np.int32)
        go(MEET, y, blocks=1, threads=128, seed=seed)
        np.testing.assert_array_equal(y, wanted)
    for old, new, words in (
        ("(1 + half, 64)", "(1, 64 + 64 * half)", "meet in block 0 with (64|128) threads, and with"),
        ("(1 + half, 64)", "(16, 64)", r"meet\(16, 64\) in a block of 128"),
        ("(1 + half, 64)", "(1, 48)", r"meet\(1, 48\) in a block of 128"),
        ("if (n < 128) meet", "if (n % 2) meet", r"64 of 128 .* 1 to 1 at meet of 64 threads, where 32"),
        ("if (n < 128) meet", "if (n % 2) meet(1, 64); else meet", "meet in block 0 without some lanes of a warp"),
    ):
        with pytest.raises(RuntimeError, match=words):
            go(edited(MEET, old, new), y, blocks=1, threads=128)
    y = np.zeros(128, np.int32)
    go(edited(MEET, "    if (n < 128) meet(1 + half, 64);\n", ""), y, blocks=1, threads=128)
    assert np.any(y == -1)


def test_lanes_that_meet_at_different_places_are_told():
    head = 'extern "C" __global__ void go(int* y) '
    text = head + "{ y[0] = threadIdx.x ? __shfl_sync(-1u, 1, 0) : __ballot_sync(-1u, 1); }"
    with pytest.raises(RuntimeError, match=r"lanes of a warp of block 0 are at __(shfl|ballot)_sync and at __"):
        go(text, np.zeros(1, np.int32), blocks=1, threads=32)


# One product from matrices in rows, each lane taking what the header says.
PRODUCT = source("tensor.cuh") + """
extern "C" __global__ void go(const float* a, const float* b, float* c) {
    const int lane = threadIdx.x, g = lane / 4, k = lane % 4;
    float d[4];
    for (int n = 0; n < 4; ++n) d[n] = c[(g + n / 2 * 8) * 8 + 2 * k + n % 2];
#if TERMS == 8
    const unsigned left[4] = {to_tf32(a[g * 8 + k]), to_tf32(a[(g + 8) * 8 + k]), to_tf32(a[g * 8 + k + 4]),
                              to_tf32(a[(g + 8) * 8 + k + 4])};
    multiply_tf32(d, left, to_tf32(b[k * 8 + g]), to_tf32(b[(k + 4) * 8 + g]));
#else
    unsigned left[4], right[2];
    for (int n = 0; n < 4; ++n) {
        const float* p = a + (g + n % 2 * 8) * 16 + 2 * k + n / 2 * 8;
        left[n] = two_bf16(p[0], p[1]);
    }
    for (int n = 0; n < 2; ++n) right[n] = two_bf16(b[(2 * k + 8 * n) * 8 + g], b[(2 * k + 8 * n + 1) * 8 + g]);
    multiply_bf16(d, left, right[0], right[1]);
#endif
    for (int n = 0; n < 4; ++n) c[(g + n / 2 * 8) * 8 + 2 * k + n % 2] = d[n];
}"""


@pytest.mark.parametrize("terms, lost", [(8, 13), (16, 16)])
def test_products_of_a_warp_are_those_of_matrices(terms, lost):
    rng, text = np.random.default_rng(0), f"#define TERMS {terms}\n{PRODUCT}"
    a, b, c = (rng.normal(size=shape).astype("f4") for shape in ((16, terms), (terms, 8), (16, 8)))
    wanted = c + rounded(a, lost).astype("f8") @ rounded(b, lost)
    go(text, a, b, c, blocks=1, threads=32)
    np.testing.assert_allclose(c, wanted, rtol=1e-6, atol=1e-6)
    with pytest.raises(RuntimeError, match="by a warp without 32 lanes"):
        go(text, a, b, c, blocks=1, threads=16)
    if terms == 8:
        with pytest.raises(RuntimeError, match="a number that to_tf32 has not made"):
            go(edited(text, "to_tf32(a[g * 8 + k])", "__float_as_uint(a[g * 8 + k])"), a, b, c, blocks=1, threads=32)
