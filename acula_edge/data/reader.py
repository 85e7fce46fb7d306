"""What a reader is: it knows one corpus's layout and turns it into recordings."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import soundfile

from acula_edge.data.manifest import Recording
from acula_edge.errors import AudioError, ManifestError, RecipeError, did_you_mean
from acula_edge.registry import Registry


@dataclass(frozen=True)
class SetAside:
    """A recording that takes no part, and why.

    Attributes:
        recording: id that is unique over data sets (``Recording.key``).
        path: its audio file.
        reason: one phrase; never holds metadata.
    """

    recording: str
    path: str
    reason: str

    def to_dict(self) -> dict[str, str]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class ReadResult:
    """What a reader found."""

    recordings: list[Recording] = field(default_factory=list)
    set_aside: list[SetAside] = field(default_factory=list)


class Reader(Protocol):
    """A corpus's layout.

    Attributes:
        makes_corpus: whether the reader makes its corpus itself when `root` does not hold it yet, so that a recipe
            needs to name no folder.
    """

    makes_corpus: bool

    def read(self, root: Path, options: Mapping[str, Any]) -> ReadResult:
        """List the recordings under `root`.

        Args:
            root: the corpus's folder or file.
            options: the recipe's ``data.sources.NAME.options``.

        Raises:
            ManifestError: the folder does not hold this corpus, or contradicts itself.
            RecipeError: an option that the reader does not have.
        """
        ...


readers: Registry[Reader] = Registry("reader", package="acula_edge.data.readers")


def check_options(reader: str, options: Mapping[str, Any], allowed: Iterable[str]) -> None:
    """Refuse options that a reader does not have.

    Raises:
        RecipeError: names the option and the likely spelling.
    """
    known = sorted(allowed)
    for name in options:
        if name not in known:
            raise RecipeError(
                f"the reader {reader!r} has no option {name!r}",
                allowed=known or "no options",
                remedy=did_you_mean(name, known),
            )


def require_folder(root: Path, corpus: str) -> None:
    """Raises ManifestError unless `root` is a folder."""
    if not root.is_dir():
        raise ManifestError(
            f"there is no folder {root}", allowed=f"the folder of {corpus}", remedy="check the path given with --data"
        )


def read_table(path: Path, needed: Iterable[str]) -> list[dict[str, str]]:
    """Rows of a corpus's CSV table.

    Raises:
        ManifestError: it cannot be read, lacks columns, or a row breaks off.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            rows = list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(f"the table {path} cannot be read", given=str(error)) from error
    columns = table.fieldnames or ()
    if missing := set(needed) - set(columns):
        raise ManifestError(f"{path} lacks columns", given=sorted(columns), allowed=sorted(missing))
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise ManifestError(f"{path}, row {number}: has another number of cells than the header")
    return rows


def read_header(path: Path) -> tuple[int, float]:
    """Sample rate in Hz and duration in seconds, from the file's header alone.

    Raises:
        AudioError: no such file, or not audio.
    """
    if not path.is_file():
        raise AudioError(f"there is no file {path}")
    if path.stat().st_size == 0:
        raise AudioError(f"{path} is an empty file")
    try:
        header = soundfile.info(str(path))
    except (RuntimeError, OSError) as error:
        raise AudioError(f"{path} is not audio that can be read", given=str(error)) from error
    if header.samplerate <= 0:
        raise AudioError(f"{path} has no sample rate", given=header.samplerate)
    return int(header.samplerate), header.frames / header.samplerate


class Groups:
    """Union of ids that belong to one person; a group's name is its smallest id."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def __getitem__(self, item: int) -> int:
        """The group's name."""
        parent = self._parent.get(item, item)
        if parent != item:
            parent = self._parent[item] = self[parent]
        return parent

    def join(self, first: int, second: int) -> None:
        """Make two ids one person."""
        low, high = sorted((self[first], self[second]))
        self._parent[high] = low


def clean(value: str | None) -> str | None:
    """A cell of a table; None where it says nothing (empty, or ``nan`` as text)."""
    text = (value or "").strip()
    return None if text.casefold() in {"", "nan", "none", "null", "n/a"} else text


def column_name(text: str) -> str:
    """A column's name in lower snake case."""
    words = "".join(c if c.isalnum() else " " for c in text.casefold()).split()
    return "_".join(words)
