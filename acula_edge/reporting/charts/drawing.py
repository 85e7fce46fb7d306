"""A small SVG canvas. ElementTree writes it, so what is drawn is well formed and every text is escaped."""

from __future__ import annotations

import textwrap
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import Literal

LINE_HEIGHT = 15.0

Anchor = Literal["start", "middle", "end"]

# Mean advance of a character in em, for system sans-serif faces; only used to break and to cut labels.
_ADVANCE_EM = 0.58


class Drawing:
    """One chart.

    Args:
        width, height: of the view box; text sizes are in its units.
        name: unique within the document; ids are made from it.
        title, description: for readers who cannot see the chart.
    """

    def __init__(self, width: float, name: str, title: str, description: str) -> None:
        self.width = width
        self.height = 0.0
        self._root = ET.Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "class": "chart",
                "role": "img",
                "aria-labelledby": f"{name}-title {name}-description",
            },
        )
        ET.SubElement(self._root, "title", {"id": f"{name}-title"}).text = title
        ET.SubElement(self._root, "desc", {"id": f"{name}-description"}).text = description

    def text(
        self, x: float, y: float, words: str, style: str = "label", anchor: Anchor = "start", limit: float | None = None
    ) -> None:
        """Words with their baseline at `y`, cut to `limit` units; the whole is kept as a tooltip."""
        shown = words if limit is None else fit(words, limit, 12)
        attributes = {"x": _number(x), "y": _number(y), "class": style}
        if anchor != "start":
            attributes["text-anchor"] = anchor
        element = ET.SubElement(self._root, "text", attributes)
        element.text = shown
        if shown != words:
            ET.SubElement(element, "title").text = words

    def paragraph(self, x: float, y: float, lines: Sequence[str], style: str, anchor: Anchor = "start") -> None:
        """Lines below each other, the first with its baseline at `y`."""
        for index, words in enumerate(lines):
            self.text(x, y + index * LINE_HEIGHT, words, style, anchor)

    def line(self, x1: float, y1: float, x2: float, y2: float, style: str) -> None:
        """A straight line."""
        places = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
        ET.SubElement(self._root, "line", {"class": style, **{key: _number(value) for key, value in places.items()}})

    def box(self, x: float, y: float, width: float, height: float, style: str, tip: str = "") -> None:
        """A rectangle."""
        places = {"x": x, "y": y, "width": max(width, 0.0), "height": height}
        element = ET.SubElement(self._root, "rect", {"class": style, **{k: _number(v) for k, v in places.items()}})
        if tip:
            ET.SubElement(element, "title").text = tip

    def path(self, points: Sequence[tuple[float, float]], style: str, closed: bool = False) -> None:
        """A polyline, or a polygon."""
        steps = " L".join(f"{_number(x)} {_number(y)}" for x, y in points)
        ET.SubElement(self._root, "path", {"class": style, "d": f"M{steps}{' Z' if closed else ''}"})

    def marker(self, x: float, y: float, shape: str, style: str, radius: float = 4.5) -> None:
        """A point: ``circle``, ``square`` or ``diamond``, so that color is not the only difference."""
        if shape == "circle":
            places = {"cx": _number(x), "cy": _number(y), "r": _number(radius)}
            ET.SubElement(self._root, "circle", {"class": style, **places})
        elif shape == "square":
            self.box(x - radius + 0.5, y - radius + 0.5, 2 * radius - 1, 2 * radius - 1, style)
        else:
            corner = radius + 1.2
            self.path([(x, y - corner), (x + corner, y), (x, y + corner), (x - corner, y)], style, closed=True)

    def render(self, css: str = "") -> str:
        """SVG text; with `css`, a picture that stands alone."""
        root = ET.Element(self._root.tag, dict(self._root.attrib))
        root.set("viewBox", f"0 0 {_number(self.width)} {_number(self.height)}")
        if css:
            root.set("width", _number(self.width))
            root.set("height", _number(self.height))
            ET.SubElement(root, "style").text = css
            ET.SubElement(root, "rect", {"width": "100%", "height": "100%", "class": "paper"})
        root.extend(list(self._root))
        return ET.tostring(root, encoding="unicode", short_empty_elements=True)


def fit(words: str, width: float, font_px: float) -> str:
    """`words`, cut with an ellipsis if they would be wider than `width`."""
    room = max(4, int(width / (font_px * _ADVANCE_EM)))
    return words if len(words) <= room else words[: room - 1].rstrip() + "…"


def wrap(words: str, width: float, font_px: float = 12) -> list[str]:
    """`words` in lines no wider than `width`."""
    return textwrap.wrap(words, max(8, int(width / (font_px * _ADVANCE_EM)))) if words else []


def _number(value: float) -> str:
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
