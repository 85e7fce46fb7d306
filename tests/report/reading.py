"""A report as its reader has it: tables by caption, sections by title, charts."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path

_VOID = {"meta", "br", "hr", "img", "link", "input"}


@dataclass
class Page(HTMLParser):
    """A parsed ``report.html``.

    Attributes:
        elements: every tag with its attributes, in order.
        texts: words by section anchor; ``headline`` and ``""`` (outside) are sections too.
        tables: rows by caption; a row is one text per cell, header row first.
        open: tags that are open; empty at the end of a sound page.
    """

    source: str
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    tables: dict[str, list[list[str]]] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._section = ""
        self._caption = ""
        self._rows: list[list[str]] = []
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag not in _VOID:
            self.open.append(tag)
        if tag == "section" or attributes.get("id") == "headline":
            self._section = str(attributes["id"])
        if tag == "table":
            self._caption, self._rows = "", []
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()
        if tag == "table":
            self.tables[self._caption.strip()] = [[" ".join(cell.split()) for cell in row] for row in self._rows]

    def handle_data(self, data: str) -> None:
        if {"style", "title", "desc"} & set(self.open):
            return
        self.texts[self._section] = f"{self.texts.get(self._section, '')} {data}"
        if "caption" in self.open:
            self._caption += data
        elif "td" in self.open or "th" in self.open:
            self._rows[-1][-1] += f" {data} "

    @property
    def headline(self) -> str:
        """Verdict, explanation and key figures."""
        return " ".join(self.texts["headline"].split())

    def section(self, anchor: str) -> str:
        """Words of one section."""
        return " ".join(self.texts[anchor].split())

    @property
    def charts(self) -> list[ET.Element]:
        """Every drawing, parsed as XML."""
        found, rest = [], self.source
        while "<svg" in rest:
            drawing, _, rest = rest[rest.index("<svg") :].partition("</svg>")
            found.append(ET.fromstring(drawing + "</svg>"))
        return found

    def row(self, caption: str, start: str) -> list[str]:
        """The row of a table whose first cell begins with `start`."""
        return next(row for row in self.tables[caption][1:] if row[0].startswith(start))


def read_page(run: Path) -> Page:
    """Parse a run's ``report.html``; equal pages are parsed once."""
    return _parse((run / "report.html").read_text(encoding="utf-8"))


_parse = lru_cache(maxsize=4)(Page)
