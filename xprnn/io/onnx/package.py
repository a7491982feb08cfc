"""The package ``onnx``, which reads and writes the files: imported when one is asked for, not before."""

from typing import Any


def package() -> Any:
    """The package ``onnx``; ImportError with what to install where there is none."""
    try:
        import onnx
    except ImportError as error:
        raise ImportError("ONNX files are read and written with the package onnx: pip install 'xprnn[onnx]'") from error
    return onnx
