"""What a reader is: it knows one corpus's layout and turns it into recordings."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from acula_edge.audio.sound_file import open_sound
from acula_edge.data.identity import cell_id
from acula_edge.data.manifest import Recording
from acula_edge.data.table import fold_column, is_nameless, name_cells, split_rows
from acula_edge.errors import ManifestError, RecipeError, did_you_mean
from acula_edge.limits import MAX_JSON_BYTES
from acula_edge.registry import Registry
from acula_edge.untrusted.texts import read_text

Options = Mapping[str, Any]
"""A recipe's ``data.sources.NAME.options``."""


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
    """What a reader found.

    Attributes:
        recordings, set_aside: usable recordings, and the others with the reason.
        warnings: what differs from the release and could change results, one sentence each; holds no metadata.
        published: the partition that published figures rest on, by data set, where it was asked for and is known.
        untested: data sets of which nobody is held out for testing.
    """

    recordings: list[Recording] = field(default_factory=list)
    set_aside: list[SetAside] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    published: dict[str, PublishedSplit] = field(default_factory=dict)
    untested: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class PublishedSplit:
    """The partition that published figures of a data set rest on.

    Attributes:
        splits: ``Recording.key`` -> {task id, or ``"*"`` for every task: split}; recordings that are not named take
            no part.
        source: where it comes from, one phrase ("official challenge split", "published rule: ...").
        exact: whether it is the source's own list, or reproduces it; False where a rule of the same kind stands in.
        by_person: whether the source means to divide persons, and the partition is the same for all tasks; the clean
            rule then keeps its test set.
    """

    splits: dict[str, dict[str, str]]
    source: str
    exact: bool
    by_person: bool


@dataclass(frozen=True)
class Corpus:
    """What is known of a data set before it is on the disk (SPEC section 2.5).

    Attributes:
        name: of the reader, and ``Recording.dataset``.
        title: as its authors call it.
        sound: what is heard, in a few words.
        licence: of the recordings.
        access: how to get it: open, on request; where.
        layout: files and folders that the reader looks for, one phrase each.
        recordings, subjects: totals of the complete release; None where no source states them.
        labels: metadata column -> {value: recordings} of the complete release, as far as known.
        minutes: total duration; None where no source states it.
        test_only: every task on it leaves one subject out, so all of its persons are tested and none may be trained
            on.
        alignment_only: no task is on it, so nobody of it needs to be held out for testing.
    """

    name: str
    title: str
    sound: str
    licence: str
    access: str
    layout: tuple[str, ...]
    recordings: int | None = None
    subjects: int | None = None
    labels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    minutes: float | None = None
    test_only: bool = False
    alignment_only: bool = False


class Reader:
    """A corpus's layout; base class of readers.

    Attributes:
        makes_corpus: whether the reader makes its corpus itself when `root` does not hold it yet, so that a recipe
            needs to name no folder.
        corpus: facts of the data set; None for a layout that holds any data (``manifest``).
    """

    makes_corpus: bool = False
    corpus: Corpus | None = None

    def published(self, root: Path, recordings: Sequence[Recording], options: Options) -> PublishedSplit | None:
        """The published partition of what :meth:`read` found, or None where it is not known or its lists are absent.

        Args:
            root: as for :meth:`read`, absolute.

        Raises:
            ManifestError: a list is there and contradicts the recordings.
        """
        return None

    def read(self, root: Path, options: Options) -> ReadResult:
        """List the recordings under `root`.

        Args:
            root: the corpus's folder or file.
            options: the recipe's ``data.sources.NAME.options``.

        Raises:
            ManifestError: the folder does not hold this corpus, or contradicts itself.
            RecipeError: an option that the reader does not have.
        """
        raise NotImplementedError


readers: Registry[Reader] = Registry("reader", package="acula_edge.corpora")
R = TypeVar("R", bound=type[Reader])


def register_reader(reader: R) -> R:
    """Put the reader of a corpus among :data:`readers`; a decorator of its class."""
    if reader.corpus is None:
        raise ValueError(f"{reader.__name__} states no corpus")
    readers.register(reader.corpus.name, reader())
    return reader


def parse_name(corpus: Corpus, pattern: re.Pattern[str], name: str, where: object) -> re.Match[str]:
    """Parts of a recording's name.

    Args:
        where: it stands, for the error.

    Raises:
        ManifestError: recordings of the corpus are named otherwise.
    """
    if (match := pattern.fullmatch(name)) is None:
        raise ManifestError(f"{where}: {name} is not named like a recording of {corpus.title}", allowed=corpus.layout)
    return match


def list_once(listed: dict[str, str], name: str, where: str, what: str = "recording") -> None:
    """Note where a name is listed; case does not count.

    Raises:
        ManifestError: it is listed elsewhere too.
    """
    if (first := listed.setdefault(name.casefold(), where)) != where:
        raise ManifestError(f"{where}: the {what} {name} is listed twice", given=f"first in {first}")


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


def read_table(path: Path, needed: Iterable[str], delimiter: str = ",") -> list[tuple[int, dict[str, str]]]:
    """Rows of a corpus's table with their numbers; the header's is 1, and empty rows are passed by.

    Args:
        needed: columns that must be there, matched without regard to case and blanks; rows have them spelled so.
        delimiter: what separates cells in the release; a copy may have another.

    Raises:
        ManifestError: it cannot be read, lacks columns, or a row breaks off.
    """
    spelling = {fold_column(name): name for name in needed}

    def spell(columns: list[str]) -> list[str]:
        names = ["" if is_nameless(column) else spelling.get(fold_column(column), column) for column in columns]
        if missing := set(needed) - set(names):
            raise ManifestError(f"{path} lacks columns", given=columns, allowed=f"needed as well: {', '.join(missing)}")
        for name in needed:
            if names.count(name) > 1:
                raise ManifestError(f"{path} has the column {name!r} twice", remedy="remove one of them")
        return names

    def fits(columns: list[str]) -> bool:
        return {fold_column(column) for column in columns} >= spelling.keys() and len(columns) > 1

    try:
        rows = list(name_cells(path, split_rows(path, fits, delimiter)[1], spell))
    except (OSError, ValueError, csv.Error) as error:
        raise ManifestError(f"the table {path} cannot be read", given=str(error)) from error
    if not rows:
        spell([])
    return rows[1:]


def read_keyed(
    path: Path, key: str, needed: Iterable[str], what: str, delimiter: str = ","
) -> dict[str, tuple[int, dict[str, str]]]:
    """Number and row of a corpus's table by the id in one of its columns, in the table's order; see :func:`read_table`.

    Args:
        key: the column.
        what: its ids are of, for errors.

    Raises:
        ManifestError: as :func:`read_table`; or a row has no id, or an id two rows.
    """
    found: dict[str, tuple[int, dict[str, str]]] = {}
    listed: dict[str, str] = {}
    for number, row in read_table(path, (key, *needed), delimiter):
        where = f"{path}, row {number}"
        name = cell_id(row[key])
        if not name:
            raise ManifestError(f"{where}: the column {key!r} is empty")
        list_once(listed, name, where, what)
        found[name] = number, row
    return found


def read_cells(path: Path, columns: int, delimiter: str = ",") -> list[tuple[int, list[str]]]:
    """Number, from 1, and cells of each row of a corpus's table without a header; empty rows are passed by.

    Args:
        columns: how many cells every row must have; there may be more.

    Raises:
        ManifestError: it cannot be read, or a row has fewer cells.
    """
    try:
        _, rows = split_rows(path, lambda cells: len(cells) >= columns, delimiter)
        found = [(number, [cell.strip() for cell in cells]) for number, cells in rows]
    except (OSError, ValueError, csv.Error) as error:
        raise ManifestError(f"the table {path} cannot be read", given=str(error)) from error
    for number, cells in found:
        if len(cells) < columns:
            raise ManifestError(f"{path}, row {number}: has {len(cells)} cells, fewer than {columns} cells")
    return found


def read_note(path: Path, what: str = "labels") -> str:
    """The text of a small file beside a recording.

    Args:
        what: it holds, for the error.

    Raises:
        ManifestError: it cannot be read, or is no text.
    """
    try:
        return read_text(path, MAX_JSON_BYTES)
    except (OSError, ValueError) as error:
        raise ManifestError(f"the {what} {path} cannot be read", given=str(error)) from error


def require_label(
    value: str | None, allowed: Mapping[str, Any] | Iterable[str], file: Path, row: int, column: str
) -> Any:
    """The label that a cell's text stands for; texts are matched without regard to case and outer blanks.

    Args:
        allowed: text -> label, or the texts where they are the labels.
        row: number in the file; the header is row 1.

    Raises:
        ManifestError: names file, row and column, not the text, which may be a slipped cell about the person.
    """
    known = allowed if isinstance(allowed, Mapping) else {text: text for text in allowed}
    labels = {text.casefold(): label for text, label in known.items()}
    text = (value or "").strip().casefold()
    if text not in labels:
        raise ManifestError(
            f"{file}, row {row}: the column {column!r} holds no known label",
            given="an empty cell" if not text else "another text",
            allowed=list(known),
            remedy="mend the row; a label that is not known must not be guessed",
        )
    return labels[text]


def read_header(path: Path) -> tuple[int, float]:
    """Sample rate in Hz and duration in seconds, from the file's header alone.

    Raises:
        AudioError: see :func:`acula_edge.audio.sound_file.open_sound`.
    """
    with open_sound(path) as sound:
        return int(sound.file.samplerate), sound.file.frames / sound.file.samplerate


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


def name_columns(row: Mapping[str, str]) -> dict[str, str | None]:
    """A row's cells (:func:`clean`) by its columns' names (:func:`column_name`)."""
    return {column_name(key): clean(value) for key, value in row.items()}


@lru_cache(maxsize=1024)
def column_name(text: str) -> str:
    """A column's name in lower snake case."""
    words = "".join(c if c.isalnum() else " " for c in text.casefold()).split()
    return "_".join(words)
