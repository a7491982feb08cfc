"""How each layer is written as ONNX's operators."""
