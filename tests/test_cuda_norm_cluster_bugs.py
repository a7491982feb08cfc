"""Bugs of timing, of places and of sums put into the cluster walk of the layer-normalized LSTM: each is seen."""

import pytest
from emulation import MISSING
from test_cuda_cluster_bugs import bug, seen

from xprnn import cells
from xprnn.kernels.cuda_norm import CUDANorm
from xprnn.kernels.cuda_norm_cluster import NormCluster
from xprnn.kernels.cuda_tiling import Tiling

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

THERE, BACK = "cluster_norm_forward.cu", "cluster_norm_backward.cu"
# Two blocks of 24 units for 35, in groups of 8: of the last two one has 3 and the other none. Two clusters of 3 rows
# for 5; a row's groups lie in several warps, the last of which rows do not fill, and another only multiplies.
WALK = NormCluster(Tiling(2, 3, 6, held=4), Tiling(2, 3, 12, held=4))
TOLERANCE = 1e-5
LOOP = "for (int part = 0; part < PARTS; ++part) sum += size(part) * pair[part][0];"
ARRIVAL = (
    "static int turn = 0;\n        const int start = turn++;\n        for (int n = start; n < start + PARTS; ++n)"
    " sum += size(n % PARTS) * pair[n % PARTS][0];"
)

BUGS = {
    "no wait for sums there": bug(THERE, "        exchange().await(n);\n", ""),
    "no wait for sums back": bug(BACK, "        exchange().await(n);\n", ""),
    "a wait for the exchange before": bug(THERE, "exchange().await(n);", "exchange().await(n + 2);"),
    "wrong parity": bug(BACK, "n >> 1 & 1", "n & 1"),
    "no wait for h": bug(THERE, "        if (n > 0) exchange.await(n - 1);\n", ""),
    "no wait for the parts of dh": bug(BACK, "            if (n > 0) exchange.await(n - 1);\n", ""),
    "no wait for the last exchange": bug(BACK, "    exchange.await(T - 1);\n", ""),
    "a buffer written one exchange early there": bug(THERE, "told.pair[n & 1][tells()", "told.pair[0][tells()"),
    "a buffer written one exchange early back": bug(BACK, "told.pair[n & 1][tells()", "told.pair[0][tells()"),
    "one exchange for both": bug(BACK, "all.means<4>(2 * n + 1, ", "all.means<4>(2 * n, "),
    "barriers of sums not begun": bug(THERE, "exchange.begin(), sums.exchange().begin();", "exchange.begin();"),
    "too few bytes": bug(THERE, "ROWS * PARTS * 2 * sizeof(Real)", "ROWS * PARTS * sizeof(Real)"),
    "told by lanes that do a unit again": bug(THERE, "to < CLUSTER && tells();", "to < CLUSTER;"),
    "parts in the order of arrival": bug(THERE, LOOP, ARRIVAL),
    "parts in each other's place": bug(THERE, "push8(row[unit / GROUP]", "push8(row[own() / GROUP]"),
    "a group of the next row": bug(BACK, "half = GROUP / 2;", "half = 16;"),
    "a part left out": bug(BACK, "for (int part = 0; part < PARTS; ++part) {\n            first", (
        "for (int part = 1; part < PARTS; ++part) {\n            first"
    )),
    "units beyond the end counted": bug(THERE, "        x = unit < H ? x : Real(0);\n", ""),
    "a mean over units beyond the end": bug(THERE, "left < GROUP ? left : GROUP", "GROUP"),
    "a variance of a quarter": bug(THERE, "squares / (COUNT * H)", "squares / H"),
    "means of parts not moved": bug(THERE, "squares += pair[part][1] + COUNT * size(part) * (away * away);", (
        "squares += pair[part][1] + 0 * away;"
    )),
    "the mean passed by": bug(BACK, "(d[k] - wider.first - sums", "(d[k] - sums"),
    "the wrong way along c's norm": bug(BACK, "- c * mean.second", "+ c * mean.second"),
    "no epsilon": bug(THERE, " + epsilon)};", ")};"),
    "norms in each other's place": bug(THERE, "norms[row * 4 + 3] = memory.rate", "norms[row * 4 + 3] = wide.rate"),
    "mask ignored by c": bug(BACK, "if (!real) q.dc = later;", "if (!real) q.dc *= later == later;"),
    "keep ignored back": bug(BACK, "room.parts[(n - 1) & 1]) * own.keep", "room.parts[(n - 1) & 1])"),
    "gates read before they are there": bug(BACK, "        __syncthreads();\n        product", "        product"),
    "sums read before they are there": bug(
        THERE, "        __syncthreads();\n        if (threadIdx.x >= ALL)", "        if (threadIdx.x >= ALL)"
    ),
}  # fmt: skip


def found(edits=()):
    return seen(cells.LayerNormLSTM(35, epsilon=0.1), 5, CUDANorm(walk=WALK), edits, TOLERANCE)


@pytest.mark.parametrize("name", BUGS)
def test_it_is_seen(name):
    file, edits, *_ = BUGS[name]
    assert found(tuple((file, old, new) for old, new in edits))


def test_there_is_nothing_to_see_without():
    assert found() is None
