"""What a reader is: it knows one corpus's layout and turns it into recordings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from acula_edge.audio.sound_file import open_sound
from acula_edge.data.manifest import Recording
from acula_edge.errors import ManifestError, RecipeError, did_you_mean
from acula_edge.registry import Registry

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
