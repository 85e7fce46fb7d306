"""KAUH lung sounds (Mendeley ``jwyy9np4gv`` v3), as released or as ten-second FLAC excerpts with a ``manifest.csv``.

Released: ``AudioFiles/<BP|DP|EP><patient>_<diagnosis>,<sound>,<location>,<age>,<sex>.wav``; the prefix is the
stethoscope's filter. Some files hold the same sound under two patients with different diagnoses, so one of the two
labels is wrong: both are set aside, and their patients count as one person.

The published partition is an array written against another order of files than the one it is read with (SPEC section
0, fact 8). OPERA's own ``train_test_split.npy`` is followed where it lies here with its list of files. Without it a
stand-in of the same kind is made. No regular order reproduces the array: orders by patient, by filter, by diagnosis,
by name, up and down, were tried in pairs, and where the counts of the training set agree (75 healthy, 87 obstructive)
the patients on both sides do not: regular orders divide a multiple of three of them, or none, and the array divides 49.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from acula_edge.audio.sound_file import open_sound
from acula_edge.data.lists import load_names
from acula_edge.data.manifest import Recording
from acula_edge.data.reader import Corpus, Groups, Options, PublishedSplit, read_header, register_reader
from acula_edge.data.release import Candidate, ReleaseReader, divide, list_audio, parse_name
from acula_edge.data.release_tables import clean, read_table
from acula_edge.errors import AudioError, ManifestError
from acula_edge.probe.tasks import PublishedProbe, PublishedSplitFacts, Task

DATASET = "kauh"
FILTERS = {"BP": "bell", "DP": "diaphragm", "EP": "extended"}
_NAME = re.compile(r"(?P<filter>BP|DP|EP)(?P<patient>\d+)_(?P<facts>[^,]*(,[^,]*){4})", re.DOTALL)
_DIAGNOSES = {
    "n": "normal", "normal": "normal", "asthma": "asthma", "copd": "COPD", "bron": "bronchitis",
    "plueral effusion": "pleural effusion",
}  # fmt: skip
_SURFACES = {"A": "anterior", "P": "posterior"}
_SIDES = {"L": "left", "R": "right"}
_HEIGHTS = {"U": "upper", "M": "middle", "L": "lower"}
_PHASES = {"I": "inspiratory", "E": "expiratory"}
_SOUNDS = {"W": "wheeze", "C": "crackles", "CREP": "crepitations", "B": "bronchial breathing", "N": "normal"}
# Parts of a diagnosis by which persons are stratified; the first that matches.
_GROUPS = (("copd", "copd"), ("asthma", "asthma"), ("normal", "normal"))
STORED_IN = ("", "splits", "feature/kauh_eval", "kauh_eval")
STORED_SPLIT = "train_test_split.npy"
STORED_FILES = ("sound_dir_loc_subset.npy", "sound_dir_loc.npy")
# The copies keep the middle ten seconds of every file; comparing those finds the same duplicates in both layouts.
_COMPARED_S = 10.0


@dataclass(frozen=True)
class _Entry:
    """One file, before duplicates are known."""

    recording: str
    path: Path
    patient: int
    group: int
    pcm_sha256: str
    metadata: dict[str, Any]


@register_reader
class KauhReader(ReleaseReader):
    """Three files per patient, one for each filter of the stethoscope."""

    corpus = Corpus(
        name=DATASET,
        title="KAUH",
        sound="lung, digital stethoscope with three filters",
        licence="CC BY 4.0",
        access="open: https://data.mendeley.com/datasets/jwyy9np4gv/3 (doi 10.17632/jwyy9np4gv.3)",
        layout=("AudioFiles/<BP|DP|EP><patient>_<diagnosis>,<sound>,<location>,<age>,<sex>.wav",),
        recordings=336,
        subjects=112,
    )

    def list_recordings(self, root: Path, options: Options, warnings: list[str]) -> Iterator[Candidate]:
        """See :class:`acula_edge.data.release.ReleaseReader`."""
        entries = []
        for found in _read_copies(root) if (root / "manifest.csv").is_file() else _read_release(root):
            if isinstance(found, _Entry):
                entries.append(found)
            else:
                yield found
        person_of = Groups()
        same_sound: dict[str, list[_Entry]] = {}
        for entry in entries:
            person_of.join(entry.patient, entry.group)
            same_sound.setdefault(entry.pcm_sha256, []).append(entry)
        for twins in same_sound.values():
            for twin in twins[1:]:
                person_of.join(twins[0].patient, twin.patient)
        kept = []
        for entry in entries:
            twins = same_sound[entry.pcm_sha256]
            if len({twin.metadata["diagnosis"] for twin in twins}) > 1:
                others = ", ".join(sorted(twin.recording for twin in twins if twin is not entry))
                reason = f"holds the same sound as {others} under another diagnosis; one of the labels is wrong"
                yield Candidate(entry.recording, entry.path, reason=reason)
            else:
                kept.append(entry)
        strata: dict[int, set[str]] = {}
        for entry in kept:
            strata.setdefault(person_of[entry.patient], set()).add(diagnosis_group(entry.metadata["diagnosis"]))
        order = [group for _, group in _GROUPS] + ["other"]
        for entry in sorted(kept, key=lambda entry: entry.recording):
            person = person_of[entry.patient]
            stratum = next(group for group in order if group in strata[person])
            yield Candidate(entry.recording, entry.path, str(person), entry.metadata, stratum)

    def published(self, root: Path, recordings: Sequence[Recording], options: Options) -> PublishedSplit | None:
        """The stored array of OPERA where it is here, else a stand-in; a tenth of its training set is validation.

        Everything that is not "train" is tested on; validation recordings are drawn by scikit-learn, stratified by
        healthy and obstructive, seed 1337. Recordings of other diseases take no part.
        """
        stored = _read_stored(root)
        listed = stored if stored is not None else _stand_in(_list_labels(root))
        trained = {name: str(int(label != "healthy")) for name, label, train in listed if train and label is not None}
        side_of = divide(trained, seed=1337, test=0, val=0.1)
        if side_of is None:
            return None
        side_of.update((name, "test") for name, label, train in listed if not train and label is not None)
        return PublishedSplit(
            splits={r.key: {"*": side_of[r.recording]} for r in recordings if r.recording in side_of},
            source="OPERA's stored array" if stored is not None else "stand-in for OPERA's array, misaligned like it",
            exact=stored is not None,
            by_person=False,
        )


def diagnosis_group(diagnosis: str | None) -> str:
    """``copd``, ``asthma``, ``normal`` or ``other``."""
    text = (diagnosis or "").casefold()
    return next((group for part, group in _GROUPS if part in text), "other")


def published_label(diagnosis: str) -> str | None:
    """``healthy``, ``asthma`` or ``COPD`` as published figures understand a file's name; None takes no part."""
    if diagnosis.strip() in ("N", "Normal"):
        return "healthy"
    if "asthma" in diagnosis or "Asthma" in diagnosis:
        return "asthma"
    return "COPD" if "COPD" in diagnosis else None


def spell_diagnosis(code: str) -> str:
    """``Heart Failure + Lung Fibrosis `` -> ``Heart failure + lung fibrosis``; ``N`` -> ``Normal``."""
    parts = [part.strip().casefold() for part in re.split(r"\+| and ", code)]
    words = " + ".join(_DIAGNOSES.get(part, part) for part in parts if part)
    return words[:1].upper() + words[1:]


def spell_sound(code: str) -> str:
    """``I C E W`` -> ``Inspiratory crackles + expiratory wheeze``; an unknown code stays as it is."""
    parts: list[str] = []
    phases: list[str] = []
    for token in code.upper().split():
        if token in _PHASES:
            phases.append(_PHASES[token])
        elif token in _SOUNDS:
            parts.append(" ".join(filter(None, (" + ".join(phases), _SOUNDS[token]))))
            phases = []
        else:
            return code.strip()
    if phases or not parts:
        return code.strip()
    words = " + ".join(parts)
    return words[:1].upper() + words[1:]


def spell_location(code: str) -> str | None:
    """``P L U`` -> ``posterior left upper``; only the surface where side and height do not follow the scheme."""
    tokens = code.upper().split()
    if not tokens or tokens[0] not in _SURFACES:
        return None
    surface = _SURFACES[tokens[0]]
    if len(tokens) == 3 and tokens[1] in _SIDES and tokens[2] in _HEIGHTS:
        return f"{surface} {_SIDES[tokens[1]]} {_HEIGHTS[tokens[2]]}"
    return surface


def _metadata(diagnosis: str, sound: str, stethoscope_filter: str, location: str, age: str, sex: str) -> dict[str, Any]:
    digits = (clean(age) or "").removesuffix(".0")
    return {
        "diagnosis": diagnosis,
        "sound": sound,
        "stethoscope_filter": stethoscope_filter,
        "location": spell_location(location),
        "age": int(digits) if digits.isdigit() else None,
        "sex": {"M": "Male", "F": "Female"}.get(sex.strip().upper()),
    }


def _read_copies(root: Path) -> Iterator[_Entry | Candidate]:
    manifest = root / "manifest.csv"
    needed = (
        "file", "recording", "patient", "leak_group", "stethoscope_filter", "diagnosis", "sound", "location_code",
        "age", "sex", "pcm_sha256",
    )  # fmt: skip
    for number, row in read_table(manifest, needed):
        if not (row["patient"].isdigit() and row["leak_group"].isdigit()):
            raise ManifestError(f"{manifest}, row {number}: patient and leak_group are numbers", given=row["patient"])
        facts = _metadata(
            row["diagnosis"], row["sound"], row["stethoscope_filter"], row["location_code"], row["age"], row["sex"]
        )
        yield _entry(
            row["recording"], root / row["file"], int(row["patient"]), int(row["leak_group"]), row["pcm_sha256"], facts
        )


def _read_release(root: Path) -> Iterator[_Entry | Candidate]:
    for path in _list_release(root):
        match = parse_name(KauhReader.corpus, _NAME, path.stem, path)
        diagnosis, sound, location, age, sex = (part.strip() for part in match["facts"].split(","))
        metadata = _metadata(
            spell_diagnosis(diagnosis), spell_sound(sound), FILTERS[match["filter"]], location, age, sex
        )
        patient = int(match["patient"])
        yield _entry(match["filter"] + match["patient"], path, patient, patient, "", metadata)


def _list_release(root: Path) -> list[Path]:
    return list_audio(next((root / name for name in ("AudioFiles", "Audio Files") if (root / name).is_dir()), root))


def _list_labels(root: Path) -> list[tuple[str, str | None]]:
    """Recording and published label of every file, also of those that are set aside."""
    manifest = root / "manifest.csv"
    if manifest.is_file():
        rows = read_table(manifest, ("recording", "diagnosis"))
        return [(row["recording"], published_label(row.get("diagnosis_code") or row["diagnosis"])) for _, row in rows]
    return [_parse(path.stem, path) for path in _list_release(root)]


def _parse(stem: str, where: object) -> tuple[str, str | None]:
    match = parse_name(KauhReader.corpus, _NAME, stem, where)
    return match["filter"] + match["patient"], published_label(match["facts"].partition(",")[0])


def _read_stored(root: Path) -> list[tuple[str, str | None, bool]] | None:
    """Recording, label and whether it is trained on, in the array's order; None where the array is not here."""
    folder = next((root / name for name in STORED_IN if (root / name / STORED_SPLIT).is_file()), None)
    if folder is None:
        return None
    files = next((folder / name for name in STORED_FILES if (folder / name).is_file()), None)
    if files is None:
        raise ManifestError(
            f"{folder / STORED_SPLIT} has no list of files beside it", allowed=STORED_FILES,
            remedy="copy the list from where the array was; its order gives the array its meaning",
        )  # fmt: skip
    sides, names = load_names(folder / STORED_SPLIT), load_names(files)
    if len(sides) != len(names):
        raise ManifestError(
            f"{folder / STORED_SPLIT} and {files} differ in length", given=f"{len(sides)} and {len(names)}"
        )
    found: dict[str, tuple[str, str | None, bool]] = {}
    for place, (name, side) in enumerate(zip(names, sides, strict=True)):
        file = re.split(r"[/\\]", name)[-1]
        where = f"{files}, item {place}"
        recording, label = _parse(file[:-4] if file.casefold().endswith(".wav") else file, where)
        if recording in found:
            raise ManifestError(f"{where}: {recording} is listed twice")
        if side not in ("train", "val", "test"):
            raise ManifestError(f"{folder / STORED_SPLIT}, item {place}: unknown split", allowed="train, val, test")
        found[recording] = recording, label, side == "train"
    return list(found.values())


def _stand_in(labels: Sequence[tuple[str, str | None]]) -> list[tuple[str, str | None, bool]]:
    """Patients dealt by diagnosis (20 %, then 0.1 / 0.8 of the rest, seed 42), written in order of patients and read
    in order of names."""
    taking = {name: label for name, label in labels if label is not None}
    by_patient = sorted(taking, key=lambda name: (int(name[2:]), name))
    patients: dict[str, str] = {}
    for name in by_patient:
        patients.setdefault(name[2:], taking[name])
    ordered = {patient: patients[patient] for patient in sorted(patients, key=int)}
    side_of = divide(ordered, seed=42, test=0.2, val=0.1 / 0.8)
    if side_of is None:
        return []
    written = [side_of[name[2:]] == "train" for name in by_patient]
    return [(name, taking[name], train) for name, train in zip(sorted(taking), written, strict=True)]


def _entry(
    recording: str, path: Path, patient: int, group: int, pcm_sha256: str, metadata: dict[str, Any]
) -> _Entry | Candidate:
    """The file; or why it takes no part, where it cannot be read."""
    try:
        read_header(path)
        return _Entry(recording, path, patient, group, pcm_sha256 or _hash_middle(path), metadata)
    except AudioError as error:
        return Candidate(recording, path, reason=error.problem)


def _hash_middle(path: Path) -> str:
    with open_sound(path) as sound:
        file = sound.file
        length = min(file.frames, round(_COMPARED_S * file.samplerate))
        file.seek((file.frames - length) // 2)
        samples = file.read(length, dtype="int16")
    return hashlib.sha256(np.ascontiguousarray(samples).tobytes()).hexdigest()


# Obstructive disease in lung sounds of King Abdullah University Hospital (SPEC section 2.3, T10).
def obstructive(recording: Recording) -> float | None:
    """1 for asthma or COPD (also beside another disease), 0 for exactly "Normal", None for any other diagnosis."""
    diagnosis = recording.metadata.get("diagnosis")
    if not isinstance(diagnosis, str):
        return None
    text = diagnosis.strip().casefold()
    if "asthma" in text or "copd" in text:
        return 1.0
    return 0.0 if text == "normal" else None


Task(
    id="T10",
    name="Obstructive disease, lung (KAUH)",
    dataset="kauh",
    sound="lung",
    target=obstructive,
    target_text="diagnosis contains asthma or COPD = 1, exactly Normal = 0, others dropped",
    labels=("normal", "obstructive"),
    window="at least 8 s",
    published=True,
    published_probe=PublishedProbe(batch_size=32, epochs=50, validate_every=5),
    published_split=PublishedSplitFacts(
        "stored array, misaligned with its file list; validation is 10 % of its training recordings",
        (67, 78),
        (8, 9),
        (30, 42),
        leaks="49 of 78 patients are in train and test",
    ),
    note="the published partition leaks patients; values of the clean one are not comparable with the paper's",
).register()
