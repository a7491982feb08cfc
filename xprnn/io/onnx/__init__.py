"""ONNX: files of the Open Neural Network Exchange, read and written."""
