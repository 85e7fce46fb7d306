"""What a device does with an artifact's scores: limits of quality, smoothing of streams. Bundles carry both."""

from __future__ import annotations

from dataclasses import dataclass, field

from acula_edge.audio.quality_limits import QualityLimits
from acula_edge.smoothing import SmoothingSettings


@dataclass(frozen=True)
class RuntimeConfig:
    """Settings of the runtime that travel in ``bundle.json``.

    Attributes:
        quality: where a recording stops being measurable.
        smoothing: how the scores of a stream become a decision.
    """

    quality: QualityLimits = field(default_factory=QualityLimits)
    smoothing: SmoothingSettings = field(default_factory=SmoothingSettings)
