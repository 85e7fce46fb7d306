"""Curves over epochs, small, one figure each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from acula_edge.reporting.charts.drawing import Drawing
from acula_edge.reporting.charts.scale import Scale, span
from acula_edge.reporting.numbers import fixed, significant

WIDTH = 260.0
_HEIGHT = 172.0


@dataclass(frozen=True)
class Curve:
    """Values over epochs.

    Attributes:
        style: class of its color.
    """

    name: str
    epochs: Sequence[float]
    values: Sequence[float]
    style: str = "int8"


def draw_curves(name: str, title: str, description: str, curves: Sequence[Curve], unit_interval: bool) -> str:
    """SVG of curves on common axes; the last value of each stands at its end.

    Args:
        unit_interval: the figure lies between 0 and 1 by definition, and is shown from 0 on.
    """
    drawing = Drawing(WIDTH, name, title, description)
    drawing.height = _HEIGHT
    left, right, top, bottom = 36.0, WIDTH - 44.0, 12.0, _HEIGHT - 40.0
    epochs = [epoch for curve in curves for epoch in curve.epochs]
    values = [value for curve in curves for value in curve.values]
    x = Scale(min(epochs), max(max(epochs), min(epochs) + 1), left, right)
    low, high = span(values)
    if unit_interval and low < 0.5:
        low = min(low, 0.0) if min(values) < 0 else 0.0
    y = Scale(low, high, bottom, top)
    for tick in y.ticks(5):
        drawing.line(left, y(tick), right, y(tick), "grid")
        drawing.text(left - 5, y(tick) + 4, fixed(tick, y.decimals(5)), "tick", "end")
    drawing.line(left, bottom, right, bottom, "axis")
    for epoch in _epoch_ticks(x):
        drawing.text(x(epoch), bottom + 15, fixed(epoch, 0), "tick", "middle")
    drawing.text((left + right) / 2, bottom + 32, "epoch", "tick", "middle")
    for curve in curves:
        places = [(x(epoch), y(value)) for epoch, value in zip(curve.epochs, curve.values, strict=True)]
        if len(places) > 1:
            drawing.path(places, f"curve {curve.style}")
        drawing.marker(*places[-1], "circle", f"point {curve.style}", 3.2)
        drawing.text(places[-1][0] + 7, places[-1][1] + 4, significant(curve.values[-1], 3), f"end {curve.style}")
    return drawing.render()


def _epoch_ticks(scale: Scale) -> list[float]:
    return [tick for tick in scale.ticks(5) if tick == int(tick)]
