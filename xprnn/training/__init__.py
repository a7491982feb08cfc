"""Training: data in batches and chunks, one pure update, an iterator of reports."""

from .check import Given, check_data, whole
from .data import Data
from .evaluate import evaluate, outputs
from .loop import Report, check_resume, train
from .step import Recipe, Run

__all__ = [
    "Data",
    "Given",
    "Recipe",
    "Report",
    "Run",
    "check_data",
    "check_resume",
    "evaluate",
    "outputs",
    "train",
    "whole",
]
