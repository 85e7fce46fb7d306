"""Is there anything to measure? Length, silence, clipping and offset of one recording, before any score is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FULL_SCALE = 0.999
_FLAT_FRAME_S = 0.05
_ONE_STEP = 1.5 / 32768


@dataclass(frozen=True)
class QualityLimits:
    """Where a recording stops being measurable.

    The defaults pass all 667 recordings of a sample of 400 from CirCor and all of KAUH's 267 ten-second cuts
    (worst there: 5.2 s, -39 dBFS, 1.6 % clipped, offset 0.26).

    Attributes:
        min_duration_s: shorter holds no heart or breath cycle.
        min_level_dbfs: RMS level without the offset, relative to full scale.
        max_clipped: share of samples at full scale.
        max_dc_offset: mean, as a share of full scale.
        max_flat: share of 50-ms frames in which nothing moves by more than one 16-bit step.
    """

    min_duration_s: float = 1.0
    min_level_dbfs: float = -70.0
    max_clipped: float = 0.02
    max_dc_offset: float = 0.3
    max_flat: float = 0.5


LIMITS = QualityLimits()


def assess_quality(wave: NDArray[np.float32], sample_rate_hz: int, limits: QualityLimits = LIMITS) -> dict[str, Any]:
    """Judge one recording at the rate at which it was made.

    Shape: wave [T] in [-1, 1], T > 0.

    Returns:
        ``measurable`` and ``reasons`` (sentences, empty when measurable), then the figures behind them:
        ``duration_s``, ``level_dbfs`` (None for digital silence), ``peak``, ``clipped``, ``dc_offset``, ``flat``.
    """
    duration_s = wave.size / sample_rate_hz
    dc_offset = float(np.mean(wave, dtype=np.float64))
    rms = float(np.std(wave, dtype=np.float64))
    level_dbfs = 20 * float(np.log10(rms)) if rms > 0 else None
    magnitude = np.abs(wave)
    clipped = float(np.mean(magnitude >= _FULL_SCALE))
    flat = _flat_share(wave, sample_rate_hz)

    reasons = []
    if duration_s < limits.min_duration_s:
        reasons.append(f"{duration_s:.2f} s long, at least {limits.min_duration_s:g} s are needed")
    if level_dbfs is None:
        reasons.append("digital silence")
    elif level_dbfs < limits.min_level_dbfs:
        reasons.append(f"silent: {level_dbfs:.0f} dBFS, at least {limits.min_level_dbfs:g} dBFS are needed")
    elif flat > limits.max_flat:
        reasons.append(f"the signal stands still for {flat:.0%} of the time, at most {limits.max_flat:.0%} may be")
    if clipped > limits.max_clipped:
        reasons.append(f"{clipped:.1%} of the samples are clipped, at most {limits.max_clipped:.0%} may be")
    if abs(dc_offset) > limits.max_dc_offset:
        reasons.append(f"offset of {dc_offset:.2f} of full scale, at most {limits.max_dc_offset:g} may be")
    return {
        "measurable": not reasons,
        "reasons": reasons,
        "duration_s": duration_s,
        "level_dbfs": level_dbfs,
        "peak": float(np.max(magnitude)),
        "clipped": clipped,
        "dc_offset": dc_offset,
        "flat": flat,
    }


def _flat_share(wave: NDArray[np.float32], sample_rate_hz: int) -> float:
    length = max(2, round(_FLAT_FRAME_S * sample_rate_hz))
    frames = wave[: wave.size // length * length].reshape(-1, length)
    if frames.size == 0:
        frames = wave[None]
    return float(np.mean(np.ptp(frames, axis=1) < _ONE_STEP))
