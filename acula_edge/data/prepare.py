"""The first stage of a run: read every source, check, split, refuse leaks, decode, guard the alignment corpus."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from acula_edge.data.guard import alignment_view, describe_guard, guard, mark
from acula_edge.data.identity import identify_persons
from acula_edge.data.leaks import count_leaks, find_leaks
from acula_edge.data.manifest import Recording, read_manifest, write_manifest
from acula_edge.data.miniature import is_miniature
from acula_edge.data.reader import PublishedSplit, Reader, ReadResult, SetAside, readers
from acula_edge.data.splits import assign_splits
from acula_edge.data.store import WaveStore
from acula_edge.errors import ManifestError, RecipeError
from acula_edge.files import NOT_THE_FILE, read_json, sha256_file, sha256_json, system_error, write_json, write_jsonl
from acula_edge.limits import MAX_INDEX_BYTES
from acula_edge.plain_text import acting_character
from acula_edge.processes import is_main, main_first
from acula_edge.progress import notify, track
from acula_edge.recipe import DataConfig, Recipe, Source, frontend_of
from acula_edge.run import Run

SCHEMA = "acula-edge/listing/3"
SPLITS = ("train", "val", "test")
_SHOWN = 5


@dataclass(frozen=True)
class Listing:
    """What takes part in a run.

    Attributes:
        recordings: with hashes and splits.
        set_aside: what cannot be used, with the reason.
        facts: ``partition`` {data set: {rule, source, exact}}, ``leaks`` [{dataset, task, sides, persons, ...}] (only
            where a published partition is followed), ``warnings`` [sentence] and ``persons`` {normalized, alike,
            similar_ids} (:class:`acula_edge.data.identity.Identified`), for the run's manifest.
    """

    recordings: list[Recording]
    set_aside: list[SetAside]
    facts: dict[str, Any] = field(default_factory=dict)


def prepare(recipe: Recipe, run: Run) -> WaveStore:
    """Waves of every usable recording of a recipe's sources, at the front end's rate, with their splits.

    What takes part is decided once per run: later calls with the same sources and split read it from the run's
    cache. Leaves ``RUN/recordings.jsonl``, ``RUN/set_aside.jsonl`` and counts under the stage ``data`` of the run's
    manifest. Of several processes the main one does all this, and the others open what it left.

    Raises:
        ManifestError: a source has no folder or contradicts itself, a person or a file's content is on two sides of
            the split, or nothing can be decoded.
        ArtifactError: another process than the main one does not see the run's cache.
    """
    with main_first():
        listed = list_recordings(recipe.data, run)
        sample_rate_hz = frontend_of(recipe).sample_rate_hz
        if is_main():
            ticks = _Ticks("decoding", len(listed.recordings))
            store = WaveStore.build(listed.recordings, sample_rate_hz, run.store_dir, ticks)
        else:
            store = WaveStore.open(listed.recordings, sample_rate_hz, run.store_dir)
        guarded = _guard(recipe.data, run, store, listed.facts)
        if is_main():
            facts = listed.facts if guarded is None else {**listed.facts, "guard": guarded}
            _record(run, store, [*listed.set_aside, *store.set_aside], facts)
        return store


def prepare_alignment(recipe: Recipe, run: Run) -> WaveStore:
    """:func:`prepare`, as alignment and distillation see it: without what the leak guard withholds.

    Raises:
        ManifestError: see :func:`prepare`.
    """
    return alignment_view(prepare(recipe, run), recipe.data.guard)


def _guard(data: DataConfig, run: Run, store: WaveStore, listed: dict[str, Any]) -> dict[str, Any] | None:
    """Mark in the store what must not be aligned on; None for a run that was aligned before there was a guard."""
    stages = run.manifest["stages"]
    if "align" in stages and "guard" not in stages.get("data", {}):
        return None
    followed = set(listed["partition"]) if data.split.rule == "published" else set()
    ticks = _Ticks("listening for copies", len(store))
    facts = guard(store, data.guard, followed, run.store_dir, ticks)
    store.recordings = mark(store.recordings, facts, followed)
    return facts


def at_rate(store: WaveStore, run: Run, sample_rate_hz: int) -> WaveStore:
    """The same recordings in the same order at another rate, decoded once more from the files; `store` at its own rate.

    Raises:
        ManifestError: a recording that could be decoded at one rate cannot be at the other.
    """
    if sample_rate_hz == store.sample_rate_hz:
        return store
    with main_first():
        if is_main():
            ticks = _Ticks(f"decoding at {sample_rate_hz} Hz", len(store))
            WaveStore.build(store.recordings, sample_rate_hz, run.store_dir, ticks)
    other = WaveStore.open(store.recordings, sample_rate_hz, run.store_dir)
    if other.set_aside:
        first = other.set_aside[0]
        raise ManifestError(f"{first.path} cannot be decoded at {sample_rate_hz} Hz", given=first.reason)
    return other


def _record(run: Run, store: WaveStore, set_aside: Sequence[SetAside], listed: dict[str, Any]) -> None:
    """Leave in the run what takes part and what does not."""
    if not store.recordings:
        raise ManifestError(
            "none of the recordings can be decoded",
            given=f"{len(set_aside)} set aside",
            remedy=f"the first: {set_aside[0].path}: {set_aside[0].reason}" if set_aside else None,
        )
    write_jsonl(run.set_aside_path, (entry.to_dict() for entry in set_aside))
    write_manifest(run.recordings_path, store.recordings)
    facts = {
        **count(store.recordings, set_aside),
        "sample_rate_hz": store.sample_rate_hz,
        "clipped": len(store.clipped),
        "waves": store.key,
        **listed,
        "warnings": [*listed.get("warnings", ()), *(f"{key}: {text}" for key, text in store.warnings.items())],
    }
    before = {key: value for key, value in run.manifest["stages"].get("data", {}).items() if key != "finished"}
    if facts != before:
        run.record("data", **facts)
    guarded = listed.get("guard")
    if guarded is not None and (facts != before or guarded["policy"]["include_evaluation_subjects"]):
        for sentence in describe_guard(guarded):
            notify("%s", sentence)
    if facts != before and store.warnings:
        first = next(iter(store.warnings.items()))
        notify("warning: %d recordings are odd and were kept; the first, %s: %s", len(store.warnings), *first)
    if facts != before and set_aside:
        notify("%d recordings are set aside; reasons are in %s", len(set_aside), run.set_aside_path)


def count(recordings: Sequence[Recording], set_aside: Sequence[SetAside] = ()) -> dict[str, Any]:
    """How much there is: recordings, persons and hours, per data set and split."""
    datasets: dict[str, dict[str, Any]] = {}
    for dataset in sorted({recording.dataset for recording in recordings}):
        members = [recording for recording in recordings if recording.dataset == dataset]
        datasets[dataset] = {
            **_totals(members),
            "splits": {s: _totals([r for r in members if r.split == s]) for s in sorted({r.split for r in members})},
        }
    reasons = Counter(entry.recording.partition("/")[0] for entry in set_aside)
    return {
        **_totals(recordings),
        "datasets": datasets,
        "set_aside": len(set_aside),
        "set_aside_by_dataset": dict(sorted(reasons.items())),
    }


def list_recordings(data: DataConfig, run: Run) -> Listing:
    """Recordings of every source with hashes and splits, checked; from the run's cache where it holds them.

    Raises:
        ManifestError: see :func:`prepare`.
    """
    key = sha256_json([SCHEMA, asdict(data)["sources"], data.root, asdict(data.split), data.similar_ids])
    listing = run.store_dir / f"listing-{key[:16]}.jsonl"
    aside = listing.with_suffix(".set_aside.json")
    if listing.is_file() and aside.is_file():
        kept = read_json(aside, SCHEMA, MAX_INDEX_BYTES)
        entries = [SetAside(**entry) for entry in kept["set_aside"]]
        return Listing([_found_in(run, recording) for recording in read_manifest(listing)], entries, kept["facts"])
    found = read_sources(data, run)
    persons = identify_persons(found.recordings, data.similar_ids)
    check_recordings(persons.recordings)
    hashed = hash_recordings(persons.recordings)
    recordings = [
        r.with_split("train") if r.split == "test" and r.dataset in found.untested else r
        for r in assign_splits(hashed.recordings, data.split, found.published)
    ]
    facts = {
        "partition": {
            name: {"source": split.source, "exact": split.exact} for name, split in sorted(found.published.items())
        },
        "leaks": _judge_leaks(recordings, set(found.published) if data.split.rule == "published" else set()),
        "warnings": [*found.warnings, *persons.warnings],
        "persons": {"normalized": persons.normalized, "alike": persons.alike, "similar_ids": data.similar_ids},
    }
    for warning in facts["warnings"]:
        notify("warning: %s", warning)
    set_aside = [*found.set_aside, *hashed.set_aside]
    rows = [entry.to_dict() for entry in set_aside]
    write_json(aside, {"schema": SCHEMA, "set_aside": rows, "facts": facts})
    write_manifest(listing, (_kept_in(run, recording) for recording in recordings))
    return Listing(recordings, set_aside, facts)


def _judge_leaks(recordings: Sequence[Recording], tolerated: set[str]) -> list[dict[str, Any]]:
    """Counts of what is on two sides in data sets that are allowed to leak; refuses it anywhere else."""
    # Equal files under two persons are the guard's, which leaves out those that are not tested.
    refused = find_leaks([r for r in recordings if r.dataset not in tolerated], kinds=("person",))
    if refused:
        more = f", and {len(refused) - _SHOWN} more" if len(refused) > _SHOWN else ""
        raise ManifestError(
            "the same person is on two sides of the split",
            given="; ".join(refused[:_SHOWN]) + more,
            remedy="give each person one split; ids that only look alike: --set data.similar_ids=distinct",
        )
    leaks = count_leaks([recording for recording in recordings if recording.dataset in tolerated])
    for leak in leaks:
        notify("the published partition leaks: %s", leak)
    return [leak.to_dict() for leak in leaks]


def _kept_in(run: Run, recording: Recording) -> Recording:
    """A recording that lies in the run's own cache moves with the run: its path is kept relative."""
    store = run.store_dir.absolute()
    path = Path(recording.path)
    return replace(recording, path=str(path.relative_to(store))) if path.is_relative_to(store) else recording


def _found_in(run: Run, recording: Recording) -> Recording:
    return replace(recording, path=str(run.store_dir.absolute() / recording.path))


def read_sources(data: DataConfig, run: Run) -> ReadResult:
    """What the readers of a recipe's sources find.

    Raises:
        ManifestError: there is no source, or a source has no folder.
    """
    if not data.sources:
        raise ManifestError(
            "the recipe names no recordings (data.sources is empty)", remedy="name some: --data circor=DIR"
        )
    result = ReadResult()
    for name, source in data.sources.items():
        reader = readers[source.reader or name]
        root = source_folder(name, source, data.root)
        if root is None and reader.makes_corpus:
            root = run.store_dir / name
        elif root is None and not source.required:
            notify("the data set %s is not there; its tasks are not evaluated", name)
            continue
        elif root is None:
            raise ManifestError(
                f"the recipe does not say where the recordings of {name!r} are", remedy=f"say it: --data {name}=DIR"
            )
        found = reader.read(root, source.options)
        generated = is_miniature(root)
        result.recordings.extend(replace(r, synthetic=True) if generated else r for r in found.recordings)
        result.set_aside.extend(found.set_aside)
        result.warnings.extend(found.warnings)
        if source.tested is False and reader.corpus is not None and reader.corpus.test_only:
            raise RecipeError(
                f"nobody of {reader.corpus.title} may be trained on",
                given=f"data.sources.{name}.tested: false",
                remedy="leave it out, or leave the source out",
            )
        alone = reader.corpus is not None and reader.corpus.alignment_only
        if not alone if source.tested is None else source.tested:
            result.published.update(_published(reader, root, found.recordings, source, data.split.rule))
        else:
            result.untested.update(recording.dataset for recording in found.recordings)
    if not result.recordings:
        raise ManifestError(
            "none of the recipe's data sets is there",
            given=f"{', '.join(data.sources)} under {data.root}" if data.root else ", ".join(data.sources),
            remedy="say where they are: --data NAME=DIR, or --set data.root=DIR",
        )
    return result


def source_folder(name: str, source: Source, root: str | None) -> Path | None:
    """Where a source lies: the folder it names, else the one of its name in `root` if there is one."""
    if source.root is not None:
        return Path(source.root)
    found = Path(root) / name if root is not None else None
    return found if found is not None and found.exists() else None


def _published(
    reader: Reader, root: Path, recordings: Sequence[Recording], source: Source, rule: str
) -> dict[str, PublishedSplit]:
    """The published partition of a source's data set, where the rule asks for it.

    Raises:
        ManifestError: it must be followed and is not there.
    """
    if rule == "folds" or reader.corpus is None or reader.makes_corpus:
        return {}
    partition = reader.published(root.absolute(), recordings, source.options)
    if partition is not None:
        return {reader.corpus.name: partition}
    if rule == "published" and not all(recording.split for recording in recordings):
        raise ManifestError(
            f"the published partition of {reader.corpus.name} is not there",
            given=f"none of its lists under {root}",
            allowed="; ".join(reader.corpus.layout),
            remedy="put the lists there, or take --set data.split.rule=clean",
        )
    return {}


def check_recordings(recordings: Sequence[Recording]) -> None:
    """Raises ManifestError where an id or a file is listed twice, a person is of two data sets, a field is empty, or
    an id would act on a terminal."""
    dataset_of: dict[str, Recording] = {}
    by_key: dict[str, str] = {}
    by_path: dict[str, str] = {}
    for recording in recordings:
        if not (recording.recording and recording.dataset and recording.subject and recording.path):
            raise ManifestError(f"the recording {recording.key} lacks an id, a data set, a subject or a path")
        for text in (recording.recording, recording.dataset, recording.subject, recording.split, recording.stratum):
            if (found := acting_character(text)) is not None:
                raise ManifestError(
                    f"an id of the recording {recording.key} holds a control character",
                    given=found,
                    remedy="rename the file, or mend the table",
                )
        path = os.path.realpath(recording.path)
        other = dataset_of.setdefault(recording.subject, recording)
        if other.dataset != recording.dataset:
            raise ManifestError(
                f"the subject id {recording.subject} is there in two data sets",
                given=f"{other.key} ({other.path}) and {recording.key} ({recording.path})",
                remedy="give different persons different ids; if it is one person, list both under one data set",
            )
        if recording.key in by_key:
            raise ManifestError(
                f"the recording id {recording.key} is there twice",
                given=f"{by_key[recording.key]} and {recording.path}",
                remedy="leave one out, or give one of the sources another data set name",
            )
        if path in by_path:
            raise ManifestError(f"the file {path} is listed twice", given=f"{by_path[path]} and {recording.key}")
        by_key[recording.key], by_path[path] = recording.path, recording.key


def hash_recordings(recordings: Sequence[Recording]) -> ReadResult:
    """The recordings with the SHA-256 of their files; those whose file changed or cannot be read are set aside.

    Raises:
        StorageError: what a file lies on fails; that is no reason to do without the recording.
    """

    def attempt(recording: Recording) -> Recording | SetAside:
        try:
            found = sha256_file(recording.path)
        except OSError as error:
            if error.errno in NOT_THE_FILE:
                raise system_error(f"cannot read the recording {recording.path}", error) from error
            return SetAside(recording.key, recording.path, f"cannot be read: {error.strerror}")
        if recording.sha256 and recording.sha256 != found:
            return SetAside(recording.key, recording.path, "its content is not what the manifest's sha256 says")
        return replace(recording, sha256=found)

    result = ReadResult()
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        for outcome in track(pool.map(attempt, recordings), "checking files", len(recordings)):
            if isinstance(outcome, Recording):
                result.recordings.append(outcome)
            else:
                result.set_aside.append(outcome)
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt does not wait for the rest of the corpus
    return result


def _totals(recordings: Sequence[Recording]) -> dict[str, Any]:
    return {
        "recordings": len(recordings),
        "subjects": len({recording.subject for recording in recordings}),
        "hours": round(sum(recording.duration_s for recording in recordings) / 3600, 3),
    }


class _Ticks:
    """Lets a tracker of iterations follow calls that report how much is done."""

    def __init__(self, description: str, total: int) -> None:
        self._description, self._total, self._done = description, total, 0
        self._steps: Any = None

    def __call__(self, done: int, total: int) -> None:
        if self._steps is None:
            self._steps = track(range(self._total), self._description)
            next(self._steps, None)
        while self._done < done:
            self._done += 1
            next(self._steps, None)
