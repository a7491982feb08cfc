"""Files made to hurt whoever reads them, and the process in which they are read.

    own.py          model files: descriptions of layers, parameters and runs, in both formats
    arrays.py       the formats themselves: safetensors, .npz, .npy; and files of others by any name
    keras.py        .keras files: archives, descriptions and weights, which keras_file, _config and _hdf5 have
    onnx_graphs.py  ONNX files: graphs and tensors, which onnx_file and _tensors have
    damage.py       good files with something wrong at random
    reading.py      a process that reads each in a child of its own, with little memory and time

The makers follow the definitions of the formats, not the code that reads them. Each has a table of good files too,
made by the same functions, which are read: what is refused is refused for the one thing that is wrong with it.
"""
