"""Arrays of an HDF5 file that nobody has to trust: plain numbers that stand in the file itself, and nothing else."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...initializers import hollow

MOST = 16  # arrays in one group; no layer has more than four


def package() -> Any:
    """The module h5py."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError("the weights in .keras files want the package h5py: pip install 'xprnn[keras]'") from error
    return h5py


@contextmanager
def opened(data: bytes) -> Iterator[Any]:
    """The root of a file of these bytes. Raises ImportError without h5py, ValueError if it is none or damaged."""
    h5py = package()
    try:
        with h5py.File(io.BytesIO(data), "r") as root:
            yield root
    except (OSError, RuntimeError, KeyError) as error:
        raise ValueError(f"its weights are damaged or no HDF5 file: {error}") from error


def arrays(root: Any, path: tuple[str, ...], size: int, empty: bool) -> list[np.ndarray]:
    """The arrays "0", "1", ... of the group at ``path`` in a file of ``size`` bytes; none where there is no such group.

    empty: leave the numbers in the file, the arrays are ``hollow`` then.
    Raises ValueError for links that lead elsewhere, none of which is followed, for data that is kept outside the file,
    put together from other data, compressed, not float32 or float64, or larger than what the file has of it.
    """
    h5py, group = package(), root
    for name in path:
        if not group.id.links.exists(name.encode()):
            return []
        group = _inside(group, name, h5py.Group)
    if len(group) > MOST:
        raise ValueError(f"its weights hold {len(group)} arrays in {group.name}, of which {MOST} are the most")
    return [_array(_inside(group, str(n), h5py.Dataset), size, empty) for n in range(len(group))]


def encode(groups: dict[tuple[str, ...], list[np.ndarray]]) -> bytes:
    """The file of groups by their paths, each of arrays "0", "1", ..."""
    target = io.BytesIO()
    with package().File(target, "w", libver="earliest") as root:
        for path, found in groups.items():
            group = root.create_group("/".join(path))
            for n, a in enumerate(found):
                group.create_dataset(str(n), data=a, track_times=False)
    return target.getvalue()


def _inside(group: Any, name: str, kind: type) -> Any:
    """The group or dataset called ``name``, which must stand in the file itself."""
    where = f"{group.name.rstrip('/')}/{name}"
    if not group.id.links.exists(name.encode()):
        raise ValueError(f"its weights have no {where}")
    if group.id.links.get_info(name.encode()).type != package().h5l.TYPE_HARD:
        raise ValueError(f"its weights have {where} as a link to another place")
    if not isinstance(found := group[name], kind):
        raise ValueError(f"its weights have {where} as a {type(found).__name__}, wanted is a {kind.__name__}")
    return found


def _array(dataset: Any, size: int, empty: bool) -> np.ndarray:
    where = dataset.name
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"its weights {where} are kept in another place")
    if dataset.dtype.kind != "f" or dataset.dtype.itemsize not in (4, 8):
        raise ValueError(f"its weights {where} are of {dataset.dtype}, wanted is float32 or float64")
    if dataset.chunks is not None or dataset.shape is None:
        raise ValueError(f"its weights {where} are compressed, in pieces or empty, which Keras does not write")
    claimed, stored = dataset.size * dataset.dtype.itemsize, dataset.id.get_storage_size()
    if claimed != stored or claimed > size:
        raise ValueError(f"its weights {where} claim {claimed} bytes; there are {stored} in a file of {size}")
    kind = dataset.dtype.newbyteorder("=")
    return hollow(dataset.shape, kind) if empty else dataset[()].astype(kind)
