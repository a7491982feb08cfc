"""Steps of the kernel for GPUs that are recorded and done again: the same bits as steps one by one, in memory seen."""

import importlib.util
import sys
from dataclasses import replace

import numpy as np
import pytest
from emulation import MISSING, Emulated
from subjects import CELLS

from xprnn.backend import backend
from xprnn.kernels import cuda, cuda_recordings
from xprnn.kernels.cuda_graph import Graph, cuts
from xprnn.kernels.cuda_recordings import Recordings
from xprnn.testing import Case, compare, hold

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

SETTINGS = (
    {}, {"reverse": True}, {"padding": "holes", "dropout": 0.4}, {"padding": "ragged", "dropout": 0.4, "reverse": True},
)  # fmt: skip
NAMES = ("RNN", "PeepholeLSTM", "GRU", "GRUResetBefore", "Zoneout-LSTM")
HOST = ("cuda_recordings", "cuda_recorded", "cuda_graph")


def results(kernel, case, a):
    """There and back, back from the last state alone, and there without a tape."""
    placed = case.place(a)
    _, _, tape = kernel.forward(case.cell, placed.p, placed.x, placed.s, placed.mask, case.reverse)
    below = kernel.backward(case.cell, placed.p, tape, None, placed.ds)
    bare = kernel.forward(case.cell, placed.p, placed.x, placed.s, placed.mask, case.reverse, False)[:2]
    return {"both": replace(case, kernel=kernel).both(placed), "below": below, "bare": bare}


def poison(recordings):
    """What a walk leaves in the buffers is nothing that another may use."""
    for a in recordings.buffers:
        a[...] = {"f": np.nan, "b": True}.get(a.dtype.kind) or np.iinfo(a.dtype).max


def check(kernel, names=NAMES, settings=SETTINGS, **options):
    """The recorded steps of a kernel are the steps, whatever stood in its buffers."""
    for name in names:
        for n, setting in enumerate(settings):
            for steps in ((8,), (6, 2))[n % 2]:
                case = Case(CELLS[name], kernel=kernel, **({"steps": steps, "seed": n + steps} | setting | options))
                a, plain = case.draw(), replace(kernel, walk=cuda.STEPS)
                poison(kernel.walk.recordings)
                met = results(kernel, case, a)
                poison(kernel.walk.recordings)  # what came out of them is elsewhere
                compare.identical("recorded", case, met, results(plain, case, a))


def graph(limit=100, **options):
    return cuda.CUDA(device=Emulated(), walk=Graph(3, Recordings(limit)), **options)


@pytest.mark.parametrize("name", NAMES)
def test_recorded_steps_are_the_steps(name):
    kernel = graph()
    check(kernel, [name])
    # With dys and without, and without a tape, for each setting; those of other numbers take the same.
    assert len(kernel.walk.recordings) == 4 * len(SETTINGS)
    check(kernel, [name], seed=9, steps=11)
    assert len(kernel.walk.recordings) == 4 * len(SETTINGS)


@pytest.mark.parametrize("name", NAMES)
def test_recorded_steps_of_which_no_output_is_asked(name):
    kernel = graph()
    for setting in SETTINGS:
        hold("unasked", Case(CELLS[name], kernel=kernel, steps=8, **setting))
        poison(kernel.walk.recordings)
    # Back, there without a tape, and there with one: without a mask the states are the outputs, asked for or not.
    assert len(kernel.walk.recordings) == sum(4 if "padding" in setting else 3 for setting in SETTINGS)


@pytest.mark.parametrize("options", [{"storage": "bfloat16"}, {"precision": "high"}])
def test_in_other_numbers(options):
    check(graph(**options), ["GRU"], SETTINGS[2:], backend=backend("numpy", "float32"))


@pytest.mark.parametrize("T, size, down, whole, rest", [
    (7, 3, False, [(0, 3), (3, 6)], (6, 7)),
    (7, 3, True, [(4, 7), (1, 4)], (0, 1)),
    (6, 3, True, [(3, 6), (0, 3)], None),
    (2, 3, False, [], (0, 2)),
])  # fmt: skip
def test_the_steps_of_a_sequence_in_their_order(T, size, down, whole, rest):
    assert cuts(T, size, down) == ([slice(*cut) for cut in whole], rest and slice(*rest))


def test_recordings_are_seen_and_freed():
    kernel, small = graph(limit=2), Case(CELLS["LSTM"], batch=1)
    recordings = kernel.walk.recordings
    assert len(recordings) == recordings.nbytes == 0
    for batch in (1, 2, 3, 1):
        case = replace(small, batch=batch)
        results(kernel, case, case.draw())
        assert len(recordings) == 2
    assert recordings.nbytes == sum(a.nbytes for a in recordings.buffers) > 0
    recordings.clear()
    assert len(recordings) == recordings.nbytes == 0
    check(kernel, ["LSTM"])
    with pytest.raises(ValueError, match="room for one recording or more, not for 0"):
        Recordings(0)
    with pytest.raises(ValueError, match="a recording has one step or more, not 0"):
        Graph(0)


class Queue:
    """A device that is seen to be asked for marks."""

    def __init__(self):
        self.said, self.marks = [], 0

    def mark(self):
        self.marks += 1
        return Marked(self.said, self.marks)


class Marked:
    def __init__(self, said, number):
        self.said, self.number = said, number

    def wait(self):
        self.said.append(("wait", self.number))

    def finish(self):
        self.said.append(("finish", self.number))


def test_a_use_begins_where_the_last_one_ends_and_nothing_is_freed_before():
    queue, recordings = Queue(), Recordings(2)
    for key in "aabca":
        with recordings.using(queue, key, lambda: f"made {queue.marks}") as recording:
            queue.said.append(recording)
    assert queue.said == ["made 0", ("wait", 1), "made 0", "made 2", "made 3", ("finish", 2), "made 4", ("finish", 3)]
    with pytest.raises(KeyError), recordings.using(queue, "a", lambda: 0):
        raise KeyError
    recordings.clear()
    assert queue.said[8:] == [("wait", 5), ("finish", 4), ("finish", 6)]


def test_what_cannot_be_recorded_is_refused():
    device, kernel = Emulated(), cuda.CUDA(device=Emulated())
    with pytest.raises(RuntimeError, match="an array is made while a graph is recorded"):
        device.record(lambda product: lambda: device.empty((1,), "f8"))
    a = np.ones((1, 1))
    with pytest.raises(RuntimeError, match="a product by CuPy while a graph is recorded"):
        device.record(lambda product: lambda: device.product()(a, a, a))
    assert kernel.accepts(CELLS["LSTM"], a[None], None)


BUGS = {
    "a mask of the walk before": (
        "cuda_recorded",
        "[(tape.saved, mine.saved), (tape.mask, mine.mask)]",
        "[(tape.saved, mine.saved)]",
    ),
    "a mask of another walk back": (
        "cuda_recorded",
        ", (tape.saved, mine.saved), (tape.mask, mine.mask)]",
        ", (tape.saved, mine.saved)]",
    ),
    "the parameters of another walk": ("cuda_graph", "                recording.begin(work)\n", ""),
    "the parameters of another walk back": ("cuda_graph", "                recording.begin(packed)\n", ""),
    "blocks in the order of Wh": ("cuda_graph", "packed = replace(work, Wh=work.packed(Wh))", "packed = work"),
    "no first state": ("cuda_recorded", "slice(states - 1, states) if tape.reverse", "slice(0, 1) if tape.reverse"),
    "a state left behind": ("cuda_recorded", "slice(keeps, states)", "slice(keeps, states - keeps)"),
    "gates left behind": ("cuda_recorded", "left = [(mine.saved, tape.saved), ", "left = ["),
    "cotangents of every part anew": (
        "cuda_graph",
        "ds = recording.run(_part(tape, cut), _cut(dys, cut), ds,",
        "ds = recording.run(_part(tape, cut), _cut(dys, cut), first[2],",
    ),
    "one recording for both directions": ("cuda_graph", "work.storage, tape.reverse, places", "work.storage, places"),
    "one recording with a mask and without": ("cuda_graph", "*tape[3:], tape.mask, other", "*tape[3:], other"),
    "parts in the wrong order": ("cuda_graph", "self.steps, not tape.reverse)", "self.steps, tape.reverse)"),
    "cotangents above left out": ("cuda_recorded", "[(dys, self.dys), *zip", "[*zip"),
    "the results are the buffers": (
        "cuda_recorded",
        "return tuple(moved(self.work.device, a, self.work.empty(*a.shape)) for a in self.before)",
        "return self.before",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BUGS)
def test_the_checks_see(name, monkeypatch):
    file, old, new = BUGS[name]
    for each in HOST:
        full = f"xprnn.kernels.{each}"
        spec = importlib.util.find_spec(full)
        text = spec.loader.get_source(full)
        if each == file:
            assert text.count(old) == 1, f"{each} has {old!r} {text.count(old)} times"
            text = text.replace(old, new)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, full, module)
        exec(compile(text, spec.origin, "exec"), vars(module))
    recordings = sys.modules["xprnn.kernels.cuda_recordings"].Recordings(100)
    kernel = cuda.CUDA(device=Emulated(), walk=module.Graph(3, recordings))
    assert module is not cuda_recordings
    with pytest.raises((AssertionError, RuntimeError)):
        check(kernel, ["LSTM", "GRU"], (*SETTINGS, SETTINGS[0], {"padding": "holes"}))
