"""Every law of cells but the gradient's: for every cell, by the general kernel, on every library and precision."""

import pytest
from subjects import CELLS

from xprnn import cells
from xprnn.kernels import loop
from xprnn.testing import CELL_LAWS, CELL_SETTINGS, Case, hold

LAWS = [law for law in CELL_LAWS if law not in ("gradient", "kernel")]
FULL = {name: cell for name, cell in CELLS.items() if not name.endswith("-bare")}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_law(law, cell):
    for setting in CELL_SETTINGS:
        hold(law, Case(cell, kernel=loop, **setting))


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("cell", FULL.values(), ids=FULL)
def test_law_on_every_library(law, cell, law_row):
    if law_row.library == "jax" and type(cell) is not cells.LSTM:
        pytest.skip("JAX has a kernel of its own, which test_kernels.py tries")
    # What a library does differently shows in few steps, and JAX compiles every slice of every shape anew.
    settings = CELL_SETTINGS[1:3] if law_row.library == "jax" else CELL_SETTINGS[:3]
    for setting in settings:
        hold(law, Case(cell, law_row.backend, loop, steps=4, **setting))


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_nothing_looks_at_values(cell, shapes_row):
    for setting in CELL_SETTINGS:
        hold("alike", Case(cell, shapes_row.backend, **setting))
