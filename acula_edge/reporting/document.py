"""The vocabulary of a report: sections made of blocks, which the templates turn into HTML and Markdown.

Sections say what is shown, templates how. Every text here is plain text; templates escape it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

Tone = Literal["", "good", "caution", "bad", "quiet", "code"]


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: what it says.
        note: a second, smaller line.
        tone: how it is colored; never the only carrier of what it says.
    """

    text: str
    note: str = ""
    tone: Tone = ""


@dataclass(frozen=True)
class Column:
    """One column of a table; numeric ones are aligned right."""

    label: str
    numeric: bool = False


@dataclass(frozen=True)
class Table:
    """A table with a caption; on a narrow screen each row becomes a card.

    Attributes:
        rows: one row per entry, one cell per column; the first cell names the row.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Notice:
    """A paragraph that must not be overlooked."""

    kind: ClassVar[str] = "notice"
    text: str
    tone: Tone = "caution"


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    kind: ClassVar[str] = "bullets"
    items: Sequence[str]


@dataclass(frozen=True)
class Facts:
    """Terms and what they are here."""

    kind: ClassVar[str] = "facts"
    items: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Chart:
    """A chart in the two layouts that screens need.

    Attributes:
        title: what is shown.
        description: the chart in a sentence, for those who cannot see it and for Markdown.
        wide, narrow: the same figures as SVG, for desktop and print, and for a phone. `narrow` is "" where one
            layout serves both.
        legend: swatch class and name, in order.
    """

    kind: ClassVar[str] = "chart"
    title: str
    description: str
    wide: str
    narrow: str = ""
    legend: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class ChartGrid:
    """Small charts side by side."""

    kind: ClassVar[str] = "chart_grid"
    charts: Sequence[Chart]


@dataclass(frozen=True)
class Heading:
    """A heading inside a section."""

    kind: ClassVar[str] = "heading"
    text: str


Block = Table | Text | Notice | Bullets | Facts | Chart | ChartGrid | Heading


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        id: anchor, unique in the document.
    """

    id: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class KeyFigure:
    """One of the few numbers on top."""

    label: str
    value: str
    detail: str
    missing: bool = False


@dataclass(frozen=True)
class Headline:
    """The answer, before everything else.

    Attributes:
        verdict: one sentence.
        explanation: what the verdict rests on and what it does not say.
    """

    verdict: str
    tone: Tone
    explanation: Sequence[str]
    figures: Sequence[KeyFigure]


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    subtitle: str
    badges: Sequence[tuple[str, Tone]]
    headline: Headline
    sections: Sequence[Section]
