"""ICBHI 2017 respiratory sound database: lung sounds of patients and healthy persons, with annotated breaths.

``ICBHI_final_database/<patient>_<rec>_<location>_<mode>_<device>.wav`` with a ``.txt`` of the same name (start, end,
crackles, wheezes; one breath per line); beside or in that folder ``ICBHI_Challenge_diagnosis.txt`` (patient,
diagnosis), ``ICBHI_challenge_train_test.txt`` (recording, train or test) and, if it is there,
``ICBHI_Challenge_demographic_information.txt`` (patient, age, sex, and three columns that are not read). All are
separated by tabs and have no header.

The release's list of the challenge calls one recording by another device than its file does; a listed name that no
file has is therefore taken for the file that differs in nothing but the device.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from acula_edge.data.identity import cell_id
from acula_edge.data.manifest import Recording
from acula_edge.data.reader import Corpus, Options, PublishedSplit, register_reader
from acula_edge.data.release import Candidate, ReleaseReader, divide, find_entry, name_audio, parse_name, require_file
from acula_edge.data.release_tables import list_once, read_cells, read_number, require_label
from acula_edge.errors import ManifestError
from acula_edge.probe.tasks import PublishedProbe, PublishedSplitFacts, Task, labels

DATASET = "icbhi"
DIAGNOSES = ("COPD", "Healthy", "URTI", "LRTI", "Asthma", "Bronchiectasis", "Bronchiolitis", "Pneumonia")
CLASSES = {"Healthy": "0", "COPD": "1"}
SIDES = ("train", "test")
LOCATIONS = {
    "tc": "trachea", "al": "left anterior chest", "ar": "right anterior chest", "pl": "left posterior chest",
    "pr": "right posterior chest", "ll": "left lateral chest", "lr": "right lateral chest",
}  # fmt: skip
MODES = {"sc": "single channel", "mc": "multichannel"}
DEVICES = {
    "akgc417l": "AKG C417L microphone",
    "littc2se": "Littmann Classic II SE stethoscope",
    "litt3200": "Littmann 3200 electronic stethoscope",
    "meditron": "Meditron Master Elite electronic stethoscope",
}
NAME = "<patient>_<rec>_<Tc|Al|Ar|Pl|Pr|Ll|Lr>_<sc|mc>_<AKGC417L|LittC2SE|Litt3200|Meditron>"
_NAME = re.compile(
    r"(?P<patient>\d+)_\w+?_(?P<location>Tc|Al|Ar|Pl|Pr|Ll|Lr)_(?P<mode>sc|mc)_"
    r"(?P<device>AKGC417L|LittC2SE|Litt3200|Meditron)",
    re.IGNORECASE,
)
_FLAGS = {"0": 0, "1": 1}


@register_reader
class ICBHIReader(ReleaseReader):
    """One recording per file; each inherits its patient's diagnosis."""

    corpus = Corpus(
        name=DATASET,
        title="ICBHI 2017 respiratory sound database",
        sound="lung, four devices",
        licence="free for research",
        access="open: https://bhichallenge.med.auth.gr/ICBHI_2017_Challenge",
        layout=(
            "ICBHI_Challenge_diagnosis.txt",
            "ICBHI_challenge_train_test.txt",
            "ICBHI_Challenge_demographic_information.txt (optional)",
            f"ICBHI_final_database/{NAME}.wav and .txt",
        ),
        recordings=920,
        subjects=126,
        labels={"diagnosis": {"COPD": 793, "Healthy": 35}},
    )

    def list_recordings(self, root: Path, options: Options, warnings: list[str]) -> Iterator[Candidate]:
        """See :class:`acula_edge.data.release.ReleaseReader`."""
        diagnoses, persons = read_diagnoses(root), read_persons(root)
        folder = find_audio(root)
        audio, notes = name_audio(folder), _name_annotations(folder)
        where = {name: str(path) for name, path in (*notes.items(), *audio.items())}
        spelled = {name: path.stem for name, path in (*notes.items(), *audio.items())}
        sides = read_sides(root)
        present = match_names(sides, spelled)
        for listed, (place, _) in sides.items():
            if listed not in present:
                spelled[listed.casefold()], where[listed.casefold()] = listed, place
        unannotated = 0
        for name in sorted(spelled):
            match = parse_name(self.corpus, _NAME, spelled[name], where[name])
            patient = match["patient"]
            if patient not in diagnoses:
                raise ManifestError(f"{where[name]}: the file of diagnoses has no patient {patient}")
            path = audio.get(name, folder / f"{spelled[name]}.wav")
            unannotated += name in audio and name not in notes
            yield Candidate(
                recording=spelled[name],
                path=path,
                person=patient,
                stratum=diagnoses[patient],
                metadata={
                    "sound": "lung",
                    "diagnosis": diagnoses[patient],
                    "location": LOCATIONS[match["location"].casefold()],
                    "acquisition_mode": MODES[match["mode"].casefold()],
                    "device": DEVICES[match["device"].casefold()],
                    **read_annotation(notes.get(name)),
                    **persons.get(patient, {"age": None, "sex": None}),
                },
            )
        if unannotated:
            warnings.append(f"{DATASET}: {unannotated} recordings have no annotation of their breaths")

    def published(self, root: Path, recordings: Sequence[Recording], options: Options) -> PublishedSplit | None:
        """The challenge's list; a fifth of its training recordings of COPD and healthy persons are validation.

        They are drawn by scikit-learn, stratified by those two, seed 1337, in the list's order. The published figures
        rest on the order of a folder's listing, which the release does not record, so their validation recordings may
        be others; how many there are, and the test set, are the same.
        """
        diagnoses = read_diagnoses(root)
        by_name = {recording.recording.casefold(): recording for recording in recordings}
        side_of, drawn = {}, {}
        for listed, (_, side) in read_sides(root).items():
            side_of[listed] = side
            diagnosis = diagnoses.get(listed.partition("_")[0])
            if side == "train" and diagnosis in CLASSES:
                drawn[listed] = CLASSES[diagnosis]
        sides = divide(drawn, seed=1337, test=0, val=0.2)
        if sides is None:
            return None
        side_of.update(sides)
        return PublishedSplit(
            splits={
                by_name[name].key: {"*": side_of[listed]} for listed, name in match_names(side_of, by_name).items()
            },
            source="official challenge split; validation is 20 % of its training recordings, seed 1337",
            exact=True,
            by_person=True,
        )


def find_audio(root: Path) -> Path:
    """The folder that holds the audio."""
    return find_entry(root, "ICBHI_final_database") or root


def find_table(root: Path, name: str) -> Path | None:
    """A text file of the release, beside the audio's folder or in it."""
    return next((f for f in (find_entry(p, name, suffix=".txt") for p in (root, find_audio(root))) if f), None)


def match_names(listed: Iterable[str], present: Iterable[str]) -> dict[str, str]:
    """Which of the present names, in lower case, a listed recording has: its own, else one with another device."""
    names = {name: name.casefold() for name in listed}
    known, own = set(present), set(names.values())
    others: dict[str, list[str]] = {}
    for name in sorted(known - own):
        others.setdefault(_without_device(name), []).append(name)
    found = {}
    for name, folded in names.items():
        candidates = [folded] if folded in known else others.get(_without_device(folded), [])
        if len(candidates) == 1:
            found[name] = candidates[0]
    return found


def read_diagnoses(root: Path) -> dict[str, str]:
    """Diagnosis of each patient.

    Raises:
        ManifestError: there is no file of diagnoses, or it is wrong.
    """
    file = require_file(ICBHIReader.corpus, "ICBHI_Challenge_diagnosis", ".txt", root, find_audio(root))
    found: dict[str, str] = {}
    listed: dict[str, str] = {}
    for number, (cell, diagnosis, *_) in read_cells(file, 2, "\t"):
        patient = cell_id(cell)
        list_once(listed, patient, f"{file}, row {number}", "patient")
        found[patient] = require_label(diagnosis, DIAGNOSES, file, number, "diagnosis")
    return found


def read_sides(root: Path) -> dict[str, tuple[str, str]]:
    """Place in the list, and side, of each recording in the challenge's list; empty where there is none."""
    file = find_table(root, "ICBHI_challenge_train_test")
    found: dict[str, tuple[str, str]] = {}
    listed: dict[str, str] = {}
    if file is None:
        return found
    for number, (name, side, *_) in read_cells(file, 2, "\t"):
        list_once(listed, name, where := f"{file}, row {number}")
        found[name] = where, require_label(side, SIDES, file, number, "split")
    return found


def read_persons(root: Path) -> dict[str, dict[str, Any]]:
    """Age in years and sex of each patient; empty where the table is not there."""
    file = find_table(root, "ICBHI_Challenge_demographic_information")
    found = {}
    for _, (patient, age, sex, *_) in read_cells(file, 3, "\t") if file is not None else ():
        found[cell_id(patient)] = {"age": read_number(age, 130), "sex": {"M": "Male", "F": "Female"}.get(sex.upper())}
    return found


def read_annotation(file: Path | None) -> dict[str, int | None]:
    """Whether any breath has crackles or wheezes, and how many of how many have; None where nothing is annotated."""
    rows = read_cells(file, 4, "\t") if file is not None else []
    facts: dict[str, int | None] = {"breaths": len(rows) or None}
    for place, column in ((2, "crackles"), (3, "wheezes")):
        facts[column] = facts[f"breaths_with_{column}"] = None
        if file is not None and rows:
            count = sum(require_label(cells[place], _FLAGS, file, number, column) for number, cells in rows)
            facts[column], facts[f"breaths_with_{column}"] = int(count > 0), count
    return facts


def _name_annotations(folder: Path) -> dict[str, Path]:
    """Annotations by name in lower case; other text files are passed by."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return {p.stem.casefold(): p for p in files if p.suffix.casefold() == ".txt" and _NAME.fullmatch(p.stem)}


def _without_device(name: str) -> str:
    return name.rpartition("_")[0]


# COPD in the ICBHI 2017 respiratory sounds (SPEC section 2.3, T7).
Task(
    id="T7",
    name="COPD, lung (ICBHI)",
    dataset="icbhi",
    sound="lung",
    target=labels("diagnosis", {"COPD": 1, "Healthy": 0}),
    target_text="diagnosis COPD = 1, Healthy = 0, others dropped",
    labels=("healthy", "COPD"),
    window="at least 8 s",
    published=True,
    published_probe=PublishedProbe(batch_size=32),
    published_split=PublishedSplitFacts(
        "official challenge split; validation is 20 % of its training recordings",
        (14, 355),
        (4, 89),
        (17, 349),
        leaks="patients 156 and 218 are in train and test; 25 of 28 validation patients are in train",
    ),
).register()
