"""Where a recording stops being measurable: limits that a recipe sets and that travel in ``bundle.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from acula_edge.audio.quality import QualityAnalysis
from acula_edge.bounds import Bounded

QUALITY_SCHEMA = "acula-edge/quality/1"


@dataclass(frozen=True)
class QualityLimits(Bounded):
    """Limits on the figures of :func:`acula_edge.audio.quality.measure_quality`; None judges nothing by that figure.

    Set so that real recordings pass and gross faults do not: ``benchmarks/quality_limits.py`` measured both on 1,125
    recordings of hearts and lungs, and says how often. Sounds that are steady by nature (a sung vowel) need
    ``min_snr_db: null``.

    Attributes:
        max_lost: share of a stream's window whose packets never came.
        min_duration_s: shorter holds no heart or breath cycle.
        min_level_dbfs: RMS level without the offset, relative to full scale.
        max_flat: share of time in which nothing moves by more than one 16-bit step.
        max_clipped: share of samples at full scale or on a plateau.
        max_dc_offset: mean, as a share of full scale.
        min_bandwidth_hz: highest frequency within 60 dB of the strongest.
        min_snr_db: beats and breaths above the noise between them, 25 to 800 Hz.
        max_contact_lost: share of half-second blocks 20 dB below the level with contact, or 35 dB below the loudest,
            25 to 150 Hz.
        max_handling: share of half-second blocks 20 dB above the median, 25 to 800 Hz.
    """

    at_least: ClassVar[Mapping[str, float]] = {"max_lost": 0, "min_duration_s": 0, "max_flat": 0, "max_clipped": 0}
    above: ClassVar[Mapping[str, float]] = {"max_dc_offset": 0, "min_bandwidth_hz": 0}

    max_lost: float | None = 0.1
    min_duration_s: float | None = 1.0
    min_level_dbfs: float | None = -60.0
    max_flat: float | None = 0.25
    max_clipped: float | None = 0.02
    max_dc_offset: float | None = 0.3
    min_bandwidth_hz: float | None = 200.0
    min_snr_db: float | None = 3.0
    max_contact_lost: float | None = 0.25
    max_handling: float | None = 0.3


# Field, figure, unit, reason, whether a recording that fails it is judged no further, what it means.
_CHECKS = (
    ("max_lost", "lost", "share", "packets lost", True, "share of the window whose packets never came"),
    ("min_duration_s", "duration_s", "s", "too short", True, "length"),
    ("min_level_dbfs", "level_dbfs", "dBFS", "silent", True, "RMS level without the mean, full scale 0; null fails"),
    ("max_flat", "flat", "share", "stands still", True, "share of 50-ms frames that move by at most one 16-bit step"),
    ("max_clipped", "clipped", "share", "clipped", False, "share of samples at full scale or on a plateau below it"),
    ("max_dc_offset", "dc_offset", "of full scale", "offset", False, "magnitude of the mean"),
    ("min_bandwidth_hz", "bandwidth_hz", "Hz", "narrow band", False, "highest frequency near the strongest"),
    ("min_snr_db", "snr_db", "dB", "noisy", False, "beats and breaths above the noise between them"),
    ("max_contact_lost", "contact_lost", "share", "contact lost", False, "share of blocks far below the usual level"),
    ("max_handling", "handling", "share", "handling noise", False, "share of blocks far above the median level"),
)


def describe_quality(limits: QualityLimits, analysis: QualityAnalysis | None = None) -> dict[str, Any]:
    """The entry ``quality`` of ``bundle.json``: everything that a gate in any language needs.

    ``analysis`` holds the constants of the figures (:class:`acula_edge.audio.quality.QualityAnalysis`), which
    :func:`acula_edge.audio.quality.measure_quality` defines. ``checks`` are made in order, each ``name`` (of the
    figure), ``at_least`` or ``at_most``, ``unit`` (a ``share`` is shown in percent), ``reason``, ``final`` and
    ``description``. A figure that is null passes, but for ``level_dbfs``, where it means digital silence. A recording
    that fails a check is not measurable because of ``reason``; after one that is ``final`` it is judged no further.
    """
    checks: list[dict[str, Any]] = []
    for field, name, unit, reason, final, description in _CHECKS:
        limit = getattr(limits, field)
        if limit is not None:
            bound = "at_least" if field.startswith("min_") else "at_most"
            checks.append({
                "name": name, bound: limit, "unit": unit, "reason": reason, "final": final, "description": description,
            })  # fmt: skip
    constants = {
        name: list(v) if isinstance(v, tuple) else v for name, v in asdict(analysis or QualityAnalysis()).items()
    }
    return {"schema": QUALITY_SCHEMA, "analysis": constants, "checks": checks}
