"""PhysioNet/Computing in Cardiology Challenge 2016: heart sounds, normal or abnormal, of six groups of recordings.

From the PhysioNet pages (challenge-2016 1.0.0) and Liu et al., Physiol. Meas. 37(12), 2016: ``training-a`` to
``training-f`` hold ``<letter><nnnn>.wav`` (2 kHz), ``REFERENCE.csv`` (record, -1 normal or 1 abnormal; no header) and
``REFERENCE-SQI.csv`` (the same, and 0 where the quality is too poor to tell). ``validation/`` repeats recordings of
the training groups and is passed by. ``annotations/Online Appendix_training set.csv`` states, where it is there and
knows it, diagnosis, site, age and sex, and what says whose a recording is: a subject id in group b, an original name
with the subject in it in groups a (``C45S1``) and c (``id17``).

Assumed here: where the appendix does not say whose a recording is (groups d, e and f, and all without it), every
recording counts as a person of its own, although a person gave one to six of them. So persons of those groups may be
on two sides of a split: test no model on them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from acula_edge.data.reader import Corpus, Options, register_reader
from acula_edge.data.release import Candidate, ReleaseReader, find_entry, name_audio
from acula_edge.data.release_tables import clean, list_once, read_cells, read_table
from acula_edge.errors import ManifestError

DATASET = "cinc2016"
GROUPS = "abcdef"
CLASSES = {"-1": "normal", "1": "abnormal"}
DIAGNOSES = {
    "normal": "normal", "mvp": "mitral valve prolapse", "benign": "innocent murmur", "ad": "aortic disease",
    "as": "aortic stenosis", "mr": "mitral regurgitation", "cad": "coronary artery disease",
    "mpc": "miscellaneous pathological condition",
}  # fmt: skip
SITES = {"mitral": "mitral", "apex": "mitral", "aortic": "aortic", "pulmon": "pulmonary", "tricuspid": "tricuspid"}
NAMED = ("Challenge record name", "Original record name", "Diagnosis")
# Which part of the original name is the subject, where the appendix has no subject id.
_SUBJECTS = {
    "a": re.compile(r"(?P<id>[A-Z]+\d+)S\d+.*", re.IGNORECASE),
    "c": re.compile(r"(?P<id>id\d+).*", re.IGNORECASE),
}


@register_reader
class CinC2016Reader(ReleaseReader):
    """One recording per record of the six training groups."""

    corpus = Corpus(
        name=DATASET,
        title="PhysioNet/CinC Challenge 2016",
        sound="heart, mostly adults",
        licence="Open Data Commons Attribution License 1.0",
        access="open: https://physionet.org/content/challenge-2016/1.0.0/",
        layout=(
            "training-a/ ... training-f/ with REFERENCE.csv, REFERENCE-SQI.csv and <letter><nnnn>.wav",
            "annotations/Online Appendix_training set.csv (optional)",
        ),
        recordings=3240,
        labels={"class": {"normal": 2575, "abnormal": 665}},
        alignment_only=True,
    )

    def list_recordings(self, root: Path, options: Options, warnings: list[str]) -> Iterator[Candidate]:
        """See :class:`acula_edge.data.release.ReleaseReader`."""
        appendix = _read_appendix(root)
        unknown: set[str] = set()
        for letter in GROUPS:
            folder = find_entry(root, f"training-{letter}")
            if folder is None:
                continue
            quality = folder / "REFERENCE-SQI.csv"
            poor = {row[0] for _, row in (read_cells(quality, 3) if quality.is_file() else ()) if row[2] == "0"}
            audio = name_audio(folder)
            for name, label in _read_classes(folder / "REFERENCE.csv").items():
                path = audio.pop(name.casefold(), folder / f"{name}.wav")
                if name in poor:
                    yield Candidate(name, path, reason="marked as too noisy to tell")
                    continue
                facts = appendix.get(name, {})
                person = find_person(letter, facts)
                if person is None:
                    unknown.add(letter)
                yield Candidate(
                    recording=name,
                    path=path,
                    person=f"{letter}/{person or name}",
                    stratum=f"{letter} {label}",
                    metadata={
                        "sound": "heart",
                        "class": label,
                        "diagnosis": spell_diagnosis(facts.get("diagnosis"), label),
                        "location": _first_match(facts.get("transducer site on body"), SITES),
                        "age": clean(facts.get("age (year)")),
                        "sex": _first_match(facts.get("gender"), {"female": "Female", "male": "Male"}),
                    },
                )
            if audio:
                warnings.append(f"{DATASET}: {len(audio)} audio files are not in {folder}/REFERENCE.csv")
        if unknown:
            groups = ", ".join(f"training-{letter}" for letter in sorted(unknown))
            warnings.append(
                f"{DATASET}: whose the recordings of {groups} are is not known; each counts as a person of its own"
            )


def find_person(letter: str, facts: Mapping[str, str]) -> str | None:
    """The subject of a row of the appendix; None where it does not say."""
    if subject := clean(facts.get("subject id")):
        return subject
    match = (
        _SUBJECTS[letter].fullmatch((facts.get("original record name") or "").strip()) if letter in _SUBJECTS else None
    )
    return match["id"].casefold() if match else None


def spell_diagnosis(text: str | None, label: str) -> str | None:
    """The appendix's diagnosis in words; None where it is none that is known, or contradicts the class."""
    known = DIAGNOSES.get((clean(text) or "").partition(":")[0].strip().casefold())
    return known if (known == "normal") == (label == "normal") or known == "innocent murmur" else None


def _read_classes(table: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    listed: dict[str, str] = {}
    if not table.is_file():
        raise ManifestError(f"there is no {table}", remedy="put the release's REFERENCE.csv there")
    for number, (name, text, *_) in read_cells(table, 2):
        label = CLASSES.get(text)
        if label is None:
            raise ManifestError(f"{table}, row {number}: no known class", allowed=list(CLASSES))
        if not re.fullmatch(r"[a-f]\d+", name):
            raise ManifestError(f"{table}, row {number}: no name of a record", allowed="<letter><nnnn>")
        list_once(listed, name, f"{table}, row {number}", "record")
        found[name] = label
    return found


def _read_appendix(root: Path) -> dict[str, dict[str, str]]:
    """Rows of the online appendix by record, columns in lower case."""
    table = None
    for folder in (find_entry(root, "annotations"), root):
        if folder is not None and table is None:
            table = find_entry(folder, "Online Appendix_training set", suffix=".csv")
    if table is None:
        return {}
    rows = read_table(table, NAMED)
    return {row[NAMED[0]].strip(): {" ".join(k.casefold().split()): v for k, v in row.items()} for _, row in rows}


def _first_match(text: str | None, words: Mapping[str, str]) -> str | None:
    lowered = (text or "").casefold()
    return next((value for word, value in words.items() if word in lowered), None)
