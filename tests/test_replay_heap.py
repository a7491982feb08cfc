"""What a walk for NumPy leaves to the next one: the memory of its arrays."""

import platform
import subprocess
import sys

import pytest

TRAINING = """
import resource
import numpy as np
from xprnn import cells
from xprnn.kernels import loop

rng, (T, B, D, H) = np.random.default_rng(0), (50, 50, 64, 128)
cell, x, dy = cells.RNN(H), rng.random((T, B, D), "f"), rng.random((T, B, H), "f")
p, s = {name: a.astype("f") for name, a in cell.init(rng, D).items()}, (np.zeros((B, H), "f"),)


def train():
    y, _, tape = loop.forward(cell, p, x, s, None, False)
    loop.backward(cell, p, tape, dy, s)


for _ in range(5):
    train()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    train()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="how glibc gives memory back")
def test_the_next_walk_finds_its_memory_again():
    ran = subprocess.run([sys.executable, "-c", TRAINING], capture_output=True, text=True, check=True)
    assert float(ran.stdout) < 50  # faults of pages a call; its five arrays of y's size are 1600 pages
