"""What is in a model's file, without its numbers: what ``xprnn inspect`` shows, in JSON's types."""

import math
import os
from collections import Counter
from typing import Any

import numpy as np

from ..layers.base import Layer
from ..summary import parts
from ..types import Shape
from . import files, safetensors
from .convert import FORMATS, suffix


def describe(path: str | os.PathLike) -> dict[str, Any]:
    """What there is to say of a file, as far as its format knows it; the numbers stay in the file.

    file, format, bytes; parameters, how many floating-point numbers there are;
    layers:   of what is a chain of layers: name, type, layer as Python writes it, output, parameters' shapes, count;
    tensors:  of what is not: dtype and shape by name;
    dtype, input, output (one sample's shapes), seed, run, extra, metadata, opset, inputs, outputs, operators.
    Raises FileNotFoundError, FileError for what cannot be read, ImportError where a package is missing.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no file {os.fspath(path)}")
    found = READERS.get(suffix(path), _own)(path)
    return {"file": os.fspath(path), "bytes": os.path.getsize(path)} | found


def _own(path: str | os.PathLike) -> dict[str, Any]:
    saved = files.load(path, empty=True)
    title = FORMATS[suffix(path)].title if suffix(path) in FORMATS else "xprnn's own"
    found = {"format": title} | _layers(saved.layer, saved.about.input_shape)
    found |= {"dtype": saved.about.dtype, "seed": saved.about.seed, "extra": files.read_extra(path)}
    run = saved.run
    return found | {"run": None if run is None else {name: run[name] for name in ("epoch", "update")}}


def _safetensors(path: str | os.PathLike) -> dict[str, Any]:
    arrays, metadata = safetensors.read(path, empty=True)
    if "xprnn" in metadata:
        return _own(path)
    return {"format": "safetensors, arrays without layers", "metadata": metadata} | _tensors(arrays)


def _keras(path: str | os.PathLike) -> dict[str, Any]:
    from .keras.read import outline

    made = outline(path)
    return {"format": FORMATS[".keras"].title} | _layers(made.layer, made.input_shape) | {"dtype": made.dtype}


def _onnx(path: str | os.PathLike) -> dict[str, Any]:
    from .onnx.read import read

    graph = read(path, empty=True)
    ends = {"inputs": graph.inputs, "outputs": graph.outputs}
    found = {"format": FORMATS[".onnx"].title, "opset": graph.opset}
    found |= {name: [value._asdict() | {"shape": _axes(value.shape)} for value in ends[name]] for name in ends}
    found["operators"] = dict(Counter(node.op for node in graph.nodes))
    return found | _tensors(graph.constants)


READERS = {".safetensors": _safetensors, ".keras": _keras, ".onnx": _onnx}


def _layers(layer: Layer, input_shape: Shape) -> dict[str, Any]:
    found = parts(layer, input_shape)
    layers = [
        {
            "name": part.name,
            "type": type(part.layer).__name__,
            "layer": repr(part.layer),
            "output": list(part.output),
            "shapes": {name: list(shape) for name, shape in part.shapes.items()},
            "parameters": part.learned,
        }
        for part in found
    ]
    ends = {"input": list(input_shape), "output": list(found[-1].output if found else input_shape)}
    return ends | {"parameters": sum(part.learned for part in found), "layers": layers}


def _tensors(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    tensors = {name: {"dtype": str(a.dtype), "shape": list(a.shape)} for name, a in arrays.items()}
    floats = [a.shape for a in arrays.values() if a.dtype.kind == "f"]
    return {"parameters": sum(map(math.prod, floats)), "tensors": tensors}


def _axes(shape: tuple[int | str | None, ...] | None) -> list[int | str | None] | None:
    return None if shape is None else list(shape)
