"""Reshape and Flatten: axes folded into one and unfolded, directions side by side, steps as samples."""

import math

from .build import alone, links
from .flow import Call, Flow, NoLayerError, Step, by_step
from .labels import BATCH, FEATURE, INNER, ONE, SIDE, TIME
from .merges import merged, side

OUTER = "outer"  # one of the two axes that a folded one is unfolded to
APART = "apart"  # one of the two that features are taken apart to: directions, and the features of each
MOST = 16  # axes, before and after a Reshape
_NAMES: dict[tuple[str, ...], str] = {(SIDE, FEATURE): FEATURE, (BATCH, TIME): BATCH, (TIME, BATCH): BATCH}


def flatten(call: Call) -> Flow:
    """All axes before one, and all from it on, as one each."""
    flow, axis = call.flow(), call.given["axis"]
    shape = flow.shape
    return _reshaped(flow, (math.prod(shape[:axis]), math.prod(shape[axis:])))


def reshape(call: Call) -> Flow:
    """Axes folded into one, or unfolded: directions side by side, steps as samples and back."""
    flow, wanted = call.flow(), call.given["shape"]
    keep = not call.given["allowzero"]
    sizes = [flow.shape[n] if keep and size == 0 else int(size) for n, size in enumerate(wanted)]
    if -1 in sizes:
        sizes[sizes.index(-1)] = math.prod(flow.shape) // -math.prod(sizes)
    return _reshaped(flow, tuple(sizes))


def _reshaped(flow: Flow, wanted: tuple[int, ...]) -> Flow:
    groups = _groups(flow, tuple(zip(flow.axes, flow.shape, strict=True)), wanted)
    if groups is None:
        raise NoLayerError(f"it makes other axes of {', '.join(flow.axes)}, {wanted}")
    axes = tuple(_NAMES.get(group, group[0] if group else ONE) for group in groups)
    special = [group for group in groups if len(group) == 2 or group in ((OUTER,), (APART,))]
    if not special:
        return flow._replace(axes=axes)
    if special == [(OUTER,), (OUTER,)] and groups[0] == (OUTER,):
        return _unfolded(flow, axes)
    if special == [(APART,), (APART,)]:
        middle = flow.sizes[FEATURE] // 2
        sides = [side(flow, chosen) for chosen in (range(middle), range(middle, 2 * middle))]
        named = tuple(FEATURE if n and axes[n - 1] == APART else axis for n, axis in enumerate(axes))
        named = tuple(SIDE if axis == APART else axis for axis in named)
        return sides[0]._replace(parts=tuple(one.chain for one in sides), axes=named)
    if special == [(SIDE, FEATURE)] and len(flow.parts) == 2:
        return merged("concat", *(flow._replace(parts=(part,), axes=axes) for part in flow.parts))
    if len(special) == 1 and groups[0] == flow.axes[:2] and set(flow.axes) <= {BATCH, TIME, INNER, FEATURE}:
        return _folded(flow, axes)
    raise NoLayerError(f"it makes other axes of {', '.join(flow.axes)}, {wanted}")


def _groups(flow: Flow, axes: tuple[tuple[str, int], ...], wanted: tuple[int, ...]) -> list[tuple[str, ...]] | None:
    """For each size that is wanted the axes that make it up, none for a new axis of one entry; None if they cannot."""
    if len(axes) + len(wanted) > MOST:
        return None
    if not wanted:
        return [] if all(name == ONE for name, _ in axes) else None
    names, sizes = tuple(name for name, _ in axes), tuple(size for _, size in axes)
    ways = [(names[:count], count, 1) for count in (1, 2, 0) if _fits(names, sizes, count, wanted[0])]
    if flow.outer and names[:1] == (BATCH,) and wanted[:2] == flow.outer.shape[:2]:
        ways.append(((OUTER,), 1, 2))
    if names[:1] == (FEATURE,) and wanted[:2] == (2, sizes[0] // 2):
        ways.append(((APART,), 1, 2))
    for group, count, made in ways:
        rest = _groups(flow, axes[count:], wanted[made:])
        if rest is not None:
            return [group] * made + rest
    return _groups(flow, axes[1:], wanted) if names[:1] == (ONE,) else None


def _fits(names: tuple[str, ...], sizes: tuple[int, ...], count: int, wanted: int) -> bool:
    """Whether the first ``count`` axes make up one of the size wanted."""
    known = count < 2 or names[:2] in _NAMES
    return known and len(names) >= count and math.prod(sizes[:count]) == wanted


def _folded(flow: Flow, axes: tuple[str, ...]) -> Flow:
    """Each step as a sample: another chain begins."""
    inner = tuple(TIME if axis == INNER else axis for axis in axes)
    sizes = {BATCH: flow.sizes[BATCH] * flow.sizes[TIME], TIME: flow.sizes.get(INNER, 1)}
    return Flow((None,), inner, flow.sizes | sizes, flow.ids, outer=flow)


def _unfolded(flow: Flow, axes: tuple[str, ...]) -> Flow:
    """The chain that sees each step as a sample, as layers of that which the steps are of."""
    outer, sizes = flow.outer, flow.sizes
    assert outer is not None
    inner = links(flow.chain)
    if INNER not in outer.axes and all(step.by_step for link in inner for step in link.steps):
        for step in (step for link in inner for step in link.steps):
            outer = by_step(outer, step)
    elif inner:
        outer = by_step(outer, Step(*alone(flow.chain), by_step=True))
    named = tuple(INNER if axis == TIME else axis for axis in axes)
    named = (*outer.axes[:2], *(axis for axis in named if axis != OUTER))
    changed = outer.sizes | {INNER: sizes[TIME]} | ({FEATURE: sizes[FEATURE]} if FEATURE in sizes else {})
    return outer._replace(axes=named, sizes=changed, ids=flow.ids)


TABLE = {"Flatten": flatten, "Reshape": reshape}
