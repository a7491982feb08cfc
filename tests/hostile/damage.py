"""Good files with something wrong at random: bits turned over, ends cut off, pieces of others in the middle."""

from .formats import File

FLIPS, CUTS, SPLICES = 200, 30, 30


def flipped(data, rng):
    """One bit turned over."""
    place = int(rng.integers(len(data)))
    return data[:place] + bytes([data[place] ^ (1 << int(rng.integers(8)))]) + data[place + 1 :]


def cut(data, rng):
    """The beginning, the end, or all but a piece in the middle."""
    first, last = sorted(rng.integers(1, len(data), 2).tolist())
    last = max(last, first + 1)
    return (data[:first], data[last:], data[:first] + data[last:])[rng.integers(3)]


def spliced(data, rng):
    """A piece of the file, or noise, over another piece, or between two bytes."""
    begin, place = rng.integers(len(data), size=2).tolist()
    size = int(2 ** rng.uniform(0, 10))
    piece = data[begin : begin + size] if rng.random() < 0.5 else rng.bytes(size)
    return data[:place] + piece + data[place + (len(piece) if rng.random() < 0.5 else 0) :]


def files(file, rng, share=1):
    """What can become of a good file, by name, or one in ``share`` of it; each differs from the file."""
    found = {}
    for change, count in ((flipped, FLIPS), (cut, CUTS), (spliced, SPLICES)):
        for n in range(count // share):
            damaged = change(file.content, rng)
            while damaged == file.content:
                damaged = change(file.content, rng)
            found[f"{change.__name__} {n}"] = File(file.reader, file.name, damaged, file.beside)
    return found
