"""Who is trained on and who is held out: whole persons, balanced by stratum, equal for equal seeds.

The published partitions of the data sets are followed where the recipe asks for them, and mended where they divide
persons but leak a few (SPEC sections 2.3 and 6).

Order comes from SHA-256 of the seed and the subject's id, not from a random generator, so that a person keeps their
place whatever other data sets a run holds, on every machine and version.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from acula_edge.data.manifest import Recording
from acula_edge.data.reader import PublishedSplit
from acula_edge.errors import ManifestError
from acula_edge.recipe import SplitConfig

HELD_OUT_FIRST = ("test", "val", "train")


def assign_splits(
    recordings: Sequence[Recording], config: SplitConfig, published: Mapping[str, PublishedSplit] | None = None
) -> list[Recording]:
    """Give every recording a split, in the order given.

    Where persons are dealt (see :class:`acula_edge.recipe.SplitConfig` for the rules), they go to ``config.folds``
    folds per data set, stratum by stratum; fold ``config.fold`` is the test set, and of the others a share of
    ``config.val_fraction``, stratified too, is the validation set. A data set whose recordings all come with a split
    keeps it.

    Args:
        published: partitions by data set, as the readers know them.

    Raises:
        ManifestError: some recordings of a data set come with a split and some without, or a data set has fewer
            persons than there are folds.
    """
    published = published or {}
    by_dataset: dict[str, list[Recording]] = {}
    for recording in recordings:
        by_dataset.setdefault(recording.dataset, []).append(recording)
    result: dict[str, Recording] = {}
    for dataset, members in by_dataset.items():
        partition = published.get(dataset)
        given = sum(bool(recording.split) for recording in members)
        if given not in (0, len(members)):
            raise ManifestError(
                f"some recordings of {dataset} come with a split and some without",
                given=f"{given} of {len(members)} with one",
                remedy="fill the column split for all of them, or leave it out",
            )
        if given:
            assigned = members
        elif partition is not None and config.rule == "published":
            assigned = follow(members, partition)
        elif partition is not None and config.rule == "clean" and partition.by_person:
            assigned = mend(members, partition, config)
        else:
            split_of = deal_persons(dataset, members, config)
            assigned = [recording.with_split(split_of[recording.subject]) for recording in members]
        result.update((recording.key, recording) for recording in assigned)
    return [result[recording.key] for recording in recordings]


def follow(recordings: Sequence[Recording], partition: PublishedSplit) -> list[Recording]:
    """The published partition as it is; a recording that any task holds out is held out of the encoder's training."""
    tasks = sorted({task for splits in partition.splits.values() for task in splits} - {"*"})
    assigned = []
    for recording in recordings:
        splits = partition.splits.get(recording.key, {})
        common = next((s for s in HELD_OUT_FIRST if s in splits.values()), "unused")
        own = {task: splits.get(task, splits.get("*", "unused")) for task in tasks}
        assigned.append(replace(recording, split=common, splits=own))
    return assigned


def mend(recordings: Sequence[Recording], partition: PublishedSplit, config: SplitConfig) -> list[Recording]:
    """The published partition with every person on one side.

    The test set stays. What else is there of its persons is used nowhere; persons in both training and validation
    are dealt anew, in the published proportion; recordings that the partition does not name are trained on.
    """
    sides = {r.key: partition.splits.get(r.key, {}).get("*", "train") for r in recordings}
    persons: dict[str, set[str]] = {}
    for recording in recordings:
        persons.setdefault(recording.subject, set()).add(sides[recording.key])
    tested = {person for person, found in persons.items() if "test" in found}
    rest = [recording for recording in recordings if recording.subject not in tested]
    validated = {recording.subject for recording in rest if sides[recording.key] == "val"}
    if any({"train", "val"} <= persons[person] for person in validated):
        share = sum(sides[recording.key] == "val" for recording in rest) / len(rest)
        validated = _deal_validation(_stratum_of_subjects(rest), min(share, 0.5), config.seed)
    assigned = []
    for recording in recordings:
        side = sides[recording.key]
        if recording.subject in tested:
            side = side if side == "test" else "unused"
        elif side != "unused":
            side = "val" if recording.subject in validated else "train"
        assigned.append(recording.with_split(side))
    return assigned


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
    val = _deal_validation(
        {s: stratum for s, stratum in strata.items() if s not in test}, config.val_fraction, config.seed
    )
    return {s: "test" if s in test else "val" if s in val else "train" for s in strata}


def _deal_validation(strata: dict[str, str], share: float, seed: int) -> set[str]:
    rest = _in_order(strata, f"{seed}/val")
    taken = [int((place + 1) * share + 0.5) for place in range(len(rest))]
    return {s for place, s in enumerate(rest) if taken[place] > (taken[place - 1] if place else 0)}


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
