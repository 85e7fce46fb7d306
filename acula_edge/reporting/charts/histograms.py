"""Histograms below each other on one logarithmic axis, so that machines ten times apart share a chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from acula_edge.reporting.charts import WIDE
from acula_edge.reporting.charts.drawing import Drawing

_BINS = 80
_HEIGHT = 30.0
# Beyond this percentile lie single hiccups that would squeeze all else; they are counted, not drawn.
_DRAWN_PERCENTILE = 99.9


@dataclass(frozen=True)
class Histogram:
    """One row.

    Attributes:
        samples: all of them, positive. Shape: [n].
        median, p99: where a solid and a dashed tick stand; None for none.
        text: the numbers in words.
        style: class of its color.
    """

    label: str
    note: str
    samples: ArrayLike
    median: float | None
    p99: float | None
    text: str
    style: str


def draw_histograms(
    name: str, title: str, description: str, rows: Sequence[Histogram], axis_label: str, width: float
) -> str:
    """SVG of one row of bars per entry, each scaled to its own highest bar."""
    drawing = Drawing(width, f"{name}-{width:.0f}", title, description)
    wide = width >= WIDE
    left, right = (236.0, width - 190.0) if wide else (10.0, width - 14.0)
    pitch = 58.0 if wide else 92.0
    values = [np.asarray(row.samples, dtype=np.float64) for row in rows]
    low = min(float(value.min()) for value in values) * 0.95
    high = max([float(np.percentile(value, _DRAWN_PERCENTILE)) for value in values] + [low * 1.5]) * 1.05
    low, high = math.log10(low), math.log10(high)

    def place(value: float) -> float:
        share = (math.log10(max(value, 1e-12)) - low) / (high - low)
        return left + min(max(share, 0.0), 1.0) * (right - left)

    top, bottom = 6.0, 6.0 + pitch * len(rows)
    for tick in _ticks(low, high, 8 if wide else 4):
        drawing.line(place(tick), top, place(tick), bottom, "grid")
        drawing.text(place(tick), bottom + 15, f"{tick:g}", "tick", "middle")
    drawing.line(left, bottom, right, bottom, "axis")
    drawing.text((left + right) / 2, bottom + 33, axis_label, "tick", "middle")
    edges = np.logspace(low, high, _BINS + 1)
    for index, (row, value) in enumerate(zip(rows, values, strict=True)):
        base = top + pitch * (index + 1) - 6
        _label(drawing, row, top + pitch * index, width, wide)
        counts, _ = np.histogram(value, edges)
        for number in np.flatnonzero(counts):
            begin, end = place(edges[number]), place(edges[number + 1])
            height = _HEIGHT * float(counts[number]) / float(counts.max())
            tip = f"{edges[number]:.3g} to {edges[number + 1]:.3g}: {counts[number]}"
            drawing.box(begin, base - height, end - begin + 0.3, height, f"bin {row.style}", tip)
        drawing.line(left, base, right, base, "axis")
        if row.median is not None:
            # Above the bars: a narrow histogram would vanish behind it.
            drawing.line(place(row.median), base - _HEIGHT - 9, place(row.median), base - _HEIGHT - 1, "whole")
        if row.p99 is not None:
            drawing.line(place(row.p99), base - _HEIGHT - 4, place(row.p99), base, "whole p99")
    drawing.height = bottom + 40
    return drawing.render()


def _label(drawing: Drawing, row: Histogram, y: float, width: float, wide: bool) -> None:
    if wide:
        drawing.text(0, y + 28, row.label, "label", limit=220)
        drawing.text(0, y + 44, row.note, "note", limit=220)
        drawing.text(width - 176, y + 36, row.text, "value", limit=176)
    else:
        drawing.text(0, y + 14, row.label, "label", limit=width)
        drawing.text(0, y + 29, " · ".join(filter(None, (row.text, row.note))), "value", limit=width)


def _ticks(low: float, high: float, about: int) -> list[float]:
    """1, 2 and 5 times powers of ten between the ends (given as exponents), thinned to fit; more where few."""
    for factors in ((1, 2, 5), (1, 5), (1,)):
        found = _between(low, high, factors)
        if len(found) <= about:
            break
    if len(found) < 3:
        found = _between(low, high, tuple(factor / 10 for factor in range(10, 100)))
        found = found[:: max(1, math.ceil(len(found) / about))]
    return found


def _between(low: float, high: float, factors: Sequence[float]) -> list[float]:
    powers = range(math.floor(low), math.ceil(high) + 1)
    values = [factor * 10.0**power for power in powers for factor in factors]
    return [value for value in values if low <= math.log10(value) <= high]
