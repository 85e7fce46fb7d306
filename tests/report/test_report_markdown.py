"""report.md carries what report.html carries."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from acula_edge.reporting import write_report
from tests.report.conftest import MakeRun
from tests.report.reading import Page, read_page


def tables(markdown: str) -> dict[str, list[list[str]]]:
    """Rows of Markdown tables by caption."""
    found: dict[str, list[list[str]]] = {}
    caption = ""
    for line in markdown.splitlines():
        if line.startswith("**") and line.endswith("**"):
            caption = plain(line.strip("*"))
        elif line.startswith("|") and not re.fullmatch(r"[|:\- ]+", line):
            found.setdefault(caption, []).append([plain(cell) for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return found


def plain(text: str) -> str:
    return html.unescape(re.sub(r"\\(.)", r"\1", text)).strip()


def numbers(text: str) -> list[str]:
    return re.findall(r"[+−]?\d+(?:\.\d+)?", text)


def both(run: Path) -> tuple[Page, str]:
    return read_page(run), (run / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("phantom", [False, True])
def test_every_table_has_the_same_numbers_cell_by_cell(make_run: MakeRun, phantom: bool) -> None:
    run = make_run(phantom=phantom)
    write_report(run)
    page, markdown = both(run)
    found = tables(markdown)
    assert len(page.tables) >= 11
    for caption, rows in page.tables.items():
        assert len(found[caption]) == len(rows), caption
        for ours, theirs in zip(rows, found[caption], strict=True):
            assert [numbers(cell) for cell in ours] == [numbers(cell) for cell in theirs], caption


def test_headline_and_sections_are_the_same_in_order(complete: Path) -> None:
    page, markdown = both(complete)
    titles = [line.removeprefix("## ") for line in markdown.splitlines() if line.startswith("## ")]
    anchors = [str(attributes["id"]) for tag, attributes in page.elements if tag == "section"]
    assert len(titles) == len(anchors)
    for title, anchor in zip(titles, anchors, strict=True):
        assert page.section(anchor).startswith(plain(title))
    before = plain(markdown.partition("\n## ")[0])
    assert numbers(page.headline) == numbers(before.partition("**")[2])


def test_charts_are_sentences_with_the_figures(complete: Path) -> None:
    _, markdown = both(complete)
    words = plain(markdown)
    assert "Difference of AUROC by task: C1 −0.0012 and T10 +0.0041. Margin 0.010." in words
    assert "Median latency end to end: float teacher, PyTorch 14.8 ms, float student, ONNX 2.66 ms" in words.replace(
        "\u00a0", " "
    )
    assert "<svg" not in markdown


def test_every_row_has_as_many_cells_as_its_header(complete: Path) -> None:
    _, markdown = both(complete)
    for rows in tables(markdown).values():
        assert len({len(row) for row in rows}) == 1
