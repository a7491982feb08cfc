"""The GPU benchmark's other libraries: torch.nn, and a scan of JAX's."""

from dataclasses import dataclass
from typing import Any

from cases import Job
from contestants import TORCH, jax_programs, torch_state
from gpu_place import by_host
from gpu_plan import MODES


@dataclass(frozen=True)
class Torch:
    """torch.nn, eager: inference mode, and autograd."""

    case: Any
    module: Any
    dtype: Any
    packed: bool
    xp: Any
    clock: Any
    says: tuple
    arithmetic: str

    def prepare(self, paper):
        import torch

        x, dy = (torch.from_dlpack(a).to(self.dtype) for a in (paper.x, paper.dy))
        lengths = torch.full((self.case.B,), self.case.T) if paper.lengths is None else torch.from_numpy(paper.lengths)
        return x.requires_grad_(), dy, lengths

    def infer(self, question):
        import torch

        with torch.inference_mode():
            return (self._y(*question),)

    def train(self, question):
        import torch

        x, dy, _ = question
        y = self._y(*question)
        return y, *torch.autograd.grad(y, [x, *self.module.parameters()], dy)

    def _y(self, x, dy, lengths):
        if not self.packed:
            return self.module(x)[0]
        from torch.nn.utils import rnn

        together = rnn.pack_padded_sequence(x, lengths, enforce_sorted=not self.case.ragged)
        return rnn.pad_packed_sequence(self.module(together)[0], total_length=self.case.T)[0]

    def named(self, output):
        y, *gradients = output
        found = {"y": y} | ({"dx": gradients.pop(0)} if gradients else {})
        for (name, _), a in zip(self.module.named_parameters(), gradients, strict=bool(gradients)):
            theirs, _, layer = name.removesuffix("_reverse").rpartition("_l")
            found[f"{layer}.{int(name.endswith('_reverse'))}.{TORCH[theirs]}"] = a.mT if a.ndim == 2 else a
        return {name: self.xp.from_dlpack(a.detach().float()) for name, a in found.items()}


def torch(case, weights, mode, place, packed=False):
    """torch.nn with TF32 on or off, or all of it in 16 bits."""
    import torch

    allow_tf32(mode)
    dtype = getattr(torch, MODES[mode].stored or "float32")
    more = {"num_layers": case.layers, "bidirectional": case.directions == 2, "device": place.device, "dtype": dtype}
    module = getattr(torch.nn, case.cell)(case.D, case.H, **more)
    state = {}
    for (layer, direction), each in weights.items():
        state |= torch_state(each, f"_l{layer}{'_reverse' * direction}")
    module.load_state_dict(state)
    forward, back = (algorithm(case, mode, packed, way) for way in (False, True))
    says = (forward, forward if forward == back else f"{forward}, {back} back")
    says = says if place.device == "cuda" else ("on the CPU",) * 2
    arithmetic = MODES[mode].stored or MODES[mode].arithmetic
    return Torch(case, module, dtype, packed, place.xp, place.clock, says, arithmetic)


def packed(case, weights, mode, place):
    """torch.nn on a PackedSequence."""
    return torch(case, weights, mode, place, True)


def allow_tf32(mode):
    """Say to torch whether float32 may be multiplied by TF32."""
    import torch

    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = mode == "tf32"


def algorithm(case, mode, packed, back):
    """cuDNN's algorithm by the rule that torch 2.11 has for it (aten/src/ATen/native/cudnn/RNN.cpp)."""
    if packed:
        return "STANDARD"
    forward, backward = (384, 256) if case.cell == "RNN" else (192, 128)
    if (backward if back else forward) >= case.H:
        return "SMALL_H"
    one = case.layers == case.directions == 1
    fits = case.H <= 1024 and case.H % 128 == case.D % 128 == 0 and case.B % 8 == 0 and case.B <= 128
    cell = case.cell == "LSTM" or (case.cell == "RNN" and (case.B < 96 or case.H < 896))
    return "PERSIST_STATIC" if mode == "fp16" and one and fits and cell else "STANDARD"


@dataclass(frozen=True)
class JAX:
    """jax.jit of one lax.scan, and of it with the way back; timed by the host's clock, as its streams are its own."""

    weights: dict
    run: Any
    both: Any
    xp: Any
    clock: Any
    says: tuple
    arithmetic: str

    def prepare(self, paper):
        import jax.numpy as jnp

        return jnp.from_dlpack(paper.x), jnp.from_dlpack(paper.dy)

    def infer(self, question):
        return self.run(self.weights, question[0]), {}, None

    def train(self, question):
        return self.both(self.weights, *question)

    def named(self, output):
        y, gradients, dx = output
        found = {"y": y} | ({} if dx is None else {"dx": dx}) | {f"0.0.{name}": a for name, a in gradients.items()}
        return {name: self.xp.from_dlpack(a).copy() for name, a in found.items()}  # its arrays never change


def jax(case, weights, mode, place):
    """JAX, in the mode's precision."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_default_matmul_precision", MODES[mode].precision)
    run, both = jax_programs(Job(case.cell, "", case.sizes(0), weights[0, 0]))
    mine = {name: jnp.asarray(a) for name, a in weights[0, 0].items()}
    return JAX(mine, run, both, place.xp, by_host(jax.block_until_ready), ("lax.scan",) * 2, MODES[mode].arithmetic)
