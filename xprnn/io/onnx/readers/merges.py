"""Two directions as one layer, and a direction that gives its last output alone."""

from dataclasses import replace

from ....layers.bidirectional import Bidirectional
from ....layers.direction import Direction
from .flow import Call, Chain, Flow, NoLayerError, Step, instead
from .labels import FEATURE

# What an operator makes of two directions' outputs, given both or an array in which they are two entries of an axis.
OF_BOTH = {"Add": "sum", "Mean": "mean", "Mul": "mul", "Sum": "sum"}
OVER_SIDES = {"ReduceMean": "mean", "ReduceProd": "mul", "ReduceSum": "sum"}


def merged(kind: str, a: Flow, b: Flow) -> Flow:
    """The outputs of two directions of one input as those of one layer."""
    one, two = a.made_by, b.made_by
    if a.axes != b.axes or a.outer is not b.outer or not (one and two and a.chain and b.chain):
        raise NoLayerError("its inputs are not two directions")
    if a.chain.before is not b.chain.before:
        raise NoLayerError("its inputs are not the two directions of a recurrent layer")
    if kind != "concat" and isinstance(one.layer, Direction) and one.layer.reverse:
        one, two = two, one
    first, second, widths = one.layer, two.layer, (a.sizes[FEATURE], b.sizes[FEATURE])
    ways = [layer.reverse for layer in (first, second) if isinstance(layer, Direction)]
    if ways != [False, True] or one.last != two.last or (kind != "concat" and widths[0] != widths[1]):
        raise NoLayerError("its inputs are not a forward and a backward direction, in this order and alike")
    layer = Bidirectional(first, second, kind)  # type: ignore[arg-type]
    params = {"forward": one.params, "backward": two.params}
    link = Chain(a.chain.before, (Step(layer, params, one.weights + two.weights, last=one.last),))
    width = sum(widths) if kind == "concat" else widths[0]
    return a._replace(parts=(link,), sizes=a.sizes | {FEATURE: width})


def of_both(call: Call) -> Flow:
    """The sum, mean or product of two directions."""
    if len(call.inputs) != 2 or not all(isinstance(value, Flow) for value in call.inputs):
        raise NoLayerError("it reckons with what no layer gives")
    return merged(OF_BOTH[call.node.op], *call.inputs)


def halved(flow: Flow) -> Flow:
    """Half the sum of two directions, which is their mean."""
    made = flow.made_by
    if made is None or not isinstance(made.layer, Bidirectional) or made.layer.merge != "sum":
        raise NoLayerError("it takes half of what is no sum of two directions")
    return instead(flow, replace(made, layer=replace(made.layer, merge="mean")))


def shortened(flow: Flow, backward: bool) -> Flow | None:
    """A direction's output at its last step, which for a backward one is the first; None for anything else."""
    made = flow.made_by
    if made is None or not isinstance(made.layer, Direction) or made.last or made.layer.reverse != backward:
        return None
    return instead(flow, replace(made, last=True))


def side(flow: Flow, chosen: range) -> Flow:
    """The features of one of two directions that stand side by side."""
    made, chain = flow.made_by, flow.chain
    if made is None or chain is None or not isinstance(made.layer, Bidirectional) or made.layer.merge != "concat":
        raise NoLayerError("it takes a part of the features")
    layers = made.layer.forward_layer, made.layer.backward_layer
    middle, end = layers[0].cell.hidden, flow.sizes[FEATURE]
    if chosen not in (range(middle), range(middle, end)):
        raise NoLayerError("it takes a part of the features")
    n, half = int(chosen.start > 0), len(made.weights) // 2
    step = Step(
        layers[n], made.params[("forward", "backward")[n]], made.weights[n * half : (n + 1) * half], last=made.last
    )
    return flow._replace(parts=(Chain(chain.before, (step,)),), sizes=flow.sizes | {FEATURE: len(chosen)})
