"""Who is trained on and who is held out: whole persons, balanced by stratum, equal for equal seeds.

Order comes from SHA-256 of the seed and the subject's id, not from a random generator, so that a person keeps their
place whatever other data sets a run holds, on every machine and version.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

from acula_edge.data.manifest import Recording
from acula_edge.errors import ManifestError
from acula_edge.recipe import SplitConfig


def assign_splits(recordings: Sequence[Recording], config: SplitConfig) -> list[Recording]:
    """Give every recording a split, in the order given.

    Per data set, persons are dealt to ``config.folds`` folds, stratum by stratum; fold ``config.fold`` is the test
    set, and of the others a share of ``config.val_fraction``, stratified too, is the validation set. A data set whose
    recordings all come with a split keeps it.

    Raises:
        ManifestError: some recordings of a data set come with a split and some without, or a data set has fewer
            persons than there are folds.
    """
    by_dataset: dict[str, list[Recording]] = {}
    for recording in recordings:
        by_dataset.setdefault(recording.dataset, []).append(recording)
    split_of: dict[str, str] = {}
    for dataset, members in by_dataset.items():
        given = sum(bool(recording.split) for recording in members)
        if given == len(members):
            continue
        if given:
            raise ManifestError(
                f"some recordings of {dataset} come with a split and some without",
                given=f"{given} of {len(members)} with one",
                remedy="fill the column split for all of them, or leave it out",
            )
        split_of.update(deal_persons(dataset, members, config))
    return [
        recording if recording.split else recording.with_split(split_of[recording.subject]) for recording in recordings
    ]


def deal_persons(dataset: str, recordings: Sequence[Recording], config: SplitConfig) -> dict[str, str]:
    """Split per subject of one data set."""
    strata = _stratum_of_subjects(recordings)
    if len(strata) < config.folds:
        raise ManifestError(
            f"{dataset} has too few persons for {config.folds} folds",
            given=len(strata),
            allowed=f"at least {config.folds}",
            remedy=f"--set data.split.folds={max(2, len(strata))}" if len(strata) > 1 else None,
        )
    dealt = _in_order(strata, f"{config.seed}/fold")
    # One count runs through all strata, so that folds differ by one person at most.
    test = {subject for place, subject in enumerate(dealt) if place % config.folds == config.fold}
    rest = _in_order({s: stratum for s, stratum in strata.items() if s not in test}, f"{config.seed}/val")
    taken = [int((place + 1) * config.val_fraction + 0.5) for place in range(len(rest))]
    val = {s for place, s in enumerate(rest) if taken[place] > (taken[place - 1] if place else 0)}
    return {s: "test" if s in test else "val" if s in val else "train" for s in strata}


def find_leaks(recordings: Sequence[Recording]) -> list[str]:
    """Persons, and files with equal content, that are on more than one side. One sentence each; empty if clean."""
    problems = []
    sides: dict[str, set[str]] = {}
    copies: dict[str, list[Recording]] = {}
    for recording in recordings:
        sides.setdefault(recording.subject, set()).add(recording.split)
        if recording.sha256:
            copies.setdefault(recording.sha256, []).append(recording)
    for subject, splits in sides.items():
        if len(splits) > 1:
            problems.append(f"the person {subject} is in {_listing(splits)}")
    for same in copies.values():
        splits = {recording.split for recording in same}
        if len(splits) > 1:
            keys = ", ".join(recording.key for recording in same)
            problems.append(f"equal files are in {_listing(splits)}: {keys}")
    return problems


def _listing(splits: set[str]) -> str:
    return " and ".join(sorted(split or "no split" for split in splits))


def _stratum_of_subjects(recordings: Sequence[Recording]) -> dict[str, str]:
    """The stratum that most of a person's recordings have; of equally frequent ones the first by name."""
    counts: dict[str, Counter[str]] = {}
    for recording in recordings:
        counts.setdefault(recording.subject, Counter())[recording.stratum] += 1
    return {s: min(found, key=lambda stratum: (-found[stratum], stratum)) for s, found in counts.items()}


def _in_order(strata: dict[str, str], salt: str) -> list[str]:
    """Subjects, stratum by stratum, each in an order that only the salt and the id decide."""

    def place(subject: str) -> tuple[str, str, str]:
        return strata[subject], hashlib.sha256(f"{salt}/{subject}".encode()).hexdigest(), subject

    return sorted(strata, key=place)
