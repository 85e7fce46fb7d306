"""Counts of recordings and persons. Metadata passes through here unread."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acula_edge.data.manifest import Recording, read_manifest
from acula_edge.errors import ArtifactError
from acula_edge.untrusted.texts import parse_json, read_lines

SPLITS = ("train", "val", "test")

_PATH = re.compile(r"(?:[A-Za-z]:)?[/\\][^\s:;'\"]+")
_MAX_REASON = 160


@dataclass
class Corpus:
    """One data set.

    Attributes:
        recordings, hours: by split.
        subjects: ids of persons by split.
        rates_hz: sample rates found.
        is_phantom: whether the sounds are generated.
    """

    name: str
    recordings: Counter[str] = field(default_factory=Counter)
    hours: dict[str, float] = field(default_factory=dict)
    subjects: dict[str, set[str]] = field(default_factory=dict)
    rates_hz: set[int] = field(default_factory=set)
    is_phantom: bool = False

    @property
    def persons(self) -> int:
        """Different persons in all splits."""
        return len(set().union(*self.subjects.values()))

    def add(self, recording: Recording) -> None:
        """Count one recording."""
        self.is_phantom = self.is_phantom or recording.synthetic or recording.dataset == "phantom"
        self.recordings[recording.split] += 1
        self.hours[recording.split] = self.hours.get(recording.split, 0.0) + recording.duration_s / 3600
        self.subjects.setdefault(recording.split, set()).add(recording.subject)
        self.rates_hz.add(recording.sample_rate_hz)


def count_recordings(path: Path) -> tuple[list[Corpus], int]:
    """Count recordings and persons per data set and split.

    Returns:
        Data sets by name, and the number of persons who are in more than one split (0 in a sound run).
    """
    corpora: dict[str, Corpus] = {}
    sides: dict[str, set[str]] = {}
    for recording in read_manifest(path) if path.is_file() else ():
        corpora.setdefault(recording.dataset, Corpus(recording.dataset)).add(recording)
        if recording.split in SPLITS:
            sides.setdefault(recording.subject, set()).add(recording.split)
    return [corpora[name] for name in sorted(corpora)], sum(len(splits) > 1 for splits in sides.values())


def count_set_aside(path: Path) -> dict[str, int] | None:
    """Recordings set aside, counted by reason; None where the run has no such list.

    File names are taken out of the reasons: some data sets write a person's age and diagnosis into them.
    """
    if not path.is_file():
        return None
    counts = Counter(_reason(row) for row in _rows(path))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _rows(path: Path) -> Iterable[dict[str, Any]]:
    try:
        for number, line in enumerate(read_lines(path), start=1):
            try:
                row = parse_json(line)
            except ValueError as error:
                raise ArtifactError(f"{path}, line {number}: not JSON", given=error) from error
            if isinstance(row, dict):
                yield row
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read", given=error) from error


def _reason(row: dict[str, Any]) -> str:
    reason = str(row.get("reason") or "no reason given")
    named = [str(row[key]) for key in ("path", "recording") if row.get(key)]
    for text in [*named, *(Path(text).name for text in named), *(Path(text).stem for text in named)]:
        reason = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", "the file", reason)
    reason = " ".join(_PATH.sub("the file", reason).split())
    return reason if len(reason) <= _MAX_REASON else reason[:_MAX_REASON].rstrip() + " …"
