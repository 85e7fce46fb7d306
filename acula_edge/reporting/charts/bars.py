"""Horizontal bars made of stages, with a tick where the whole was measured by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from acula_edge.reporting.charts import WIDE
from acula_edge.reporting.charts.drawing import Drawing
from acula_edge.reporting.charts.scale import Scale
from acula_edge.reporting.numbers import fixed

_BAR = 18.0


@dataclass(frozen=True)
class Segment:
    """One stage.

    Attributes:
        style: class of its color.
    """

    name: str
    value: float
    style: str


@dataclass(frozen=True)
class Bar:
    """One row.

    Attributes:
        segments: stages one after another.
        whole: the same measured as one; None where it was not.
        text: the numbers in words.
    """

    label: str
    note: str
    segments: Sequence[Segment]
    whole: float | None
    text: str


def draw_bars(
    name: str, title: str, description: str, bars: Sequence[Bar], axis_label: str, width: float, unit: str = "ms"
) -> str:
    """SVG of bars from 0 on, laid out for `width` units of the page; `unit` is that of the values."""
    drawing = Drawing(width, f"{name}-{width:.0f}", title, description)
    wide = width >= WIDE
    left, right = (236.0, width - 130.0) if wide else (10.0, width - 14.0)
    row = 46.0 if wide else 78.0
    top, bottom = 6.0, 6.0 + row * len(bars)
    reach = max([bar.whole or 0.0 for bar in bars] + [sum(s.value for s in bar.segments) for bar in bars])
    scale = Scale(0.0, reach * 1.04 or 1.0, left, right)
    tops = [top + index * row for index in range(len(bars))]
    for tick in scale.ticks(6 if wide else 4):
        for begin, end in [(top, bottom)] if wide else [(y + 36, y + 64) for y in tops]:
            drawing.line(scale(tick), begin, scale(tick), end, "grid")
        drawing.text(scale(tick), bottom + 15, fixed(tick, scale.decimals(6 if wide else 4)), "tick", "middle")
    drawing.line(left, bottom, right, bottom, "axis")
    drawing.text((left + right) / 2, bottom + 33, axis_label, "tick", "middle")
    for bar, y in zip(bars, tops, strict=True):
        if wide:
            drawing.text(0, y + 19, bar.label, "label", limit=220)
            drawing.text(0, y + 34, bar.note, "note", limit=220)
            drawing.text(width - 118, y + 27, bar.text, "value", limit=118)
            middle = y + row / 2
        else:
            drawing.text(0, y + 14, bar.label, "label", limit=width)
            drawing.text(0, y + 29, " · ".join(filter(None, (bar.text, bar.note))), "value", limit=width)
            middle = y + 50
        _draw_bar(drawing, bar, scale, middle, unit)
    drawing.height = bottom + 40
    return drawing.render()


def _draw_bar(drawing: Drawing, bar: Bar, scale: Scale, middle: float, unit: str) -> None:
    begin = 0.0
    for segment in bar.segments:
        x = scale(begin)
        end = scale(begin + segment.value)
        drawing.box(
            x, middle - _BAR / 2, end - x, _BAR, f"bar {segment.style}", f"{segment.name} {segment.value:.3f} {unit}"
        )
        begin += segment.value
    if bar.whole is not None:
        x = scale(bar.whole)
        drawing.line(x, middle - _BAR / 2 - 4, x, middle + _BAR / 2 + 4, "whole")
