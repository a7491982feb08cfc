"""Graphs with something changed at random, as a mistaken or an unlucky exporter could write them."""

import random

import numpy as np

from xprnn.io.onnx.graph import Graph, Node

FAMILIES = (
    ("Add", "Mul", "Mean", "Sum", "Sub", "Div"), ("ReduceMean", "ReduceMax", "ReduceProd"), ("RNN", "GRU", "LSTM"),
    ("Relu", "Tanh", "Sigmoid", "Softplus", "Softmax", "Identity"), ("Less", "Greater"), ("Squeeze", "Unsqueeze"),
)  # fmt: skip
ORDERS = ((1, 0, 2), (0, 2, 1), (2, 1, 0), (1, 0))


class Change:
    """A graph in pieces, and dice."""

    def __init__(self, graph, seed):
        self.dice = random.Random(seed)
        self.graph, self.nodes, self.constants = graph, list(graph.nodes), dict(graph.constants)
        self.outputs = graph.outputs

    def attribute(self, n, node, before):
        """Another number, order or direction."""
        names = [name for name in node.attributes if name != "to"]
        if not names:
            return
        name = self.dice.choice(names)
        value = node.attributes[name]
        if name == "direction":
            value = self.dice.choice(("forward", "reverse", "bidirectional"))
        elif isinstance(value, tuple) and isinstance(value[0], int):
            value = tuple(self.dice.sample(value, len(value)))
        elif isinstance(value, int | float):
            value = value + self.dice.choice((-1, 1, 2))
        self.nodes[n] = node._replace(attributes=node.attributes | {name: value})

    def constant(self, n, node, before):
        """Another whole number."""
        names = [name for name in node.inputs if name in self.constants and self.constants[name].dtype.kind == "i"]
        if not names:
            return
        name = self.dice.choice(names)
        array = self.constants[name].copy()
        array.reshape(-1)[self.dice.randrange(array.size)] += self.dice.choice((-2, -1, 1, 2))
        self.constants[f"{name} {n}"] = array
        self.nodes[n] = node._replace(inputs=tuple(f"{name} {n}" if one == name else one for one in node.inputs))

    def order(self, n, node, before):
        """Inputs in another order."""
        self.nodes[n] = node._replace(inputs=tuple(self.dice.sample(node.inputs, len(node.inputs))))

    def source(self, n, node, before):
        """An input from somewhere else."""
        inputs = list(node.inputs)
        inputs[self.dice.randrange(len(inputs))] = self.dice.choice([*before, *self.constants])
        self.nodes[n] = node._replace(inputs=tuple(inputs))

    def skip(self, n, node, before):
        """An operation left out."""
        sources = [name for name in node.inputs if name in before]
        if sources and all(node.outputs[:1]) and len(node.outputs) == 1:
            self.nodes[n] = Node("Identity", node.name, (self.dice.choice(sources),), node.outputs, {})

    def operator(self, n, node, before):
        """An operator of the same family."""
        family = next((family for family in FAMILIES if node.op in family), (node.op,))
        self.nodes[n] = node._replace(op=self.dice.choice(family))

    def end(self, n, node, before):
        """Another output."""
        made = self.dice.choice([name for one in self.nodes for name in one.outputs if name])
        self.nodes.append(Node("Identity", "end", (made,), ("end",), {}))
        self.outputs = (self.outputs[0]._replace(name="end"),)

    def between(self, n, node, before):
        """An operation more, before an input."""
        sources = [name for name in node.inputs if name in before]
        if not sources:
            return
        source, made = self.dice.choice(sources), f"more {n} {len(self.nodes)}"
        one = self.dice.choice((
            Node("Transpose", made, (source,), (made,), {"perm": self.dice.choice(ORDERS)}),
            Node("Softmax", made, (source,), (made,), {"axis": self.dice.choice((-1, 0, 1, 2))}),
            Node("Tanh", made, (source,), (made,), {}),
            Node("Unsqueeze", made, (source, made + " axis"), (made,), {}),
        ))  # fmt: skip
        self.constants[made + " axis"] = np.array([self.dice.choice((0, 1, -1))])
        self.nodes[n] = node._replace(inputs=tuple(made if name == source else name for name in node.inputs))
        self.nodes.insert(n, one)


def changed(graph, seed):
    """The graph with one or two random changes; each name is still made before it is used."""
    change = Change(graph, seed)
    for _ in range(change.dice.choice((1, 1, 1, 2))):
        n = change.dice.randrange(len(change.nodes))
        before = [value.name for value in graph.inputs]
        before += [name for one in change.nodes[:n] for name in one.outputs if name]
        ways = (change.attribute, change.constant, change.order, change.source, change.skip, change.operator,
                change.end, change.between)  # fmt: skip
        change.dice.choice(ways)(n, change.nodes[n], before)
    return Graph(graph.inputs, change.outputs, tuple(change.nodes), change.constants, graph.opset)


def run(kind, graph, inputs):
    """What the graph computes; None if it cannot be run."""
    try:
        with np.errstate(all="ignore"):
            return kind(graph)(*inputs)
    except Exception:
        return None
