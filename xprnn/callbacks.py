"""Keras's callbacks by Keras's names: early stopping alone. For anything else there is ``Model.training``'s loop."""

from .history import EarlyStopping as _EarlyStopping

__all__ = ["EarlyStopping"]


def EarlyStopping(
    monitor: str = "val_loss",
    min_delta: float = 0.0,
    patience: int = 0,
    verbose: int = 0,
    mode: str = "auto",
    *,
    restore_best_weights: bool = False,
) -> _EarlyStopping:
    """``xprnn.EarlyStopping`` from Keras's arguments, in their order.

    mode:    "min", "max", or "auto": "max" where ``monitor`` is an accuracy, else "min".
    verbose: whether Keras would print the reason; here it always stands in ``history.stopped``.
    """
    if mode == "auto":
        mode = "max" if monitor.removeprefix("val_") in ("acc", "accuracy") else "min"
    return _EarlyStopping(monitor, patience, min_delta, mode, restore_best_weights)
