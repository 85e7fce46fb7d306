"""What is known of every data set, what of it is on this machine, and how a copy compares with the release."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from acula_edge.data.manifest import Recording
from acula_edge.data.miniature import is_miniature
from acula_edge.data.reader import Corpus, readers


@dataclass(frozen=True)
class Copy:
    """A data set as this machine has it.

    Attributes:
        corpus: the data set.
        folder: where a copy lies, or None.
        miniature: whether the copy is generated.
        generated: whether it needs no copy, because it is made on first use.
    """

    corpus: Corpus
    folder: Path | None
    miniature: bool
    generated: bool


@dataclass(frozen=True)
class Difference:
    """A count of a copy against the complete release; `expected` is None where no source states it."""

    what: str
    expected: float | None
    found: float


def find_copies(root: Path | None) -> list[Copy]:
    """Every known data set, with the folder of its name under `root` if that is there and not empty."""
    copies = []
    for name in readers.names():
        corpus = readers[name].corpus
        if corpus is None:
            continue
        folder = root / name if root is not None else None
        if folder is None or not folder.is_dir() or not any(folder.iterdir()):
            folder = None
        copies.append(Copy(corpus, folder, folder is not None and is_miniature(folder), readers[name].makes_corpus))
    return copies


def compare_with_release(corpus: Corpus, recordings: Sequence[Recording]) -> list[Difference]:
    """Recordings, persons, minutes and labels of a copy against those of the complete release."""
    minutes = round(sum(recording.duration_s for recording in recordings) / 60, 1)
    rows = [
        Difference("recordings", corpus.recordings, len(recordings)),
        Difference("subjects", corpus.subjects, len({recording.subject for recording in recordings})),
        Difference("minutes", corpus.minutes, minutes),
    ]
    for column, expected in corpus.labels.items():
        found = Counter(str(recording.metadata.get(column)) for recording in recordings)
        rows += [Difference(f"{column} = {value}", count, found.get(value, 0)) for value, count in expected.items()]
        others = sum(count for value, count in found.items() if value not in expected)
        if others:
            rows.append(Difference(f"{column}: other or none", None, others))
    return rows
