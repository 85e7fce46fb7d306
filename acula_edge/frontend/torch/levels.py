"""From mel power to what an encoder reads: the logarithm and scaling of each kind of front end.

Shape of all: power [B, F, M] or [B, M, F] -> the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from acula_edge.frontend.spec import SILENT_SPAN_DB, FrontendSpec


def log_mel_level(power: torch.Tensor, spec: FrontendSpec) -> torch.Tensor:
    """Decibels below each clip's maximum, floored, and scaled to [0, 1]; silence is exactly 0."""
    # Natural logarithms throughout: ONNX has Log, not Log10, and the scale takes the constant factor along.
    log_per_db = math.log(10) / 10
    silent, span = SILENT_SPAN_DB * log_per_db, spec.top_db * log_per_db
    level = torch.log(power.clamp_min(spec.amin))
    # A number times its own reciprocal never rounds to more than 1: the values stay in [0, 1].
    level = (level - level.amax((-2, -1), keepdim=True)).clamp_min(-span)
    lowest = level.amin((-2, -1), keepdim=True)
    # 1 for sound and 0 for silence, as a factor: a graph of one fixed shape has no branch per clip.
    sounds = (lowest < -silent).to(level.dtype)
    scale = sounds / (-lowest).clamp_min(silent) if spec.normalization == "minmax" else sounds / span
    return level * scale + sounds


def kaldi_level(power: torch.Tensor, spec: FrontendSpec) -> torch.Tensor:
    """Natural logarithm, brought to the mean and deviation of a whole corpus."""
    return (torch.log(power.clamp_min(spec.amin)) - spec.mean) / spec.deviation


def clap_level(power: torch.Tensor, spec: FrontendSpec) -> torch.Tensor:
    """Absolute decibels."""
    return torch.log(power.clamp_min(spec.amin)) * (10 / math.log(10))


def whisper_level(power: torch.Tensor, spec: FrontendSpec) -> torch.Tensor:
    """Base-10 logarithm, floored below each clip's maximum; silence (every power below `amin`) is -1.5."""
    # In bels, of which a tenth of `top_db` is the range.
    level = torch.log(power.clamp_min(spec.amin)) / math.log(10)
    level = torch.maximum(level, level.amax((-2, -1), keepdim=True) - spec.top_db / 10)
    return (level + 4) / 4


LEVELS: dict[str, Callable[[torch.Tensor, FrontendSpec], torch.Tensor]] = {
    "log-mel": log_mel_level,
    "kaldi-fbank": kaldi_level,
    "clap": clap_level,
    "whisper": whisper_level,
}
