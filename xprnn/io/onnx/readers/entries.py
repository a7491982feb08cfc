"""Operators that take entries of an axis, and that join them: directions, the last step, the first, all backwards."""

import numpy as np

from ....layers.flip import Flip
from ....layers.pooling import Pooling
from ..operators.base import position, positions
from .flow import ZERO, Call, Flow, NoLayerError, Sized, Step, append, are_lengths
from .labels import BATCH, FEATURE, ONE, SIDE, TIME
from .merges import merged, shortened, side


def gather(call: Call) -> Flow:
    """One entry of an axis: a direction, the last step, the first one."""
    flow, axis = call.flow(), call.given["axis"]
    indices = call.given["indices"].array if isinstance(call.given["indices"], Sized) else call.weight("indices")
    if indices.size != 1 or indices.ndim > 1:
        raise NoLayerError("it takes more than one entry of an axis")
    axis = position(axis, len(flow.axes))
    return _chosen(flow, axis, range(flow.shape[axis])[int(indices.reshape(-1)[0])], indices.ndim == 1)


def slice_(call: Call) -> Flow:
    """A part of an axis: directions, the last step, the first one, all steps backwards."""
    flow, (starts, ends) = call.flow(), (call.given[name] for name in ("starts", "ends"))
    axes = positions(range(len(starts)) if call.given["axes"] is None else call.given["axes"], len(flow.axes))
    steps = call.given["steps"] or (1,) * len(starts)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        flow = _part(flow, axis, range(flow.shape[axis])[start:end:step])
    return flow


def split(call: Call) -> tuple[Flow, ...]:
    """Directions apart."""
    flow, count = call.flow(), len(call.node.outputs)
    axis = position(call.given["axis"], len(flow.axes))
    size = flow.shape[axis]
    sizes = call.given["split"] or (-(-size // count),) * count
    ends = np.cumsum(sizes).tolist()
    return tuple(_part(flow, axis, range(size)[end - n : end]) for n, end in zip(sizes, ends, strict=True))


def concat(call: Call) -> Flow:
    """Directions together: as entries of their axis, or, of two, their features side by side."""
    flows, first = call.inputs, call.flow()
    axis = position(call.given["axis"], len(first.axes))
    if not all(isinstance(flow, Flow) and _kind(flow, axis) == _kind(first, axis) for flow in flows):
        raise NoLayerError("it joins what are not outputs of one kind")
    if first.axes[axis] in (SIDE, ONE) and SIDE not in (*first.axes[:axis], *first.axes[axis + 1 :]):
        return first.along(axis, tuple(part for flow in flows for part in flow.parts))
    if first.axes[axis] == FEATURE and len(flows) == 2:
        return merged("concat", *flows)
    raise NoLayerError(f"it joins {len(flows)} along the axis of {first.axes[axis]}")


def _kind(flow: Flow, axis: int) -> tuple:
    """What two values have in common that can be joined along an axis."""
    label = flow.axes[axis]
    sizes = None if label == FEATURE else flow.sizes[FEATURE]
    axes = (*flow.axes[:axis], ONE if label == SIDE else label, *flow.axes[axis + 1 :])
    return axes, sizes, flow.padding, id(flow.outer)


def reverse_sequence(call: Call) -> Flow:
    """The real steps backwards."""
    flow, told = call.flow(), call.given["lengths"]
    if (flow.axes[call.given["time_axis"]], flow.axes[call.given["batch_axis"]]) != (TIME, BATCH):
        raise NoLayerError("it does not turn time round")
    full = isinstance(told, Sized) and not flow.masked and bool(np.all(told.array == flow.sizes[TIME]))
    if not full and not are_lengths(told):
        raise NoLayerError("its lengths are not those of the rows")
    return append(flow, Step(Flip(), {}), flow.padding)


def flipped(flow: Flow) -> Flow:
    """All steps backwards."""
    if flow.padded:
        raise NoLayerError("it turns padding round as well")
    return append(flow, Step(Flip(), {}), flow.padding)


def _chosen(flow: Flow, axis: int, index: int, keep: bool) -> Flow:
    """One entry of an axis, as an axis of one entry where it is to be kept."""
    label = flow.axes[axis]
    if label == SIDE:
        chosen = flow._replace(parts=(flow.parts[index],))
    elif label == TIME:
        chosen = _step(flow, index)
    elif label == ONE:
        chosen = flow
    else:
        raise NoLayerError(f"it takes an entry of the axis of {label}")
    return chosen._replace(axes=(*flow.axes[:axis], *((ONE,) if keep else ()), *flow.axes[axis + 1 :]))


def _part(flow: Flow, axis: int, chosen: range) -> Flow:
    """Some entries of an axis, in order."""
    label, size = flow.axes[axis], flow.shape[axis]
    if chosen == range(size):
        return flow
    if label == SIDE:
        return flow.along(axis, tuple(flow.parts[n] for n in chosen))
    if label == TIME and len(chosen) == size:
        return flipped(flow)
    if label == FEATURE and chosen.step == 1:
        return _side(flow, chosen)
    if len(chosen) == 1:
        return _chosen(flow, axis, chosen[0], True)
    raise NoLayerError(f"it takes a part of the axis of {label}")


def _step(flow: Flow, index: int) -> Flow:
    """The last step or the first; the axis of time is still named."""
    made, chain, ends = flow.made_by, flow.chain, (0, flow.sizes[TIME] - 1)
    if index in ends and not flow.padded:
        short = shortened(flow, backward=index == 0)
        if short is not None:
            return short
    if index == ends[1] and not flow.padded:
        return append(flow, Step(Pooling("last"), {}))
    if index == 0 and made and chain and isinstance(made.layer, Flip):
        before = flow._replace(parts=(chain.before,))
        zero = flow.padding.theirs == 0 or not flow.masked
        return append(before, Step(Pooling("last"), {}), ZERO if zero else flow.padding._replace(ours=True, same=False))
    if index == 0 and not flow.padded:
        return append(flipped(flow), Step(Pooling("last"), {}))
    raise NoLayerError(f"it takes step {index}, which is not the last of each row")


def _side(flow: Flow, chosen: range) -> Flow:
    """The features of one of two directions, also where a step has been chosen before."""
    made, chain = flow.made_by, flow.chain
    if flow.masked or made is None or chain is None or made.layer != Pooling("last"):
        return side(flow, chosen)
    before = flow._replace(parts=(chain.before,))
    backwards = before.made_by is not None and isinstance(before.made_by.layer, Flip)
    whole = before._replace(parts=(chain.before.before,)) if backwards and chain.before else before
    return _step(side(whole, chosen), 0 if backwards else flow.sizes[TIME] - 1)


TABLE = {
    "Concat": concat, "Gather": gather, "ReverseSequence": reverse_sequence, "Slice": slice_, "Split": split,
}  # fmt: skip
