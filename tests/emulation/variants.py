"""What each CUDA source is compiled as: all that the package asks for, and zoneout of some cells and numbers."""

from itertools import cycle

from xprnn import cells
from xprnn.kernels.cuda import kind_of
from xprnn.kernels.cuda_cluster import plan_back, plan_there
from xprnn.kernels.cuda_grid import Grid
from xprnn.kernels.cuda_norm_cluster import plan_back as norm_back
from xprnn.kernels.cuda_norm_cluster import plan_there as norm_there
from xprnn.kernels.cuda_tiling import BACK, THERE

NUMBERS = tuple((("REAL", real), ("STORED", stored)) for real, stored in (
    ("float", "0"), ("double", "0"), ("float", "16"), ("float", "17"),
))  # fmt: skip
CELLS = ("Elman<Tanh>", "Elman<Relu>", "Elman<Identity>", "Memory<false>", "Memory<true>", "Gated", "GatedBefore")
ZONED = ("Zoned<Elman<Tanh>>", "Zoned<Memory<false>>", "Zoned<Gated>", "Zoned<GatedBefore>")
REALS = NUMBERS[0][:1], NUMBERS[1][:1]
RULES = ("SGD", "Momentum<false>", "Momentum<true>", "Adam", "Adagrad", *(f"RMSprop<{kind}>" for kind in range(4)))
TILED = [kind_of(cell) for cell in (
    cells.LSTM(1), cells.PeepholeLSTM(1), cells.GRU(1), cells.RNN(1), cells.RNN(1, "relu"), cells.RNN(1, "linear"),
)]  # fmt: skip


def tiled(table, plan):
    """Every other tiling of a table, with one cell after the other."""
    ways = [(way, precision, H) for precision, some in table.items() for H, each in some.items() for way in each]
    for kind, (way, precision, H) in zip(cycle(TILED), ways[::2]):
        yield plan(way, precision, kind, (("CELL", kind.cell), *NUMBERS[0]), H).defines


def normed(table, plan):
    """Every fourth tiling of a table, with the layer-normalized LSTM."""
    ways = [(way, precision, H) for precision, some in table.items() for H, each in some.items() for way in each]
    for way, precision, H in ways[3::4]:
        yield plan(way, precision, (("CELL", "Normalized"), *NUMBERS[0]), H).defines


GRIDS = (
    (cells.LSTM, "highest", 1024, 32), (cells.LSTM, "high", 1024, 32), (cells.LSTM, "medium", 1024, 32),
    (cells.PeepholeLSTM, "highest", 512, 1), (cells.GRU, "high", 768, 8), (cells.RNN, "medium", 1280, 16),
)  # fmt: skip


def gridded(back):
    """Some cells, precisions, sizes and batches, there or back."""
    for cell, precision, H, B in GRIDS:
        yield next(Grid().ways(kind_of(cell(1)), precision, H, B))[back].defines


VARIANTS = {
    "arrays.cu": NUMBERS,
    "clip.cu": REALS,
    "cluster_backward.cu": tuple(tiled(BACK, plan_back)),
    "cluster_forward.cu": tuple(tiled(THERE, plan_there)),
    "cluster_norm_backward.cu": tuple(normed(BACK, norm_back)),
    "cluster_norm_forward.cu": tuple(normed(THERE, norm_there)),
    "grid_forward.cu": tuple(gridded(False)),
    "grid_backward.cu": tuple(gridded(True)),
    "losses.cu": tuple(
        (("LOSS", loss), ("CLASS", kind), *numbers)
        for loss, kind in zip(("Squared", "Absolute", "Huber", "Binary"), 2 * ("int", "long long"), strict=True)
        for numbers in REALS
    ),
    "moves.cu": tuple((("ITEM", kind),) for kind in ("float", "double", "bool", "unsigned short")),
    "norm.cu": tuple((*numbers, ("THREADS", width)) for numbers in REALS for width in ("32", "256")),
    "optimizers.cu": tuple((("RULE", rule), *numbers) for rule in RULES for numbers in REALS),
    "random.cu": REALS,
    "rows.cu": tuple((("ID", kind), *numbers) for kind in ("int", "long long") for numbers in REALS),
    "recurrent.cu": tuple(
        (("CELL", cell), *numbers) for cells, some in ((CELLS, NUMBERS), (ZONED, NUMBERS[:1]))
        for cell in cells for numbers in some
    ),
    "stream.cu": tuple(
        (("CELL", cell), ("REAL", real), ("ROWS", rows))
        for cell in CELLS
        for real in ("float", "double")
        for rows in ("1", "4")
    ) + tuple((("CELL", cell), ("REAL", "float"), ("ROWS", "4")) for cell in ZONED),
}  # fmt: skip
OLDEST = {name: "90" for name in VARIANTS if name.startswith("cluster_")}
"""The compute capability that a source needs, where not every GPU has it."""
