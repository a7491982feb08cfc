"""Registers, spills and shared memory of the kernels that walk a layer: the table in registers.txt, and what differs.

    python tests/registers.py --write [FILE ...]

compiles them, those of some sources or of all, and writes the table anew.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from emulation.variants import OLDEST, VARIANTS

from xprnn.gpu.cupy import options
from xprnn.gpu.sources import source

TABLE = Path(__file__).with_name("registers.txt")
ARCHITECTURES = ("80", "90")
FILES = (
    "recurrent.cu", "stream.cu", "cluster_forward.cu", "cluster_backward.cu", "cluster_norm_forward.cu",
    "cluster_norm_backward.cu", "grid_forward.cu", "grid_backward.cu", "norm.cu",
)  # fmt: skip
NVCC = shutil.which("nvcc")
SLACK = 64
"""The bytes that another compiler than the table's may spill more."""

_KERNEL = re.compile(
    r"Compiling entry function '(?P<kernel>\w+)' for 'sm_(?P<architecture>\d+)'.*?Function properties for"
    r" (?P=kernel)\n\D*\d+ bytes stack frame, (?P<stored>\d+) bytes spill stores, (?P<loaded>\d+) bytes spill loads.*?"
    r"Used (?P<registers>\d+) registers(?P<rest>[^\n]*)",
    re.DOTALL,
)


class Use(NamedTuple):
    """What a thread has of registers, the bytes that it spills and takes back, and a block's own shared memory."""

    registers: int
    stored: int
    loaded: int
    shared: int


class Name(NamedTuple):
    """A kernel as it is compiled; how the launch is, and so what it gives a block, stands among the defines."""

    file: str
    architecture: str
    kernel: str
    defines: str


def architectures(file):
    """Those that a source is compiled for."""
    return [name for name in ARCHITECTURES if name >= OLDEST.get(file, "")]


def told(defines):
    """The defines in words."""
    return " ".join(f"{name}={value}" for name, value in defines)


def uses(file, defines, log):
    """What a compiler that was asked to be verbose says, by ``Name``."""
    names = (Name(file, each["architecture"], each["kernel"], told(defines)) for each in _KERNEL.finditer(log))
    return dict(zip(names, map(_use, _KERNEL.finditer(log)), strict=True))


def _use(found):
    shared = re.search(r"(\d+) bytes smem", found["rest"])
    return Use(*(int(found[name]) for name in Use._fields[:3]), int(shared[1]) if shared else 0)


def version():
    """That of nvcc."""
    done = subprocess.run([NVCC, "--version"], capture_output=True, text=True, check=True)
    return re.search(r"V([\d.]+)", done.stdout)[1]


def compiled(file, defines, some=()):
    """nvcc's log of one variant, for some architectures or all; RuntimeError with it where it has complaints."""
    code = [f"-gencode=arch=compute_{name},code=sm_{name}" for name in some or architectures(file)]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, file).write_text(source(file), encoding="utf-8")
        command = [
            NVCC, *options(defines), "-ftz=true", *code, "-fatbin", "-Werror", "all-warnings", "-Xptxas", "-v",
            file, "-o", "out",
        ]  # fmt: skip
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{defines}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def table():
    """The version of nvcc that the table was written with, and what it holds by ``Name``."""
    first, *lines = TABLE.read_text(encoding="utf-8").splitlines()
    rows = {}
    for line in lines:
        file, architecture, kernel, *numbers, defines = line.split(maxsplit=7)
        rows[Name(file, architecture, kernel, defines)] = Use(*map(int, numbers))
    return first.split()[1].rstrip(":"), rows


def differences(met, exact):
    """What is not as in the table, in words; by another compiler than the table's, what spills more, and ``SLACK``."""
    rows, wrong = table()[1], []
    for name, use in met.items():
        wanted = rows.get(name)
        if wanted is None:
            wrong.append(f"{name} is not in {TABLE.name}")
        elif use != wanted if exact else max(use[1:3]) > max(wanted[1:3]) + SLACK:
            wrong.append(f"{name}: {use}, in {TABLE.name} {wanted}")
    files = sorted({name.file for name in met})
    return [*wrong, f"if so be it: python tests/registers.py --write {' '.join(files)}"] if wrong else []


def write(files):
    """The table with these sources compiled anew, and the others as they were."""
    jobs = [(file, defines) for file in files for defines in VARIANTS[file]]
    rows = {name: use for name, use in table()[1].items() if name.file not in files} if TABLE.exists() else {}
    with ThreadPoolExecutor(2) as pool:
        for job, log in zip(jobs, pool.map(lambda job: compiled(*job), jobs), strict=True):
            rows |= uses(*job, log)
    head = f"nvcc {version()}: source, architecture, kernel, {', '.join(Use._fields)}, defines"
    lines = (f"{n.file} {n.architecture} {n.kernel} {' '.join(map(str, rows[n]))} {n.defines}" for n in sorted(rows))
    TABLE.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] != ["--write"]:
        sys.exit(__doc__)
    write(sys.argv[2:] or FILES)
