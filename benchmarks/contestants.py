"""Who takes part in the CPU benchmark: each file's way to do a job, with all that needs doing once already done.

A contestant takes a job and the number of threads, and gives two functions: ``infer(question) -> Answer`` with y alone,
and ``train(question) -> Answer``, None where it cannot. What is imported is imported here, in a process of its own.
"""

from typing import NamedTuple

import numpy as np
from cases import Answer

TORCH = {"weight_ih": "Wx", "weight_hh": "Wh", "bias_ih": "bx", "bias_hh": "bh"}


class Contestant(NamedTuple):
    """The two things that are timed."""

    infer: object
    train: object


def xprnn_model(job):
    """A Model of one layer on NumPy with the job's weights."""
    import xprnn as xr

    layer = {"RNN": xr.RNN, "LSTM": xr.LSTM, "GRU": xr.GRU}[job.cell](job.sizes.H)
    model = xr.Model(layer, input_shape=(None, job.sizes.D))
    model.params = {"0": parameters(job)}
    return model


def parameters(job):
    """The weights as our cells have them."""
    if job.cell == "LayerNormLSTM":
        return job.weights
    two = job.cell == "GRU"
    return {name: job.weights[name] for name in ("Wx", "Wh", *(("bx", "bh") if two else ()))} | (
        {} if two else {"b": job.weights["bx"] + job.weights["bh"]}
    )


def start(job):
    """The initial state of zeros: h, and an LSTM's c."""
    return tuple(np.zeros((job.sizes.B, job.sizes.H), "f") for _ in range(1 + (job.cell == "LSTM")))


def xprnn(job, threads, inputs=True):
    """A Model of one layer on NumPy, as a user would call it; arrays are time-first in memory, as all others have.

    inputs: whether training asks for dx.
    """
    model = xprnn_model(job)

    def infer(question):
        return Answer(model(question.x.swapaxes(0, 1)).swapaxes(0, 1))

    def train(question):
        y, _, tape = model.forward(question.x.swapaxes(0, 1))
        dx, _, grads = model.backward(tape, question.dy.swapaxes(0, 1), inputs=inputs)
        dx = dx.swapaxes(0, 1) if inputs else None
        return Answer(y.swapaxes(0, 1), dx, grads["0"]["Wx"], grads["0"]["Wh"])

    return Contestant(infer, train)


def torch_layer(job, one_step=False):
    """torch.nn's layer with the job's weights, or its cell."""
    import torch

    layer = getattr(torch.nn, job.cell + "Cell" * one_step)(job.sizes.D, job.sizes.H)
    layer.load_state_dict(torch_state(job.weights, "" if one_step else "_l0"))
    return layer


def torch_state(weights, suffix):
    """The weights by torch's names, which end in ``suffix``, and as it has them."""
    import torch

    return {name + suffix: torch.from_numpy(weights[ours].T.copy()) for name, ours in TORCH.items()}


def torch(job, threads, inputs=True):
    """torch.nn, eager: inference mode, and autograd, which is asked for dx if ``inputs``."""
    import torch

    torch.set_num_threads(threads)
    module = torch_layer(job)
    parameters = list(module.parameters())

    def infer(question):
        with torch.inference_mode():
            return Answer(module(torch.from_numpy(question.x))[0].numpy())

    def train(question):
        x = torch.from_numpy(question.x).requires_grad_(inputs)
        y, _ = module(x)
        dWx, dWh, *others = torch.autograd.grad(y, [*parameters, *[x] * inputs], torch.from_numpy(question.dy))
        return Answer(y.detach().numpy(), others[-1].numpy() if inputs else None, dWx.numpy().T, dWh.numpy().T)

    return Contestant(infer, train)


def onnx_session(job, threads, states=()):
    """A session of one operator, x -> y; it takes the ``states``, such as ("h", "c"), and gives them back as well."""
    import onnx
    import onnxruntime

    from xprnn.io.layouts import reorder

    have, want = {"RNN": ("h", "h"), "LSTM": ("ifgo", "iofg"), "GRU": ("rzn", "zrn")}[job.cell]
    w = {name: reorder(a, have, want) for name, a in job.weights.items()}
    weights = {"W": w["Wx"].T, "R": w["Wh"].T, "B": np.concatenate([w["bx"], w["bh"]])}
    weights = [onnx.numpy_helper.from_array(np.ascontiguousarray(a[None]), name) for name, a in weights.items()]
    reset = {"linear_before_reset": 1} if job.cell == "GRU" else {}
    inputs, outputs = ["x", *states], ["y", *(f"{name}_end" for name in states)]
    names = ["x", "W", "R", "B", "", *states] if states else ["x", "W", "R", "B"]
    node = onnx.helper.make_node(job.cell, names, outputs, hidden_size=job.sizes.H, **reset)
    ends = [
        [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in side]
        for side in (inputs, outputs)
    ]
    graph = onnx.helper.make_graph([node], "job", *ends, weights)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def onnxruntime(job, threads):
    """One operator in a session; inference only."""
    session = onnx_session(job, threads)

    def infer(question):
        return Answer(session.run(None, {"x": question.x})[0][:, 0])

    return Contestant(infer, None)


def jax_programs(job):
    """jax.jit of one lax.scan over the steps, all that needs no state before it, all gates in one product a step.

    y from the weights and x; and y, the weights' gradients and dx from the weights, x and dy. The scan's steps are
    not unrolled, as JAX has it if nothing is said.
    """
    import jax
    import jax.numpy as jnp

    def rnn(h, u, w):
        h = jnp.tanh(u + h @ w["Wh"])
        return h, h

    def lstm(carry, u, w):
        h, c = carry
        i, f, g, o = jnp.split(u + h @ w["Wh"], 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    def gru(h, u, w):
        (ur, uz, un), (vr, vz, vn) = jnp.split(u, 3, axis=-1), jnp.split(h @ w["Wh"], 3, axis=-1)
        z = jax.nn.sigmoid(uz + vz)
        h = (1 - z) * jnp.tanh(un + jax.nn.sigmoid(ur + vr) * (vn + w["bh"][2 * job.sizes.H :])) + z * h
        return h, h

    def drive(w, x):
        early = w["bh"].at[2 * job.sizes.H :].set(0) if job.cell == "GRU" else w["bh"]
        return x @ w["Wx"] + (w["bx"] + early)

    step = {"RNN": rnn, "LSTM": lstm, "GRU": gru}[job.cell]

    @jax.jit
    def run(w, x):
        zero = jnp.zeros((x.shape[1], job.sizes.H), x.dtype)
        begin = (zero, zero) if job.cell == "LSTM" else zero
        return jax.lax.scan(lambda carry, u: step(carry, u, w), begin, drive(w, x))[1]

    @jax.jit
    def both(w, x, dy):
        y, pullback = jax.vjp(run, w, x)
        return y, *pullback(dy)

    return run, both


def jax(job, threads):
    """These programs, from arrays of NumPy to such arrays."""
    import jax
    import jax.numpy as jnp

    run, both = jax_programs(job)
    weights = {name: jnp.asarray(a) for name, a in job.weights.items()}

    def infer(question):
        return Answer(np.asarray(run(weights, question.x)))

    def train(question):
        y, dw, dx = jax.block_until_ready(both(weights, question.x, question.dy))
        return Answer(*map(np.asarray, (y, dx, dw["Wx"], dw["Wh"])))

    return Contestant(infer, train)


def loop(job, threads):
    """The loop kernel on NumPy, what runs where nothing was compiled; it stands in xprnn's place."""
    from xprnn import cells
    from xprnn.kernels import loop

    cell, p, s = getattr(cells, job.cell)(job.sizes.H), parameters(job), start(job)

    def infer(question):
        return Answer(loop.forward(cell, p, question.x, s, None, False, tape=False)[0])

    def train(question):
        y, _, tape = loop.forward(cell, p, question.x, s, None, False)
        dx, _, grads = loop.backward(cell, p, tape, question.dy, s)
        return Answer(y, dx, grads["Wx"], grads["Wh"])

    return Contestant(infer, train)


def handwritten(job, threads):
    """NumPy by hand, with ``out=`` everywhere."""
    import handwritten

    p, s = parameters(job), start(job)

    def infer(question):
        return Answer(handwritten.FORWARD[job.cell](p, question.x, s))

    def train(question):
        y, grads = handwritten.TRAIN[job.cell](p, question.x, s, question.dy)
        return Answer(y, grads["x"], grads["Wx"], grads["Wh"])

    return Contestant(infer, train)


def numpy(job, threads):
    """The textbook's loop in NumPy, gate by gate."""
    import textbook

    def infer(question):
        return Answer(textbook.forward(job.cell, job.weights, question.x)[0])

    def train(question):
        y, tape = textbook.forward(job.cell, job.weights, question.x)
        return Answer(y, *textbook.backward(job.cell, job.weights, tape, question.dy))

    return Contestant(infer, train)


def limit(job, threads):
    """No network: only its matrix products, by NumPy's BLAS into arrays that are there. It has no answer to check."""
    T, B, D, H = job.sizes
    Wx, Wh = job.weights["Wx"], job.weights["Wh"]
    width = Wx.shape[1]
    Wx_T, Wh_T = np.ascontiguousarray(Wx.T), np.ascontiguousarray(Wh.T)
    u, z = np.empty((T * B, width), "f"), np.zeros((T, B, width), "f")
    dz = np.random.default_rng(0).standard_normal((T, B, width), dtype="f")
    dx, dWx, dWh, dh = (np.empty(shape, "f") for shape in ((T * B, D), (D, width), (H, width), (B, H)))

    def infer(question):
        np.dot(question.x.reshape(T * B, D), Wx, out=u)
        for t in range(T):
            np.dot(question.dy[t], Wh, out=z[t])
        return Answer(None)

    def train(question):
        infer(question)
        for t in range(T):
            np.dot(dz[t], Wh_T, out=dh)
        flat = dz.reshape(T * B, width)
        np.dot(flat, Wx_T, out=dx)
        np.dot(question.x.reshape(T * B, D).T, flat, out=dWx)
        np.dot(question.dy.reshape(T * B, H).T, flat, out=dWh)
        return Answer(None)

    return Contestant(infer, train)


ALL = {one.__name__: one for one in (xprnn, loop, torch, onnxruntime, jax, numpy, handwritten, limit)}
