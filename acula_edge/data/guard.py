"""The leak guard: nothing of a person who is evaluated enters the alignment corpus, whatever id it goes by.

Left out are (SPEC fact 9; the reasons as a run's manifest names them)

* ``person``: recordings of a person who is in a validation or test set of any task, where the partition leaves some of
  theirs on the training side;
* ``equal``, ``near``: recordings with the same bytes, or the same sound, as one of another person's that is evaluated;
* ``linked``: what else is there of a person of whom one was found so: the two ids may be one person's.

Validation persons choose the epoch, so training leaves them out; test persons are left out of validation too. Where
the partition is ours, a recording left out for its sound is used nowhere (``unused``); a published partition, which is
followed leaks and all, keeps it for the task's own probe, and only alignment and distillation pass it by.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from acula_edge.data.fingerprint import count_bits
from acula_edge.data.fingerprint_cache import VERSION, FingerprintCache
from acula_edge.data.manifest import Recording
from acula_edge.data.near_duplicates import MIN_BITS, find_pairs
from acula_edge.data.store import WaveStore
from acula_edge.errors import ArtifactError
from acula_edge.files import read_json, sha256_json, write_json
from acula_edge.limits import MAX_INDEX_BYTES
from acula_edge.recipe import GuardConfig

SCHEMA = "acula-edge/guard/1"
RANKS = {"train": 0, "val": 1, "test": 2}
REASONS = ("person", "equal", "near", "linked")


@dataclass(frozen=True)
class Withheld:
    """A recording that the alignment corpus leaves out.

    Attributes:
        recording: its key.
        reason: one of :data:`REASONS`.
        of: key of the evaluated recording that it gives away; "" for reasons about the person.
        bit_error: of the two fingerprints, for ``near``.
    """

    recording: str
    reason: str
    of: str = ""
    bit_error: float | None = None


def guard(
    store: WaveStore,
    config: GuardConfig,
    followed: Collection[str],
    folder: str | Path,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Find what must be left out; from `folder` where it was found before.

    Args:
        store: recordings with splits and hashes.
        followed: data sets whose published partition is followed as it is.
        folder: where fingerprints and the outcome are kept.
        progress: called with (recordings fingerprinted, all of them).

    Returns:
        Facts for the run's manifest, ids and counts without metadata: ``policy``; ``evaluated`` {side: persons};
        ``compared`` and ``too_little`` (recordings with a fingerprint, and too short or too quiet for one);
        ``withheld`` {reason: {recordings, persons}}; ``datasets`` {name: recordings withheld}; ``recordings``
        [{recording, reason, of, bit_error}].
    """
    sides = [[r.key, r.sha256, r.subject, r.split, r.splits] for r in store.recordings]
    key = sha256_json([SCHEMA, VERSION, asdict(config), sorted(followed), store.key, sides])
    file = Path(folder) / f"guard-{key[:16]}.json"
    try:
        facts: dict[str, Any] = read_json(file, SCHEMA, MAX_INDEX_BYTES)["facts"]
    except (ArtifactError, KeyError):
        facts = _guard(store, config, folder, progress)
        write_json(file, {"schema": SCHEMA, "facts": facts})
    return facts


def mark(recordings: Sequence[Recording], facts: dict[str, Any], followed: Collection[str]) -> list[Recording]:
    """The recordings with what was found: why they are withheld, and a split where it changes."""
    reasons = {row["recording"]: row["reason"] for row in facts["recordings"]}
    marked = []
    for recording in recordings:
        reason = reasons.get(recording.key, "")
        split = "unused" if reason and recording.dataset not in followed else recording.split
        marked.append(replace(recording, withheld=reason, split=split) if reason else recording)
    return marked


def alignment_view(store: WaveStore, config: GuardConfig) -> WaveStore:
    """The store as alignment and distillation see it: what is withheld is unused.

    With ``include_evaluation_subjects`` the test recordings are training recordings in it; validation ones stay what
    they are, since they choose the epoch.
    """
    view = copy.copy(store)
    if config.include_evaluation_subjects:
        view.recordings = [r.with_split("train") if r.split == "test" else r for r in store.recordings]
    else:
        view.recordings = [r.with_split("unused") if r.withheld else r for r in store.recordings]
        # Validation without training says nothing: a data set of which nothing is left to train on goes altogether.
        trained = {r.dataset for r in view.recordings if r.split == "train"}
        before = {r.dataset for r in store.recordings if r.split == "train"}
        view.recordings = [
            r.with_split("unused") if r.split == "val" and r.dataset in before - trained else r for r in view.recordings
        ]
    return view


def describe_guard(facts: dict[str, Any] | None) -> list[str]:
    """What was done, one sentence each: counts, no ids."""
    if facts is None:
        return []
    if facts["policy"]["include_evaluation_subjects"]:
        return [
            f"WARNING: persons who are evaluated are aligned on ({facts['included']} test recordings, "
            "include_evaluation_subjects); no figure of this run, or of what is made from it, is of unseen persons"
        ]
    what = {
        "person": "of persons who are evaluated elsewhere in the same data",
        "equal": "equal to an evaluated one under another person's id",
        "near": "of the same sound as an evaluated one under another person's id",
        "linked": "more of persons of whom such a copy was found",
    }
    return [
        f"left out of alignment: {counts['recordings']} recordings of {counts['persons']} persons, {what[reason]}"
        for reason, counts in facts["withheld"].items()
    ]


def ranks_of(recordings: Sequence[Recording]) -> np.ndarray:
    """How far each recording is from training, over all tasks: 0 train, 1 validation, 2 test, -1 used nowhere."""
    sides = ((recording.split, *recording.splits.values()) for recording in recordings)
    return np.array([max(RANKS.get(side, -1) for side in of_one) for of_one in sides], dtype=np.int64)


def _guard(
    store: WaveStore, config: GuardConfig, folder: str | Path, progress: Callable[[int, int], None] | None
) -> dict[str, Any]:
    recordings = store.recordings
    rank = ranks_of(recordings)
    persons, person = np.unique([recording.subject for recording in recordings], return_inverse=True)
    highest = np.full(len(persons), -1)
    np.maximum.at(highest, person, rank)
    facts: dict[str, Any] = {
        "policy": asdict(config),
        "evaluated": {side: int((highest == RANKS[side]).sum()) for side in ("val", "test")},
        "compared": 0,
        "too_little": 0,
    }
    withheld: dict[str, Withheld] = {}
    if config.include_evaluation_subjects:
        facts["included"] = int((rank == RANKS["test"]).sum())
    else:
        found = _by_person(recordings, rank, highest[person])
        same = _by_hash(recordings, rank, person)
        if config.near_duplicates and len(set(rank[rank >= 0].tolist())) > 1:
            used = [row for row in range(len(recordings)) if rank[row] >= 0]
            prints = FingerprintCache.build(store, used, folder, progress)
            facts["compared"] = sum(int(count_bits(prints.words(row)[:, 1]).sum()) >= MIN_BITS for row in used)
            facts["too_little"] = len(used) - facts["compared"]
            known = {(one, other) for one, other, *_ in same}
            pairs = find_pairs(prints, rank, person, config.max_bit_error)
            same += [(p.first, p.second, "near", p.bit_error) for p in pairs if (p.first, p.second) not in known]
        found += _by_sound(recordings, rank, person, same)
        for entry in found:
            withheld.setdefault(entry.recording, entry)
    subject_of = {recording.key: recording.subject for recording in recordings}
    counts = Counter(entry.reason for entry in withheld.values())
    of_persons = {
        reason: {subject_of[entry.recording] for entry in withheld.values() if entry.reason == reason}
        for reason in REASONS
    }
    facts["withheld"] = {r: {"recordings": counts[r], "persons": len(of_persons[r])} for r in REASONS if counts[r]}
    facts["datasets"] = dict(sorted(Counter(key.partition("/")[0] for key in withheld).items()))
    facts["recordings"] = [asdict(withheld[key]) for key in sorted(withheld)]
    return facts


def _by_person(recordings: Sequence[Recording], rank: np.ndarray, highest: np.ndarray) -> list[Withheld]:
    """Training and validation recordings of persons who are evaluated elsewhere."""
    return [Withheld(recordings[row].key, "person") for row in np.flatnonzero((rank >= 0) & (rank < highest)).tolist()]


Match = tuple[int, int, str, float | None]


def _by_hash(recordings: Sequence[Recording], rank: np.ndarray, person: np.ndarray) -> list[Match]:
    """Files of equal content under two persons, the one that is evaluated first."""
    groups: dict[str, list[int]] = {}
    for row, recording in enumerate(recordings):
        if recording.sha256 and rank[row] >= 0:
            groups.setdefault(recording.sha256, []).append(row)
    matches: list[Match] = []
    for rows in groups.values():
        first = max(rows, key=lambda row: rank[row])
        matches += [
            (first, row, "equal", None) for row in rows if rank[row] < rank[first] and person[row] != person[first]
        ]
    return matches


def _by_sound(
    recordings: Sequence[Recording], rank: np.ndarray, person: np.ndarray, matches: Sequence[Match]
) -> list[Withheld]:
    """The copies themselves, then whatever else is there of the persons they are said to be of."""
    found = [
        Withheld(recordings[other].key, reason, recordings[first].key, error) for first, other, reason, error in matches
    ]
    reach: dict[int, tuple[int, int]] = {}
    for first, other, _, _ in matches:
        known = reach.get(int(person[other]), (-1, -1))
        reach[int(person[other])] = max(known, (int(rank[first]), first))
    for row in np.flatnonzero(rank >= 0).tolist():
        limit, first = reach.get(int(person[row]), (-1, -1))
        if rank[row] < limit:
            found.append(Withheld(recordings[row].key, "linked", recordings[first].key))
    return found
