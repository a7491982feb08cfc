"""Descriptions of models, as Keras has them in config.json, with something wrong in each."""

import copy
import json

from .keras_file import DESCRIPTION, POLICY, gru, layer


def at(place, **values):
    """Changes the arguments of the layer at ``place``."""
    return lambda d: d["config"]["layers"][place]["config"].update(values)


def put(described):
    """Puts a layer before the last."""
    return lambda d: d["config"]["layers"].insert(4, described)


def whole(place, **values):
    return lambda d: d["config"]["layers"][place].update(values)


def nested(depth):
    """A layer on each step of each step, and so on."""
    described = layer("Dense", "deep", units=1)
    for _ in range(depth):
        described = layer("TimeDistributed", "deep", layer=described)
    return put(described)


CODE = ["4wEAAAAAAAAAAAAAAAEAAAADAAAA8wYAAACXAHwAUwCpAU6pACkB2gF4cwEAAAAg", None, None]
LAMBDA = {"class_name": "__lambda__", "config": {"value": CODE}}
EVAL = {"module": "builtins", "class_name": "function", "config": "eval", "registered_name": "function"}
CONFIG = {
    "a Lambda": put(layer("Lambda", "l", function=LAMBDA)),
    "a Lambda of another name": put(layer("Dense", "l", units=1, activation=LAMBDA)),
    "a Lambda in an initializer": at(4, kernel_initializer=LAMBDA),
    "code for an activation": at(4, activation={"value": CODE}),
    "code for a gate": at(2, recurrent_activation={"value": CODE}),
    "a function of Python's": at(4, activation=EVAL),
    "a function of Python's in a regularizer": at(4, kernel_regularizer=EVAL),
    "a module of Python's": put(layer("system", "l", module="os")),
    "a module that is no string": whole(4, module=["keras"]),
    "a module without a name": whole(4, module=None),
    "a module like Keras's": whole(4, module="keras_evil.layers"),
    "somebody's layer": put(layer("Mine", "l", module="mine", registered="mine>Mine")),
    "somebody's layer by Keras's name": whole(4, registered_name="mine>Dense"),
    "somebody's initializer": at(4, bias_initializer=layer("Mine", "i", module="mine", registered="mine>Mine")),
    "somebody's layer inside": at(3, layer=layer("Mine", "l", module="mine")),
    "somebody's model": lambda d: d.update(class_name="Mine", module="mine"),
    "another kind of model": lambda d: d.update(class_name="Model"),
    "a layer of text": put(layer("TextVectorization", "l", vocabulary="/etc/passwd")),
    "a layer that there is not": put(layer("Conv1D", "l", filters=1)),
    "a model inside": put(copy.deepcopy(DESCRIPTION)),
    "Flatten": put(layer("Flatten", "l")),
    "any recurrent layer": put(layer("RNN", "l", cell=layer("LSTMCell", "c", units=1))),
    "no class": whole(4, class_name=None),
    "a class of lists": whole(4, class_name=["Dense"]),
    "a config of text": whole(4, config="units"),
    "a config of lists": whole(4, config=[]),
    "layers of text": lambda d: d["config"].update(layers="layers"),
    "layers by name": lambda d: d["config"].update(layers={"dense": {}}),
    "no layers": lambda d: d["config"].pop("layers"),
    "a layer of nothing": lambda d: d["config"]["layers"].append(None),
    "30000 layers": lambda d: d["config"]["layers"].extend([layer("Dropout", "l", rate=0.1)] * 30_000),
    "a million layers": lambda d: d["config"].update(layers=[{}] * 10**6),
    "no input": lambda d: d["config"]["layers"].pop(0),
    "two inputs": lambda d: d["config"]["layers"].insert(2, d["config"]["layers"][0]),
    "an input of nothing": at(0, batch_shape=None),
    "an input of text": at(0, batch_shape="ab"),
    "an input of minus one": at(0, batch_shape=[None, -1]),
    "an input of half": at(0, batch_shape=[None, 1.5]),
    "an input of features": at(0, batch_shape=[None, None, 3]),
    "no units": at(4, units=None), "0 units": at(4, units=0), "minus units": at(2, units=-2),
    "2**40 units": at(2, units=2**40), "2**62 units": at(4, units=2**62), "10**300 units": at(2, units=10**300),
    "other units": at(2, units=3), "units of text": at(4, units="1"), "half units": at(2, units=2.5),
    "true units": at(4, units=True), "units of lists": at(2, units=[2]),
    "2**40 words": at(1, input_dim=2**40), "words of text": at(1, input_dim="5"),
    "a mask of text": at(1, mask_zero="y"),
    "a mask of lists": put(layer("Masking", "l", mask_value=[0])),
    "biases of text": at(4, use_bias="no"), "no biases": at(4, use_bias=False), "biases of 1": at(2, use_bias=1),
    "sequences of text": at(2, return_sequences="no"), "sequences of 0": at(2, return_sequences=0),
    "states": at(2, return_state=True),
    "a merge of nothing": at(3, merge_mode=None), "a merge": at(3, merge_mode="add"),
    "merges": at(3, merge_mode=["sum"]),
    "a direction of text": at(3, layer="LSTM"), "a direction without time": at(3, layer=layer("Dense", "l", units=1)),
    "two directions that are one": at(3, backward_layer=gru("backward_gru", False)),
    "directions reversed": at(3, layer=gru("f", True), backward_layer=gru("b", False)),
    "no such activation": at(4, activation="system"), "an activation of numbers": at(4, activation=3),
    "an activation in a million letters": at(4, activation="a" * 10**6),
    "an activation of a million digits": at(4, activation=f"leaky_relu({'1' * 10**6})"),
    "mish": at(4, activation="mish"),
    "an activation's number in text": at(4, activation=layer("LeakyReLU", "l", negative_slope="import os")),
    "an activation without its number": at(4, activation=layer("ELU", "l")),
    "an activation with a limit": put(layer("ReLU", "l", max_value=6.0, negative_slope=0.0, threshold=0.0)),
    "softmax over steps": put(layer("Softmax", "l", axis=1)),
    "a rate of 2": put(layer("Dropout", "l", rate=2.0)), "a rate of text": put(layer("Dropout", "l", rate="0")),
    "no rate": put(layer("Dropout", "l")), "a dropout of text": at(2, dropout="0"), "dropout 1": at(2, dropout=1.0),
    "epsilon 0": put(layer("LayerNormalization", "l", epsilon=0.0)),
    "epsilon of text": put(layer("LayerNormalization", "l", epsilon="0.1")),
    "another axis": put(layer("LayerNormalization", "l", axis=[1])),
    "an argument too many": at(4, quantum=True), "a shape in a layer": at(2, input_shape=[None, 3]),
    "quantized": at(4, quantization_config=layer("Int8QuantizationConfig", "q")),
    "a name twice": at(4, name="lstm"), "a name with a dot": at(4, name="a.b"), "no name": at(4, name=None),
    "a name of numbers": at(4, name=3), "a name of lists": at(4, name=["dense"]),
    "half precision": at(4, dtype="float16"), "mixed": at(2, dtype=POLICY | {"config": {"name": "mixed_float16"}}),
    "two precisions": at(4, dtype="float64"), "a precision of numbers": at(4, dtype=3),
    "eight bits": at(4, dtype="int8"),
    "a precision of code": at(4, dtype={"module": "os", "class_name": "system", "config": {"name": "float32"}}),
    "the largest after a mask": lambda d: (
        d["config"]["layers"].insert(3, layer("GlobalMaxPooling1D", "l", data_format="channels_last", keepdims=False))),
    "backwards after a mask": at(2, go_backwards=True),
    "zeros after a mask": at(2, zero_output_for_mask=True, return_sequences=False),
    "softmax after a mask": lambda d: d["config"]["layers"].insert(3, layer("Softmax", "l", axis=-1)),
    "60 layers deep": nested(60), "30 layers deep": nested(30), "400 layers deep": nested(400),
}  # fmt: skip
TEXTS = {
    "no JSON": lambda text: "import os",
    "nothing": lambda text: "",
    "null": lambda text: "null",
    "a list": lambda text: f"[{text}]",
    "a name twice": lambda text: text.replace('"units": 2', '"units": 2, "units": 2', 1),
    "NaN": lambda text: text.replace('"units": 1', '"units": NaN'),
    "infinity": lambda text: text.replace('"units": 1', '"units": -Infinity'),
    "1e999": lambda text: text.replace('"units": 1', '"units": 1e999'),
    "100000 digits": lambda text: text.replace('"units": 1', f'"units": {"1" * 10**5}'),
    "100000 deep": lambda text: text.replace('"units": 1', f'"units": {"[" * 10**5}{"]" * 10**5}'),
    "900 deep": lambda text: text.replace('"units": 1', f'"units": {"[" * 900}{"]" * 900}'),
    "17 million spaces": lambda text: text + " " * 17 * 2**20,
}


def tensor(*names):
    """What a layer of a Functional model is called with: the outputs of others."""
    about = [{"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}} for name in names]
    return [{"args": about, "kwargs": {}}]


def functional(change=None):
    """The model with its layers called one after the other; ``change`` is called with the layers by name."""
    described = copy.deepcopy(DESCRIPTION) | {"class_name": "Functional"}
    entries = described["config"]["layers"]
    entries[1]["config"]["mask_zero"] = False
    before = []
    for entry in entries:
        entry["name"] = entry["config"]["name"]
        entry["inbound_nodes"] = tensor(*before) if before else []
        before = [entry["name"]]
    described["config"] |= {"input_layers": ["input_layer", 0, 0], "output_layers": ["dense", 0, 0]}
    if change is not None:
        change(described["config"], {entry["name"]: entry for entry in entries})
    return json.dumps(described).encode()


GRAPHS = {
    "a circle": lambda c, by: by["lstm"].update(inbound_nodes=tensor("dense")),
    "itself": lambda c, by: by["lstm"].update(inbound_nodes=tensor("lstm")),
    "a fork": lambda c, by: by["dense"].update(inbound_nodes=tensor("lstm")),
    "a join": lambda c, by: by["lstm"].update(inbound_nodes=tensor("embedding", "input_layer")),
    "twice": lambda c, by: by["dense"].update(inbound_nodes=tensor("bidirectional") * 2),
    "nothing": lambda c, by: by["dense"].update(inbound_nodes=[]),
    "a state": lambda c, by: by["lstm"]["inbound_nodes"][0]["kwargs"].update(initial_state=tensor("embedding")),
    "training": lambda c, by: by["lstm"]["inbound_nodes"][0]["kwargs"].update(training=True),
    "a mask from nowhere": lambda c, by: by["lstm"]["inbound_nodes"][0]["kwargs"].update(mask=tensor("embedding")[0]),
    "two outputs": lambda c, by: c.update(output_layers=[["dense", 0, 0], ["lstm", 0, 0]]),
    "an output before the end": lambda c, by: c.update(output_layers=["lstm", 0, 0]),
    "another input": lambda c, by: c.update(input_layers=["lstm", 0, 0]),
    "an operation": lambda c, by: c["layers"].append(layer("Any", "any", module="keras.src.ops.numpy") | {
        "name": "any", "inbound_nodes": tensor("dense")}),
}  # fmt: skip
