"""CirCor DigiScope heart sounds (PhysioNet ``circor-heart-sound``), as released or as whole-patient FLAC copies.

Released: ``training_data.csv`` and ``training_data/`` with ``<patient>_<site>.wav`` and ``<patient>.txt``.
Copies: the same table and a ``manifest.csv`` with one row per recording.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from acula_edge.data.identity import cell_id
from acula_edge.data.manifest import Recording
from acula_edge.data.reader import Corpus, Groups, Options, PublishedSplit, register_reader
from acula_edge.data.release import Candidate, ReleaseReader, divide, list_audio, parse_name
from acula_edge.data.release_tables import clean, column_name, name_columns, read_note, read_table
from acula_edge.errors import ManifestError
from acula_edge.probe.tasks import PublishedProbe, PublishedSplitFacts, Task, labels

DATASET = "circor"
_NAME = re.compile(r"(?P<patient>\d+)_(?P<site>AV|PV|TV|MV|Phc)(_.*)?")
_MURMUR_ASPECTS = ("timing", "shape", "grading", "pitch", "quality")
PATIENT_COLUMNS = (
    "age",
    "sex",
    "murmur",
    "murmur_locations",
    "most_audible_location",
    *(f"systolic_murmur_{aspect}" for aspect in _MURMUR_ASPECTS),
    *(f"diastolic_murmur_{aspect}" for aspect in _MURMUR_ASPECTS),
    "outcome",
    "campaign",
)
PERSONS = 872
"""Persons behind the 942 patient ids of ``training_data.csv``."""
# What a person's strata are ordered by when two campaigns disagree.
_SEVERITY = ("Present", "Unknown", "Absent")

Patient = dict[str, str | None]


@register_reader
class CirCorReader(ReleaseReader):
    """One recording per site; the person is what "Additional ID" links, both campaigns together."""

    corpus = Corpus(
        name=DATASET,
        title="CirCor DigiScope",
        sound="heart, children",
        licence="ODC-By 1.0",
        access="open: https://physionet.org/content/circor-heart-sound/1.0.3/ (doi 10.13026/tshs-mw03)",
        layout=(
            "training_data.csv",
            "training_data/<patient>_<AV|PV|TV|MV|Phc>[_<n>].wav",
            "training_data/<patient>.txt",
        ),
        recordings=3163,
        subjects=PERSONS,
        labels={"murmur": {"Present": 616, "Absent": 2391, "Unknown": 156}},
    )

    def list_recordings(self, root: Path, options: Options, warnings: list[str]) -> Iterator[Candidate]:
        """See :class:`acula_edge.data.release.ReleaseReader`."""
        patients = read_patients(root)
        person_of = link_persons(patients)
        murmur_of = _murmur_of_persons(patients, person_of)
        for name, path in _list_audio(root):
            patient_id, site = parse_name(self.corpus, _NAME, name, path).group("patient", "site")
            if patient_id not in patients:
                raise ManifestError(f"{path}: the patient tables have no patient {patient_id}")
            patient = patients[patient_id]
            person = person_of[int(patient_id)]
            metadata: dict[str, Any] = {"location": site, "murmur_at_this_location": murmur_at(site, patient)}
            metadata.update({_short(column): patient.get(column) for column in PATIENT_COLUMNS})
            yield Candidate(name, path, str(person), metadata, stratum=murmur_of[person])

    def published(self, root: Path, recordings: Sequence[Recording], options: Options) -> PublishedSplit | None:
        """Patient ids in the table's order, stratified by murmur: 60, 20 and 20 %; scikit-learn, seed 42 (assumed).

        Published figures divide patient ids, not persons, so a child of both campaigns may be on two sides.
        """
        patients = read_patients(root)
        murmurs = {patient_id: str(patient["murmur"]) for patient_id, patient in patients.items()}
        side_of = divide(murmurs, seed=42, test=0.2, val=0.25)
        if side_of is None:
            return None
        return PublishedSplit(
            splits={r.key: {"*": side_of[r.recording.partition("_")[0]]} for r in recordings},
            source="assumed rule: 60, 20 and 20 % of the patient ids, by murmur, seed 42",
            exact=False,
            by_person=False,
        )


def murmur_at(site: str, patient: Patient) -> int | None:
    """1 where the murmur is heard at this site, 0 where it is not, None where its presence is unknown."""
    if patient["murmur"] == "Present":
        return int(site in (patient.get("murmur_locations") or "").split("+"))
    return 0 if patient["murmur"] == "Absent" else None


def read_patients(root: Path) -> dict[str, Patient]:
    """Patients by id, from ``training_data.csv`` and, for those it lacks, from ``<patient>.txt``."""
    patients: dict[str, Patient] = {}
    table = root / "training_data.csv"
    if table.is_file():
        for _, row in read_table(table, ("Patient ID", "Murmur", "Additional ID")):
            patient = name_columns(row)
            if patient_id := cell_id(patient["patient_id"]):
                patients[patient_id] = patient
    for folder in (root / "training_data", root / "annotations", root):
        for path in sorted(folder.glob("*.txt")):
            if path.stem.isdigit() and path.stem not in patients:
                patients[path.stem] = _read_header_lines(path)
    for patient_id, patient in patients.items():
        if not patient_id.isdigit() or patient.get("murmur") not in _SEVERITY:
            raise ManifestError(
                f"{root}: the entry of patient {patient_id} has no usable murmur label", allowed=_SEVERITY
            )
    if not patients:
        raise ManifestError(
            f"{root} is not CirCor DigiScope: it has neither training_data.csv nor <patient>.txt files",
            remedy="give the folder that holds training_data.csv",
        )
    return patients


def link_persons(patients: Mapping[str, Patient]) -> Groups:
    """Persons: patient ids linked by "Additional ID" are one child seen in two campaigns."""
    person_of = Groups()
    for patient_id, patient in patients.items():
        other = cell_id(patient.get("additional_id"))
        if other.isdigit():
            person_of.join(int(patient_id), int(other))
    return person_of


def _murmur_of_persons(patients: Mapping[str, Patient], person_of: Groups) -> dict[int, str]:
    found: dict[int, set[str | None]] = {}
    for patient_id, patient in patients.items():
        found.setdefault(person_of[int(patient_id)], set()).add(patient["murmur"])
    return {person: next(label for label in _SEVERITY if label in labels) for person, labels in found.items()}


def _read_header_lines(path: Path) -> Patient:
    patient: Patient = {"patient_id": path.stem}
    for line in read_note(path, "header").splitlines():
        if line.startswith("#"):
            key, _, value = line[1:].partition(":")
            patient[column_name(key)] = clean(value)
    return patient


def _list_audio(root: Path) -> Iterator[tuple[str, Path]]:
    """Names and paths of recordings, in order of name."""
    manifest = root / "manifest.csv"
    if manifest.is_file():
        rows = read_table(manifest, ("file", "recording"))
        yield from sorted((row["recording"], root / row["file"]) for _, row in rows)
        return
    folder = root / "training_data" if (root / "training_data").is_dir() else root
    for path in list_audio(folder):
        yield path.stem, path


def _short(column: str) -> str:
    """``systolic_murmur_timing`` -> ``systolic_timing``."""
    return column.replace("systolic_murmur_", "systolic_")


# Heart murmurs in CirCor DigiScope (SPEC section 2.4).
Task(
    id="C1",
    name="Heart murmur (CirCor)",
    dataset="circor",
    sound="heart",
    target=labels("murmur", {"Present": 1, "Absent": 0}),
    target_text="murmur Present = 1, Absent = 0, Unknown dropped; every site inherits the patient's label",
    labels=("murmur absent", "murmur present"),
    window="at least 8 s",
    published=True,
    published_probe=PublishedProbe(batch_size=32),
    published_split=PublishedSplitFacts(
        "the official validation and test patients are not public: 60, 20 and 20 % of the 942 training patients, "
        "stratified by murmur (assumed)",
        leaks="children of both campaigns have two patient ids, which may be on two sides",
    ),
    assumed=True,
    note="the paper's cardiac tasks are not readable; target, split and metric are assumed",
).register()
