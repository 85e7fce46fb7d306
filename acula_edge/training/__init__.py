"""The one training loop: alignment and distillation differ only in the module that computes the loss."""

from acula_edge.training.batches import Assignment, batch_order
from acula_edge.training.loop import TrainingTask, fit
from acula_edge.training.normalization import refresh_statistics
from acula_edge.training.optimization import Optimization, resolve_device
from acula_edge.training.state import forget

__all__ = [
    "Assignment", "Optimization", "TrainingTask", "batch_order", "fit", "forget", "refresh_statistics",
    "resolve_device",
]  # fmt: skip
