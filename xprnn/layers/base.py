"""What a layer is: a frozen description without arrays, and a pair of functions of its parameters."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from ..arrays import namespace
from ..random import Key
from ..types import Array, Generator, Params, Shape, Sizes, State, Step


class Context(NamedTuple):
    """What a call knows besides its data.

    mask: (B, T) bool, True where a step is real; None when all are.
    key:  the source of this call's dropout; its presence means training.
    tape: False where no reverse will follow: recurrent layers then keep nothing.
    past: in a call for a piece of sequences, with the state that the steps before it left, how many those were.
    past_mask: (B, past) bool, the mask of those steps, where there is one.
    """

    mask: Array | None = None
    key: Key | None = None
    tape: bool = True
    past: int = 0
    past_mask: Array | None = None

    @property
    def step_key(self) -> Key | None:
        """The key of what is drawn for each step: each piece of a sequence has another."""
        return self.key.fold("past").fold(self.past) if self.key is not None and self.past else self.key

    @property
    def any_step(self) -> Array | None:
        """(B,) bool, True where there was a real step, now or before; None where all are real."""
        if self.mask is None:
            return None
        here = namespace(self.mask).any(self.mask, axis=1)
        return here if self.past_mask is None else here | namespace(here).any(self.past_mask, axis=1)

    def part(self, cut: slice) -> "Context":
        """The context of a call for some of these steps, those of ``cut``, after those before them."""
        past = self._replace(past=self.past + cut.start)
        if self.mask is None or not past.past:
            return past if self.mask is None else past._replace(mask=self.mask[:, cut])
        before = self.mask[:, : cut.start]  # a view: copies for all pieces would grow with the square of time
        if self.past_mask is not None:
            before = namespace(before).concat([self.past_mask, before], axis=1)
        return past._replace(mask=self.mask[:, cut], past_mask=before)


class Layer(ABC):
    """One stage of a model: ``forward`` and its reverse given a tape.

    Layers hold no arrays: parameters come in as an argument, and what the reverse needs goes out as the tape.
    """

    @property
    def shortens(self) -> bool:
        """Whether the output has no time axis any more; the mask ends here."""
        return False

    @property
    def rank(self) -> int | None:
        """How many axes one sample has: 2 for (time, features), 1 for token ids; None where the layer takes any."""
        return None

    @property
    def takes_ids(self) -> bool:
        """Whether x holds token ids, integers; else it holds numbers of the parameters' dtype."""
        return self.rank == 1

    @property
    def state_sizes(self) -> Sizes:
        """The widths of the state, in its structure: n for each leaf (B, n); () for a layer without a state."""
        return ()

    @property
    def makes_mask(self) -> bool:
        """Whether ``mask_after`` finds padding in x: such a layer can only be the first of a Sequential."""
        return False

    @property
    def streams(self) -> bool:
        """Whether one step at a time, with the state carried, equals the whole sequence."""
        return True

    def check(self, x: Array, mask: Array | None) -> None:  # noqa: B027 (most layers have nothing to look at)
        """Look at the values of ``x`` where a wrong one could pass unseen, and raise ValueError. For the door only."""

    def mask_after(self, x: Array, mask: Array | None) -> Array | None:
        """The mask (B, T) for the layers after this one, from its input and the mask that came with it."""
        return None if self.shortens else mask

    @property
    def overlaps(self) -> bool:
        """Whether it is one recurrent layer that walks forward and draws nothing that differs from step to step.

        Some steps after the others, with the state carried, are then all steps: in training too, and on the way back.
        """
        return False

    @abstractmethod
    def init(self, rng: Generator, shape: Shape) -> tuple[Params, Shape]:
        """Fresh parameters (float64, on the host) for samples of ``shape``, and the shape that comes out.

        Shapes are one sample's: (None, D) is any number of steps of D features, (D,) features, (None,) token ids.
        """

    @abstractmethod
    def forward(self, p: Params, x: Array, state: State, ctx: Context) -> tuple[Array, State, Any]:
        """y, the state after the last step, and the tape of the reverse. A ``state`` of None is the initial one."""

    def stepper(self, like: Array) -> Step:
        """A function of p, one step x (B, D), or (B,) token ids, and the state -> y (B, H), the next state.

        It is inference, and gives what ``forward`` gives. For layers that stream; y is nobody else's array. What is the
        same in every step is found out before the first one: ``like`` (B, n) has the model's floats for x's rows.
        """

        def step(p: Params, x: Array, state: State) -> tuple[Array, State]:
            y, end, _ = self.forward(p, namespace(x).expand_dims(x, axis=1), state, Context(tape=False))
            return y if self.shortens else y[:, 0, ...], end

        return step

    @abstractmethod
    def backward(self, p: Params, tape: Any, dy: Array | None, dstate: State) -> tuple[Array | None, State, Params]:
        """dx, the cotangent of the initial state, and the gradients of ``p``, from those of y and the final state."""

    def gradients(self, p: Params, tape: Any, dy: Array | None, dstate: State) -> tuple[State, Params]:
        """``backward`` without dx: the other two of its results. A layer that saves by it has a way of its own."""
        return self.backward(p, tape, dy, dstate)[1:]
