"""BMD-HS (BUET): heart sounds of adults with valvular diseases, eight recordings per patient.

``train/<dx>_<nnn>_<sup|sit>_<Mit|Tri|Pul|Aor>.wav`` with dx in N, AS, AR, MR, MS and MD (more than one disease);
``train.csv`` states per patient which diseases (AS, AR, MR, MS, N) and which recordings, ``additional_metadata.csv``
age and sex. Without ``train.csv`` the names alone are read: the person is then the number in the name together with
the diagnosis, and what an MD patient has is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acula_edge.data.identity import cell_id
from acula_edge.data.manifest import Recording
from acula_edge.data.reader import Corpus, Options, register_reader
from acula_edge.data.release import Candidate, ReleaseReader, find_entry, name_audio, parse_name
from acula_edge.data.release_tables import clean, list_once, read_table, require_label
from acula_edge.errors import ManifestError
from acula_edge.probe.tasks import Task

DATASET = "bmdhs"
DISEASES = {
    "AS": "aortic_stenosis", "AR": "aortic_regurgitation", "MR": "mitral_regurgitation", "MS": "mitral_stenosis",
}  # fmt: skip
POSITIONS = {"sup": "supine", "sit": "sitting"}
LOCATIONS = {"mit": "mitral", "tri": "tricuspid", "pul": "pulmonary", "aor": "aortic"}
_FLAGS = {"0": 0, "1": 1, "N/A": None, "": None}
_NAME = re.compile(
    r"(?P<dx>N|AS|AR|MR|MS|MD)_(?P<number>\d+)_(?P<position>sup|sit)_(?P<location>Mit|Tri|Pul|Aor)", re.IGNORECASE
)


@dataclass(frozen=True)
class _Patient:
    """What the table says: flags by metadata column (None where it says nothing), and its row."""

    person: str
    flags: dict[str, int | None]
    where: str


@register_reader
class BMDHSReader(ReleaseReader):
    """Four sites, sitting and supine; every recording inherits the patient's diseases."""

    corpus = Corpus(
        name=DATASET,
        title="BMD-HS",
        sound="heart, adults",
        licence="CC BY-NC-ND 4.0",
        access="open: https://github.com/sani002/BMD-HS-Dataset",
        layout=("train.csv", "additional_metadata.csv", "train/<dx>_<nnn>_<sup|sit>_<Mit|Tri|Pul|Aor>.wav"),
        recordings=864,
        subjects=108,
        labels={
            "normal": {"1": 168, "0": 696},
            "aortic_stenosis": {"1": 296, "0": 568},
            "aortic_regurgitation": {"1": 344, "0": 520},
            "mitral_regurgitation": {"1": 304, "0": 560},
            "mitral_stenosis": {"1": 304, "0": 560},
        },
    )

    def list_recordings(self, root: Path, options: Options, warnings: list[str]) -> Iterator[Candidate]:
        """See :class:`acula_edge.data.release.ReleaseReader`."""
        folder = find_entry(root, "train") or root
        audio = name_audio(folder)
        table = find_entry(root, "train", suffix=".csv")
        patients = read_patients(table) if table is not None else _patients_of_names(audio)
        persons = _read_persons(find_entry(root, "additional_metadata", suffix=".csv"))
        for name, patient in patients.items():
            path = audio.pop(name.casefold(), folder / f"{name}.wav")
            match = parse_name(self.corpus, _NAME, name, patient.where)
            dx = match["dx"].upper()
            if patient.flags["normal"] is None:
                yield Candidate(name, path, reason="the table does not say what its patient has")
                continue
            if patient.flags["normal"] != (dx == "N"):
                raise ManifestError(f"{patient.where}: {name} and the column N contradict each other")
            yield Candidate(
                recording=name,
                path=path,
                person=patient.person,
                stratum=dx,
                metadata={
                    "sound": "heart",
                    "diagnoses": spell_diagnoses(dx, patient.flags),
                    **patient.flags,
                    "position": POSITIONS[match["position"].casefold()],
                    "location": LOCATIONS[match["location"].casefold()],
                    **persons.get(patient.person, {"age": None, "sex": None}),
                },
            )
        if audio:
            warnings.append(f"{DATASET}: {len(audio)} audio files are not in {table} and are left out")


def spell_diagnoses(dx: str, flags: Mapping[str, int | None]) -> str | None:
    """``Normal``, or ``Aortic stenosis + mitral regurgitation``; None for diseases that are not named."""
    if dx == "N":
        return "Normal"
    text = " + ".join(column.replace("_", " ") for column in DISEASES.values() if flags[column])
    return text[:1].upper() + text[1:] or None


def read_patients(table: Path) -> dict[str, _Patient]:
    """The patient of each recording, in the table's order."""
    found: dict[str, _Patient] = {}
    listed: dict[str, str] = {}
    for number, row in read_table(table, ("patient_id", *DISEASES, "N")):
        where = f"{table}, row {number}"
        person = cell_id(row["patient_id"])
        if not person:
            raise ManifestError(f"{where}: there is no patient id")
        flags = {
            column: require_label(row[name], _FLAGS, table, number, name)
            for name, column in {**DISEASES, "N": "normal"}.items()
        }
        if None in flags.values():
            flags = dict.fromkeys(flags)
        elif flags["normal"] == any(flags[column] for column in DISEASES.values()):
            raise ManifestError(f"{where}: the columns AS, AR, MR, MS and N contradict each other")
        for column, name in row.items():
            if not column.strip().casefold().startswith("recording_") or clean(name) is None:
                continue
            name = name.strip()
            name = name[:-4] if name.casefold().endswith(".wav") else name
            list_once(listed, name, f"{where}, column {column}")
            found[name] = _Patient(person, flags, where)
    return found


def _patients_of_names(audio: Mapping[str, Path]) -> dict[str, _Patient]:
    found: dict[str, _Patient] = {}
    for path in audio.values():
        match = _NAME.fullmatch(path.stem)
        dx = match["dx"].upper() if match else ""
        flags: dict[str, int | None] = {
            column: None if dx == "MD" else int(dx == name) for name, column in {**DISEASES, "N": "normal"}.items()
        }
        if dx == "MD":
            flags["normal"] = 0
        found[path.stem] = _Patient(f"{dx}_{match['number']}" if match else "", flags, str(path))
    return found


def _read_persons(table: Path | None) -> dict[str, dict[str, Any]]:
    if table is None:
        return {}
    return {
        cell_id(row["patient_id"]): {
            "age": clean(row.get("Age")),
            "sex": {"M": "Male", "F": "Female"}.get((row.get("Gender") or "").strip().upper()),
        }
        for _, row in read_table(table, ("patient_id", "Age", "Gender"))
    }


# Valvular heart disease in BMD-HS (SPEC section 2.4, C2'); beside the 18.
def diseased(recording: Recording) -> float | None:
    """1 where any valve is diseased, 0 where the heart is normal."""
    normal = recording.metadata.get("normal")
    return float(1 - normal) if normal in (0, 1) else None


Task(
    id="B1",
    name="Valvular heart disease (BMD-HS)",
    dataset="bmdhs",
    sound="heart",
    target=diseased,
    target_text="any of AS, AR, MR, MS, MD = 1, normal = 0",
    labels=("normal", "valvular disease"),
    window="at least 8 s",
    assumed=True,
    note="the paper's second cardiac data set may be this one; it is not among the 18 tasks here",
).register()
