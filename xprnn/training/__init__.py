"""Training: data in batches and chunks, one pure update, an iterator of reports."""

from .data import Data
from .evaluate import evaluate, outputs
from .loop import Report, train
from .step import Recipe, Run

__all__ = ["Data", "Recipe", "Report", "Run", "evaluate", "outputs", "train"]
