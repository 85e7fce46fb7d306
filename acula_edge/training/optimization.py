"""Settings of the loop: what recipes say about steps, rates, averaging and precision."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import nn

from acula_edge.errors import InputError


@dataclass(frozen=True)
class Optimization:
    """What the loop needs to know; recipes hold these values (:class:`acula_edge.recipe.AlignConfig` explains them)."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    max_steps: int | None = None
    accumulation: int = 1
    schedule: str = "cosine"
    warmup_fraction: float = 0.15
    warmup_steps: int | None = None
    max_grad_norm: float = 1.0
    ema_decay: float = 0.0
    patience: int | None = None
    precision: str = "fp32"
    device: str = "auto"
    deterministic: bool = False
    save_every_s: float = 600.0
    seed: int = 0
    keep_best: bool = False
    validate_every: int = 1
    corpus_exponent: float = 1.0

    @classmethod
    def of(cls, config: Any, seed: int) -> Optimization:
        """The settings among the values of a recipe's section (``align`` or ``distill``)."""
        names = {field.name for field in fields(cls)} - {"seed"}
        return cls(**{name: value for name, value in vars(config).items() if name in names}, seed=seed)


def resolve_device(name: str) -> torch.device:
    """Torch device of a recipe's device name.

    Raises:
        InputError: CUDA was asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("there is no CUDA GPU here", given="device: cuda", allowed="auto, cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def make_optimizer(task: nn.Module, settings: Optimization) -> torch.optim.Optimizer:
    """AdamW with weight decay on matrices and kernels only."""
    trained = [parameter for parameter in task.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [parameter for parameter in trained if parameter.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate)


def make_schedule(
    optimizer: torch.optim.Optimizer, settings: Optimization, total: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """Linear warm-up, then a cosine or a straight line to 0 at step `total`."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate_scale(settings, total))


def learning_rate_scale(settings: Optimization, total: int) -> Callable[[int], float]:
    """The learning rate of every step, relative to its peak."""
    if settings.warmup_steps is None:
        warmup = max(1, round(total * settings.warmup_fraction))
    else:
        warmup = min(settings.warmup_steps, max(1, total - 1))

    def scale(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        progress = min(1.0, (step - warmup) / max(1, total - warmup))
        return 1 - progress if settings.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * progress))

    return scale
