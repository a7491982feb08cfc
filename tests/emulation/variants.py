"""What each CUDA source is compiled as: all that the package asks for, and zoneout of some cells and numbers."""

NUMBERS = tuple((("REAL", real), ("STORED", stored)) for real, stored in (
    ("float", "0"), ("double", "0"), ("float", "16"), ("float", "17"),
))  # fmt: skip
CELLS = ("Elman<Tanh>", "Elman<Relu>", "Elman<Identity>", "Memory<false>", "Memory<true>", "Gated", "GatedBefore")
ZONED = ("Zoned<Elman<Tanh>>", "Zoned<Memory<false>>", "Zoned<Gated>", "Zoned<GatedBefore>")
REALS = NUMBERS[0][:1], NUMBERS[1][:1]
RULES = ("SGD", "Momentum<false>", "Momentum<true>", "Adam", "Adagrad", *(f"RMSprop<{kind}>" for kind in range(4)))
VARIANTS = {
    "arrays.cu": NUMBERS,
    "clip.cu": REALS,
    "losses.cu": tuple(
        (("LOSS", loss), ("CLASS", kind), *numbers)
        for loss, kind in zip(("Squared", "Absolute", "Huber", "Binary"), 2 * ("int", "long long"), strict=True)
        for numbers in REALS
    ),
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
