"""Measurable or not, and why: the limits of a bundle applied to one recording or window."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.quality import Pieces, QualityAnalysis, measure_pieces, measure_quality
from acula_edge.audio.quality_limits import QUALITY_SCHEMA, QualityLimits, describe_quality
from acula_edge.errors import ArtifactError

# What constants of the figures may be, by the end of their names: no more than one block of sound is kept at a time.
_RANGES = {
    "_s": (1e-4, 1.0), "_frames": (1, 64), "_hz": (0, 1e6), "_percentile": (0, 100), "_db": (0, 1000), "": (0, 1e6),
}  # fmt: skip


@dataclass(frozen=True)
class QualityCheck:
    """One limit on one figure; see :func:`acula_edge.audio.quality_limits.describe_quality`."""

    name: str
    limit: float
    upper: bool
    unit: str
    reason: str
    final: bool

    def explain_failure(self, value: float | None) -> str | None:
        """Why `value` fails, or None where it passes."""
        if value is None:
            return f"{self.reason}: digital silence" if self.name == "level_dbfs" else None
        if value <= self.limit if self.upper else value >= self.limit:
            return None
        bound = "at most" if self.upper else "at least"
        return f"{self.reason}: {self._show(value, 3)}, {bound} {self._show(self.limit, 6)}"

    def _show(self, value: float, digits: int) -> str:
        return f"{100 * value:.{digits}g} %" if self.unit == "share" else f"{value:.{digits}g} {self.unit}"


@dataclass(frozen=True)
class QualityGate:
    """The checks of one bundle, in order, and the constants of the figures behind them."""

    checks: tuple[QualityCheck, ...]
    analysis: QualityAnalysis

    @classmethod
    def from_dict(cls, entry: dict[str, Any] | None) -> QualityGate:
        """Read ``quality`` of ``bundle.json``; None for the defaults.

        Raises:
            ArtifactError: it is of another version, or a check contradicts itself.
        """
        entry = describe_quality(QualityLimits()) if entry is None else entry
        try:
            if entry["schema"] != QUALITY_SCHEMA:
                raise ArtifactError(
                    "this bundle's limits of quality are of another version",
                    given=entry["schema"],
                    allowed=QUALITY_SCHEMA,
                )
            return cls(tuple(_check(values) for values in entry["checks"]), _analysis(entry["analysis"]))
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise ArtifactError("this bundle's limits of quality cannot be read", given=repr(error)) from error

    def assess(self, wave: NDArray[np.float32], sample_rate_hz: int, lost: float = 0.0) -> dict[str, Any]:
        """Evaluate one recording at the rate at which it was made.

        Args:
            lost: share of it that never came and is no part of `wave`.

        Shape: wave [T] in [-1, 1], T > 0.

        Returns:
            ``measurable``, ``reasons`` (phrases, empty when measurable), ``lost``, and the figures of
            :func:`acula_edge.audio.quality.measure_quality`.
        """
        return self.evaluate({"lost": lost, **measure_quality(wave, sample_rate_hz, self.analysis)})

    def assess_pieces(self, pieces: Pieces, sample_rate_hz: int) -> dict[str, Any]:
        """:meth:`assess` of a recording that does not lie in memory."""
        return self.evaluate({"lost": 0.0, **measure_pieces(pieces, sample_rate_hz, self.analysis)})

    def evaluate(self, figures: dict[str, float | None]) -> dict[str, Any]:
        """The verdict on figures, with them."""
        reasons = []
        for check in self.checks:
            reason = check.explain_failure(figures.get(check.name))
            if reason is not None:
                reasons.append(reason)
                if check.final:
                    break
        return {"measurable": not reasons, "reasons": reasons, **figures}


def _check(values: dict[str, Any]) -> QualityCheck:
    (bound,) = {"at_least", "at_most"} & values.keys()
    limit = float(values[bound])
    texts = [values[key] for key in ("name", "unit", "reason")]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError(f"name, unit and reason of a check are texts, not {texts}")
    return QualityCheck(texts[0], limit, bound == "at_most", texts[1], texts[2], bool(values["final"]))


def _analysis(values: dict[str, Any]) -> QualityAnalysis:
    # A later version's further constants are of figures that this version does not measure.
    known = {field.name for field in fields(QualityAnalysis)} & values.keys()
    constants: dict[str, Any] = {name: tuple(v) if isinstance(v := values[name], list) else v for name in known}
    analysis = QualityAnalysis(**constants)
    for field in fields(QualityAnalysis):
        _check_constant(field.name, getattr(analysis, field.name), field.default)
    return analysis


def _check_constant(name: str, value: Any, usual: Any) -> None:
    """Raises ValueError where a constant is of another kind than it is by default, or beyond what makes sense."""
    several = isinstance(usual, tuple)
    numbers = value if several and isinstance(value, tuple) else (value,)
    kinds = int if isinstance(usual, int) else (int, float)
    ending = next((ending for ending in _RANGES if name.endswith(ending)), "")
    low, high = _RANGES[ending]
    right = all(isinstance(n, kinds) and not isinstance(n, bool) and low <= n <= high for n in numbers)
    if not right or len(numbers) != (len(usual) if several else 1) or list(numbers) != sorted(numbers):
        raise ValueError(f"analysis.{name} is {value!r}, not of {low:g} to {high:g} as {usual!r} is")
