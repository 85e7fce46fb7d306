"""Forest plots: estimates with their intervals, one line each, on a common axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from acula_edge.report.charts import WIDE
from acula_edge.report.charts.drawing import Drawing
from acula_edge.report.charts.scale import Scale, span
from acula_edge.report.numbers import fixed, signed

_LINE = 20
_GAP = 14


@dataclass(frozen=True)
class Point:
    """One estimate.

    Attributes:
        text: the numbers in words, beside the point.
        style: class of its color.
        shape: of its marker.
    """

    value: float
    low: float | None
    high: float | None
    text: str
    style: str
    shape: str = "circle"


@dataclass(frozen=True)
class Group:
    """Points that share a label.

    Attributes:
        band: from where to where a difference is tolerated, drawn as a shaded band behind the points.
    """

    label: str
    note: str
    points: Sequence[Point]
    band: tuple[float, float] | None = None


@dataclass(frozen=True)
class Axis:
    """The common axis.

    Attributes:
        left, right: what it means to lie on either side; "" for neither.
        reference: where a vertical line stands.
    """

    label: str
    left: str = ""
    right: str = ""
    reference: float | None = None
    signed: bool = False
    limits: tuple[float, float] | None = None


def draw_forest(name: str, title: str, description: str, groups: Sequence[Group], axis: Axis, width: float) -> str:
    """SVG of a forest plot, laid out for `width` units: labels beside the points, or above them where it is narrow."""
    drawing = Drawing(width, f"{name}-{width:.0f}", title, description)
    wide = width >= WIDE
    left, right = (208.0, width - 262.0) if wide else (8.0, width - 8.0)
    scale = _scale(groups, axis, left, right)
    top = 26.0 if axis.left or axis.right else 10.0
    body = _body_height(groups, wide)
    bottom = top + body
    _draw_bands(drawing, groups, scale, top, wide)
    for tick in scale.ticks(6 if wide else 4):
        drawing.line(scale(tick), top, scale(tick), bottom, "grid")
        digits = scale.decimals(6 if wide else 4)
        label = signed(tick, digits) if axis.signed else fixed(tick, digits)
        drawing.text(scale(tick), bottom + 15, label, "tick", "middle")
    if axis.reference is not None:
        drawing.line(scale(axis.reference), top, scale(axis.reference), bottom, "reference")
    drawing.line(left, bottom, right, bottom, "axis")
    middle = scale(axis.reference) if axis.reference is not None else (left + right) / 2
    drawing.text(middle - 8, 14, f"← {axis.left}" if axis.left else "", "tick", "end")
    drawing.text(middle + 8, 14, f"{axis.right} →" if axis.right else "", "tick")
    drawing.text((left + right) / 2, bottom + 33, axis.label, "tick", "middle")

    y = top + _GAP / 2
    for group in groups:
        y = _draw_group(drawing, group, scale, y, width, wide) + _GAP
    drawing.height = bottom + 40
    return drawing.render()


def _draw_group(drawing: Drawing, group: Group, scale: Scale, y: float, width: float, wide: bool) -> float:
    """Draw from `y` on; returns where it ends."""
    if wide:
        drawing.text(0, y + 14, group.label, "label", limit=196)
        drawing.text(0, y + 29, group.note, "note", limit=196)
        for index, point in enumerate(group.points):
            _draw_point(drawing, point, scale, y + index * _LINE + 10)
            drawing.text(width - 250, y + index * _LINE + 14, point.text, "value", limit=256)
        return y + _height(group, wide)
    drawing.text(0, y + 12, group.label, "label", limit=width * 0.96)
    y += 16
    if group.note:
        drawing.text(0, y + 11, group.note, "note", limit=width)
        y += 14
    for point in group.points:
        _draw_point(drawing, point, scale, y + 10)
        drawing.text(0, y + 29, point.text, "value", limit=width)
        y += 36
    return y


def _draw_point(drawing: Drawing, point: Point, scale: Scale, y: float) -> None:
    if point.low is not None and point.high is not None:
        drawing.line(scale(point.low), y, scale(point.high), y, f"whisker {point.style}")
        for end in (point.low, point.high):
            drawing.line(scale(end), y - 4, scale(end), y + 4, f"whisker {point.style}")
    drawing.marker(scale(point.value), y, point.shape, f"point {point.style}")


def _draw_bands(drawing: Drawing, groups: Sequence[Group], scale: Scale, top: float, wide: bool) -> None:
    """Neighbors with the same band share one box, so that it looks like what it is: one limit."""
    begin, y = top, top
    for group, following in zip(groups, [*groups[1:], None], strict=True):
        y += _height(group, wide) + _GAP
        if following is not None and following.band == group.band:
            continue
        if group.band is not None:
            low, high = (scale(edge) for edge in group.band)
            drawing.box(low, begin, high - low, y - begin, "band")
        begin = y


def _height(group: Group, wide: bool) -> float:
    if wide:
        return float(max(len(group.points) * _LINE, _LINE + 14))
    return 16.0 + (14 if group.note else 0) + 36 * len(group.points)


def _body_height(groups: Sequence[Group], wide: bool) -> float:
    return sum(_height(group, wide) + _GAP for group in groups)


def _scale(groups: Sequence[Group], axis: Axis, left: float, right: float) -> Scale:
    points = [point for group in groups for point in group.points]
    numbers = [number for p in points for number in (p.value, p.low, p.high) if number is not None]
    numbers.extend(edge for group in groups for edge in group.band or ())
    if axis.reference is not None:
        numbers.append(axis.reference)
    low, high = span(numbers)
    if axis.limits is not None:
        low, high = max(low, axis.limits[0]), min(high, axis.limits[1])
    return Scale(low, high, left + 6, right - 6)
