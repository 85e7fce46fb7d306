"""Persons and equal files that are on more than one side of a split: refused, or, in a published partition, counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from acula_edge.data.manifest import Recording

Item = tuple[str, Recording]


@dataclass(frozen=True)
class Leak:
    """What is on two sides in one data set's partition, as one task or as training sees it.

    Attributes:
        dataset: of the recordings.
        task: whose partition it is; "*" for the one that training and all other tasks use.
        sides: the sides that share something, for example ``("test", "train")``.
        persons: persons on both sides.
        of_persons: persons of the data set that are used at all.
        equal_files: groups of files with equal content on both sides.
    """

    dataset: str
    task: str
    sides: tuple[str, ...]
    persons: int
    of_persons: int
    equal_files: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "sides": list(self.sides)}

    def __str__(self) -> str:
        found = []
        if self.persons:
            found.append(f"{self.persons} of {self.of_persons} persons")
        if self.equal_files:
            found.append(f"{self.equal_files} groups of equal files")
        whose = "" if self.task == "*" else f", task {self.task}"
        return f"{self.dataset}{whose}: {' and '.join(found)} are in {' and '.join(self.sides)}"


def find_leaks(recordings: Sequence[Recording], kinds: Sequence[str] = ("person", "file")) -> list[str]:
    """Persons, and files with equal content, that are on more than one side. One sentence each; empty if clean.

    Args:
        kinds: which of the two are looked for.
    """
    problems = []
    for task in _partitions(recordings):
        for kind, name, members in _shared(recordings, task):
            if kind not in kinds:
                continue
            splits = _listing({split for split, _ in members})
            if kind == "person":
                problems.append(f"the person {name} is in {splits}")
            else:
                keys = ", ".join(recording.key for _, recording in members)
                problems.append(f"equal files are in {splits}: {keys}")
    return list(dict.fromkeys(problems))


def count_leaks(recordings: Sequence[Recording]) -> list[Leak]:
    """The same as numbers, per data set, partition and pair of sides."""
    leaks = []
    for task in _partitions(recordings):
        persons: dict[str, set[str]] = {}
        for recording in recordings:
            if recording.split_for(task) != "unused":
                persons.setdefault(recording.dataset, set()).add(recording.subject)
        counts: dict[tuple[str, tuple[str, ...]], list[int]] = {}
        for kind, _, members in _shared(recordings, task):
            sides = tuple(sorted({split for split, _ in members}))
            place = (members[0][1].dataset, sides)
            counts.setdefault(place, [0, 0])[kind != "person"] += 1
        for (dataset, sides), (people, files) in sorted(counts.items()):
            leaks.append(Leak(dataset, task, sides, people, len(persons[dataset]), files))
    return leaks


def _partitions(recordings: Sequence[Recording]) -> list[str]:
    return ["*", *sorted({task for recording in recordings for task in recording.splits})]


def _shared(recordings: Sequence[Recording], task: str) -> Iterator[tuple[str, str, list[Item]]]:
    """Persons ("person", id, recordings with sides) and equal files ("file", hash, ...) on more than one side."""
    persons: dict[str, list[Item]] = {}
    copies: dict[str, list[Item]] = {}
    for recording in recordings:
        if task != "*" and task not in recording.splits:
            continue
        side = recording.split_for(task)
        if side == "unused":
            continue
        persons.setdefault(recording.subject, []).append((side, recording))
        if recording.sha256:
            copies.setdefault(recording.sha256, []).append((side, recording))
    for kind, groups in (("person", persons), ("file", copies)):
        for name, members in groups.items():
            if len({side for side, _ in members}) > 1:
                yield kind, name, members


def _listing(splits: set[str]) -> str:
    return " and ".join(sorted(split or "no split" for split in splits))
