"""What each CUDA source is compiled as: all that the package asks for."""

NUMBERS = tuple((("REAL", real), ("STORED", stored)) for real, stored in (
    ("float", "0"), ("double", "0"), ("float", "16"), ("float", "17"),
))  # fmt: skip
CELLS = ("Elman<Tanh>", "Elman<Relu>", "Elman<Identity>", "Memory<false>", "Memory<true>", "Gated", "GatedBefore")
VARIANTS = {
    "arrays.cu": NUMBERS,
    "recurrent.cu": tuple((("CELL", cell), *numbers) for cell in CELLS for numbers in NUMBERS),
    "stream.cu": tuple(
        (("CELL", cell), ("REAL", real), ("ROWS", rows))
        for cell in CELLS
        for real in ("float", "double")
        for rows in ("1", "4")
    ),
}
