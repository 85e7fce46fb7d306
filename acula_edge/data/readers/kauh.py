"""KAUH lung sounds (Mendeley ``jwyy9np4gv`` v3), as released or as ten-second FLAC excerpts with a ``manifest.csv``.

Released: ``AudioFiles/<BP|DP|EP><patient>_<diagnosis>,<sound>,<location>,<age>,<sex>.wav``; the prefix is the
stethoscope's filter. Some files hold the same sound under two patients with different diagnoses, so one of the two
labels is wrong: both are set aside, and their patients count as one person.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from acula_edge.data.manifest import Recording
from acula_edge.data.reader import (
    Groups,
    Reader,
    ReadResult,
    SetAside,
    check_options,
    clean,
    read_header,
    read_table,
    readers,
    require_folder,
)
from acula_edge.errors import AudioError, ManifestError

DATASET = "kauh"
FILTERS = {"BP": "bell", "DP": "diaphragm", "EP": "extended"}
_NAME = re.compile(r"(?P<filter>BP|DP|EP)(?P<patient>\d+)_(?P<facts>.+)", re.DOTALL)
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
    sample_rate_hz: int
    duration_s: float
    metadata: dict[str, Any]


class KauhReader(Reader):
    """Three files per patient, one for each filter of the stethoscope."""

    def read(self, root: Path, options: Mapping[str, Any]) -> ReadResult:
        """See :class:`acula_edge.data.reader.Reader`; there are no options."""
        check_options(DATASET, options, ())
        require_folder(root, "KAUH (it holds AudioFiles/)")
        root = root.absolute()
        result = ReadResult()
        if (root / "manifest.csv").is_file():
            entries = _read_copies(root, result.set_aside)
        else:
            entries = _read_release(root, result.set_aside)
        if not entries:
            raise ManifestError(
                f"{root} holds no KAUH recording that can be read",
                allowed="AudioFiles/<BP|DP|EP><patient>_<diagnosis>,<sound>,<location>,<age>,<sex>.wav",
            )
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
                result.set_aside.append(SetAside(f"{DATASET}/{entry.recording}", str(entry.path), reason))
            else:
                kept.append(entry)
        strata: dict[int, set[str]] = {}
        for entry in kept:
            strata.setdefault(person_of[entry.patient], set()).add(diagnosis_group(entry.metadata["diagnosis"]))
        order = [group for _, group in _GROUPS] + ["other"]
        for entry in sorted(kept, key=lambda entry: entry.recording):
            person = person_of[entry.patient]
            result.recordings.append(
                Recording(
                    recording=entry.recording,
                    path=str(entry.path),
                    subject=f"{DATASET}/{person}",
                    dataset=DATASET,
                    sample_rate_hz=entry.sample_rate_hz,
                    duration_s=entry.duration_s,
                    stratum=next(group for group in order if group in strata[person]),
                    metadata=entry.metadata,
                )
            )
        return result


def diagnosis_group(diagnosis: str | None) -> str:
    """``copd``, ``asthma``, ``normal`` or ``other``."""
    text = (diagnosis or "").casefold()
    return next((group for part, group in _GROUPS if part in text), "other")


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


def _read_copies(root: Path, set_aside: list[SetAside]) -> list[_Entry]:
    manifest = root / "manifest.csv"
    needed = (
        "file", "recording", "patient", "leak_group", "stethoscope_filter", "diagnosis", "sound", "location_code",
        "age", "sex", "pcm_sha256",
    )  # fmt: skip
    rows = read_table(manifest, needed)
    entries = []
    for number, row in enumerate(rows, start=2):
        if not (row["patient"].isdigit() and row["leak_group"].isdigit()):
            raise ManifestError(f"{manifest}, row {number}: patient and leak_group are numbers", given=row["patient"])
        facts = _metadata(
            row["diagnosis"], row["sound"], row["stethoscope_filter"], row["location_code"], row["age"], row["sex"]
        )
        entry = _entry(
            row["recording"], root / row["file"], int(row["patient"]), int(row["leak_group"]), row["pcm_sha256"],
            facts, set_aside,
        )  # fmt: skip
        if entry is not None:
            entries.append(entry)
    return entries


def _read_release(root: Path, set_aside: list[SetAside]) -> list[_Entry]:
    folder = next((root / name for name in ("AudioFiles", "Audio Files") if (root / name).is_dir()), root)
    entries = []
    for path in sorted(folder.glob("*.wav")):
        match = _NAME.fullmatch(path.stem)
        facts = [part.strip() for part in match["facts"].split(",")] if match else []
        if match is None or len(facts) != 5:
            raise ManifestError(
                f"{path} is not named like a KAUH recording",
                allowed="<BP|DP|EP><patient>_<diagnosis>,<sound>,<location>,<age>,<sex>.wav",
            )
        diagnosis, sound, location, age, sex = facts
        metadata = _metadata(
            spell_diagnosis(diagnosis), spell_sound(sound), FILTERS[match["filter"]], location, age, sex
        )
        patient = int(match["patient"])
        entry = _entry(match["filter"] + match["patient"], path, patient, patient, "", metadata, set_aside)
        if entry is not None:
            entries.append(entry)
    return entries


def _entry(
    recording: str, path: Path, patient: int, group: int, pcm_sha256: str, metadata: dict[str, Any],
    set_aside: list[SetAside],
) -> _Entry | None:  # fmt: skip
    try:
        sample_rate_hz, duration_s = read_header(path)
        pcm_sha256 = pcm_sha256 or _hash_middle(path)
    except AudioError as error:
        set_aside.append(SetAside(f"{DATASET}/{recording}", str(path), error.problem))
        return None
    return _Entry(recording, path, patient, group, pcm_sha256, sample_rate_hz, duration_s, metadata)


def _hash_middle(path: Path) -> str:
    try:
        samples, rate = soundfile.read(str(path), dtype="int16")
    except (RuntimeError, OSError) as error:
        raise AudioError(f"{path} cannot be decoded", given=str(error)) from error
    length = min(len(samples), round(_COMPARED_S * rate))
    start = (len(samples) - length) // 2
    return hashlib.sha256(np.ascontiguousarray(samples[start : start + length]).tobytes()).hexdigest()


readers.register("kauh", KauhReader())
