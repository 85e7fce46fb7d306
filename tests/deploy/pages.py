"""The pages under docs/deploy as their reader has them: code blocks with what the source says of each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "deploy"
PAGES = sorted(FOLDER.glob("*.md"))

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- (run|not run here: \S[^>]*) -->\n$")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        line: where it begins.
        mark: ``run``, ``not run here: REASON``, or "" where the page says nothing.
    """

    page: str
    line: int
    language: str
    mark: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    """Fenced blocks of a page, in order."""
    source = page.read_text(encoding="utf-8")
    blocks = []
    for fence in _FENCE.finditer(source):
        mark = _MARK.search(source[: fence.start()])
        line = source.count("\n", 0, fence.start()) + 1
        blocks.append(Block(page.name, line, fence[1], mark[1] if mark else "", fence[2]))
    return blocks
