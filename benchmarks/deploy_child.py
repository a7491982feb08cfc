"""What ``deploy.py`` starts again and again: import one library, load its model, predict once, print.

    python benchmarks/deploy_child.py LIBRARY FOLDER

One line of JSON: the output, and when each stage was over, in seconds since this file began to run.
"""

import json
import sys
import time

BEGIN = time.perf_counter()
STAGES = {}


def over(stage):
    STAGES[stage] = time.perf_counter() - BEGIN


def xprnn(folder):
    import numpy as np

    import xprnn as xr

    over("import")
    model = xr.load(f"{folder}/model.safetensors")
    over("load")
    return model(np.load(f"{folder}/x.npy"))


def torch(folder):
    import numpy as np
    import torch
    from torch import nn

    over("import")

    class Network(nn.Module):
        def __init__(self, features, hidden, outputs):
            super().__init__()
            self.rnn = nn.LSTM(features, hidden, num_layers=2, batch_first=True)
            self.head = nn.Linear(hidden, outputs)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    state = torch.load(f"{folder}/model.pt", weights_only=True)
    hidden, features = state["rnn.weight_ih_l0"].shape[0] // 4, state["rnn.weight_ih_l0"].shape[1]
    network = Network(features, hidden, state["head.bias"].shape[0])
    network.load_state_dict(state)
    network.eval()
    over("load")
    with torch.inference_mode():
        return network(torch.from_numpy(np.load(f"{folder}/x.npy"))).numpy()


def onnxruntime(folder):
    import numpy as np
    import onnxruntime

    over("import")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the environment does not reach it
    session = onnxruntime.InferenceSession(f"{folder}/model.onnx", options, providers=["CPUExecutionProvider"])
    over("load")
    (name,) = (value.name for value in session.get_inputs())
    return session.run(None, {name: np.load(f"{folder}/x.npy")})[0]


def keras(folder):
    import numpy as np
    from keras.models import load_model

    over("import")
    model = load_model(f"{folder}/model.keras", compile=False)
    over("load")
    return np.asarray(model.predict(np.load(f"{folder}/x.npy"), verbose=0))


LIBRARIES = {"xprnn": xprnn, "torch": torch, "onnxruntime": onnxruntime, "keras": keras}

if __name__ == "__main__":
    y = LIBRARIES[sys.argv[1]](sys.argv[2])
    over("predict")
    print(json.dumps({"y": y.reshape(-1).tolist(), "stages": STAGES}), flush=True)
