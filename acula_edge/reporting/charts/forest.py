"""Forest plots: estimates with their intervals, one line each, on a common axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from acula_edge.reporting.charts import NARROW, WIDE
from acula_edge.reporting.charts.drawing import LINE_HEIGHT, Drawing, wrap
from acula_edge.reporting.charts.scale import Scale, span
from acula_edge.reporting.numbers import fixed, signed

_LINE = 20
_GAP = 14
# Left and right of the axis in the wide layout.
_LABELS = 236.0
_VALUES = 270.0


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
    left, right = (_LABELS, width - _VALUES) if wide else (8.0, width - 8.0)
    scale = _scale(groups, axis, left, right)
    about = 6 if wide else 4
    top = 26.0 if axis.left or axis.right else 10.0
    places = _places(groups, top + _GAP / 2, wide)
    bottom = places[-1].end + _GAP / 2
    for begin, end, band in _strips(places, top, bottom, wide):
        if band is not None:
            drawing.box(scale(band[0]), begin, scale(band[1]) - scale(band[0]), end - begin, "band")
        for tick in scale.ticks(about):
            drawing.line(scale(tick), begin, scale(tick), end, "grid")
        if axis.reference is not None:
            drawing.line(scale(axis.reference), begin, scale(axis.reference), end, "reference")
    drawing.line(left, bottom, right, bottom, "axis")
    for tick in scale.ticks(about):
        digits = scale.decimals(about)
        label = signed(tick, digits) if axis.signed else fixed(tick, digits)
        drawing.text(scale(tick), bottom + 15, label, "tick", "middle")
    drawing.text(left, 14, f"← {axis.left}" if axis.left else "", "tick")
    drawing.text(right, 14, f"{axis.right} →" if axis.right else "", "tick", "end")
    middle = (left + right) / 2
    lines = wrap(axis.label, 2 * min(middle, width - middle))
    drawing.paragraph(middle, bottom + 33, lines, "tick", "middle")
    for place in places:
        _draw_group(drawing, place, scale, width, wide)
    drawing.height = bottom + 40 + LINE_HEIGHT * max(0, len(lines) - 1)
    return drawing.render()


@dataclass(frozen=True)
class _Place:
    """Where a group stands: its lines of words from `begin` on, its points around the heights `points`."""

    group: Group
    label: Sequence[str]
    note: Sequence[str]
    begin: float
    end: float
    points: Sequence[float]


def _places(groups: Sequence[Group], y: float, wide: bool) -> list[_Place]:
    places = []
    room = _LABELS - 16 if wide else NARROW
    for group in groups:
        label, note = wrap(group.label, room, 14), wrap(group.note, room)
        words = LINE_HEIGHT * (len(label) + len(note))
        if wide:
            heights = [y + 10 + index * _LINE for index in range(len(group.points))]
            end = y + max(len(group.points) * _LINE, words + 4)
        else:
            heights = [y + words + 15 + index * 2 * _LINE for index in range(len(group.points))]
            end = y + words + 3 + 2 * _LINE * len(group.points)
        places.append(_Place(group, label, note, y, end, heights))
        y = end + _GAP
    return places


def _strips(
    places: Sequence[_Place], top: float, bottom: float, wide: bool
) -> Iterator[tuple[float, float, tuple[float, float] | None]]:
    """From where to where the grid is drawn, and the band behind it: around the points where words stand in between."""
    if not wide:
        yield from ((y - 9, y + 9, place.group.band) for place in places for y in place.points)
        return
    # Neighbors with the same band share one box, so that it looks like what it is: one limit.
    for band, neighbors in groupby(places, key=lambda place: place.group.band):
        last = list(neighbors)[-1]
        end = bottom if last is places[-1] else last.end + _GAP / 2
        yield top, end, band
        top = end


def _draw_group(drawing: Drawing, place: _Place, scale: Scale, width: float, wide: bool) -> None:
    drawing.paragraph(0, place.begin + 14, place.label, "label")
    drawing.paragraph(0, place.begin + 14 + LINE_HEIGHT * len(place.label), place.note, "note")
    for point, y in zip(place.group.points, place.points, strict=True):
        _draw_point(drawing, point, scale, y)
        if wide:
            drawing.text(width - _VALUES + 12, y + 4, point.text, "value")
        else:
            drawing.text(0, y + 22, point.text, "value", limit=width)


def _draw_point(drawing: Drawing, point: Point, scale: Scale, y: float) -> None:
    if point.low is not None and point.high is not None:
        drawing.line(scale(point.low), y, scale(point.high), y, f"whisker {point.style}")
        for end in (point.low, point.high):
            drawing.line(scale(end), y - 4, scale(end), y + 4, f"whisker {point.style}")
    drawing.marker(scale(point.value), y, point.shape, f"point {point.style}")


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
