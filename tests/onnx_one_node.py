"""Models of one node: as a file, in onnxruntime, and here."""

import numpy as np
import onnx
import onnxruntime

from xprnn.io.onnx import load_graph


def saved(path, op, inputs, attributes, outputs, constants=(), opset=14):
    """Write a model of one node. ``inputs`` and ``outputs`` have None where something is left out."""
    names = [f"in{n}" if a is not None else "" for n, a in enumerate(inputs)]
    made = [f"out{n}" if wanted else "" for n, wanted in enumerate(outputs)]
    node = onnx.helper.make_node(op, names, made, name="one", **attributes)
    types = {n: onnx.helper.np_dtype_to_tensor_dtype(a.dtype) for n, a in enumerate(inputs) if a is not None}
    given = [
        onnx.helper.make_tensor_value_info(names[n], kind, [None] * inputs[n].ndim)
        for n, kind in types.items()
        if n not in constants
    ]
    fixed = [onnx.numpy_helper.from_array(inputs[n], names[n]) for n in types if n in constants]
    found = [onnx.helper.make_empty_tensor_value_info(name) for name in made if name]
    graph = onnx.helper.make_graph([node], "graph", given, found, fixed)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8)
    model = onnx.shape_inference.infer_shapes(model)
    onnx.save(model, path)
    return {names[n]: inputs[n] for n in types if n not in constants}


def theirs(path, inputs):
    """What onnxruntime makes of a file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def ours(path, inputs, **options):
    found = load_graph(path, **options)(**inputs)
    return list(found) if isinstance(found, tuple) else [found]


def close(got, wanted, tolerance, about):
    """Raise unless all arrays agree, relative to the largest of their numbers."""
    for a, b in zip(got, wanted, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape, about
        finite = np.abs(b[np.isfinite(b)]) if b.dtype.kind == "f" else np.abs(b)
        scale = max(1.0, float(finite.max())) if finite.size else 1.0
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale, err_msg=str(about))
