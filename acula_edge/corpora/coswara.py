"""Coswara (IISc Bangalore): shallow coughs recorded by their makers at home; smoking, sex, symptoms.

``Extracted_data/<date>/<uuid>/cough-shallow.wav``, ``combined_data.csv`` (id, g, smoker, a, ...) and
``annotations/{cough-shallow,cough-heavy}_labels.csv`` (first column ``<uuid>_<modality>``, second quality; 0 is bad).
A user counts whose annotations of both modalities are good; the shallow cough is used, and the audio of the heavy one
need not be here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acula_edge.data.manifest import Recording
from acula_edge.data.reader import Corpus, Options, PublishedSplit, register_reader
from acula_edge.data.release import Candidate, ReleaseReader, divide, find_entry, name_audio, require_file
from acula_edge.data.release_tables import clean, read_cells, read_keyed, read_number, require_label
from acula_edge.errors import ManifestError
from acula_edge.probe.tasks import PublishedProbe, PublishedSplitFacts, Task, labels

DATASET = "coswara"
SOUND = "cough-shallow"
MODALITIES = (SOUND, "cough-heavy")
BAD = "0"
SMOKER = {"y": "yes", "True": "yes", "n": "no", "False": "no", "": None}
SEX = {"female": "Female", "male": "Male", "other": None, "pnts": None, "": None}
# Users whose files are missing or broken in the release, and the modalities that they are left out of.
DROPPED = {
    "C7Km0KttQRMMM6UoyocajfgZAOB3": MODALITIES,
    "kgjTguvo3vZJTO7F1qO9GxEicbA3": MODALITIES,
    "9hftEYixyhP1Neeq3fB7ZwITQC53": (SOUND,),
}
# Columns of the table that are ticked where something is so; left empty they do not say that it is not.
SYMPTOMS = {
    "cough": "cough", "cold": "cold", "fever": "fever", "st": "sore throat", "bd": "breathing difficulties",
    "ftg": "fatigue", "mp": "muscle pain", "loss_of_smell": "loss of smell", "diarrhoea": "diarrhea",
}  # fmt: skip
COMORBIDITIES = {
    "asthma": "asthma", "cld": "chronic lung disease", "pneumonia": "pneumonia", "ht": "hypertension",
    "ihd": "ischemic heart disease", "diabetes": "diabetes",
}  # fmt: skip
# Task -> metadata column and its classes; what is not among them takes no part.
TASKS = {"T8": ("smoker", {"no": "0", "yes": "1"}), "T9": ("sex", {"Male": "0", "Female": "1"})}


@dataclass(frozen=True)
class _User:
    """One row of the table; `reason` is why the user takes no part, or ""."""

    id: str
    metadata: dict[str, Any]
    reason: str


@register_reader
class CoswaraReader(ReleaseReader):
    """One shallow cough per user."""

    corpus = Corpus(
        name=DATASET,
        title="Coswara",
        sound="cough, recorded by the users at home",
        licence="CC BY 4.0",
        access="open: https://github.com/iiscleap/Coswara-Data",
        layout=(
            "combined_data.csv",
            "annotations/cough-shallow_labels.csv and cough-heavy_labels.csv",
            "Extracted_data/<date>/<uuid>/cough-shallow.wav",
        ),
        labels={"smoker": {"yes": 201, "no": 747}, "sex": {"Female": 759, "Male": 1737}},
    )

    def list_recordings(self, root: Path, options: Options, warnings: list[str]) -> Iterator[Candidate]:
        """See :class:`acula_edge.data.release.ReleaseReader`."""
        users, folder = read_users(root), find_audio(root)
        audio = list_coughs(folder)
        for user in users:
            recording = f"{user.id}_{SOUND}"
            path = audio.pop(user.id, folder / user.id / f"{SOUND}.wav")
            if user.reason:
                yield Candidate(recording, path, reason=user.reason)
                continue
            yield Candidate(
                recording=recording,
                path=path,
                person=user.id,
                stratum=user.metadata["sex"] or "",
                metadata=user.metadata,
            )
        if audio:
            warnings.append(
                f"{DATASET}: {len(audio)} audio files are of users who are not in combined_data.csv and are left out"
            )

    def published(self, root: Path, recordings: Sequence[Recording], options: Options) -> PublishedSplit | None:
        """Per task: a fifth of the users with an answer is test, a fifth of the others validation; scikit-learn.

        Stratified by the task's label, seed 1337: first in the order of ``combined_data.csv``, then in the order in
        which the first draw leaves the others. The table of the release has grown over time, and nothing here says
        which of its states the published figures rest on, so the partition is not known to be the published one.
        """
        users = [user for user in read_users(root) if not user.reason]
        splits: dict[str, dict[str, str]] = {}
        present = {recording.subject: recording.key for recording in recordings}
        for task, (column, classes) in TASKS.items():
            labels = {u.id: classes[u.metadata[column]] for u in users if u.metadata[column] in classes}
            side_of = divide(labels, seed=1337, test=0.2, val=0.2)
            if side_of is None:
                return None
            for user, side in side_of.items():
                if (key := present.get(f"{DATASET}/{user}")) is not None:
                    splits.setdefault(key, {})[task] = side
        return PublishedSplit(
            splits=splits,
            source="published rule: 20 % of the users, then 20 % of the others, by label, seed 1337",
            exact=False,
            by_person=False,
        )


def find_audio(root: Path) -> Path:
    """The folder that holds a folder per date."""
    return find_entry(root, "Extracted_data") or root


def list_coughs(folder: Path) -> dict[str, Path]:
    """The shallow cough of each user.

    Raises:
        ManifestError: a user has two.
    """
    found: dict[str, Path] = {}
    for person in sorted(path for date in folder.iterdir() if date.is_dir() for path in date.iterdir()):
        path = name_audio(person).get(SOUND)
        if path is None:
            continue
        if (first := found.setdefault(person.name, path)) is not path:
            raise ManifestError(
                f"there are two shallow coughs of {person.name}", given=f"{first}, {path}", remedy="remove one of them"
            )
    return found


def read_users(root: Path) -> list[_User]:
    """The users in the table's order.

    Raises:
        ManifestError: a table is absent or wrong.
    """
    table = require_file(CoswaraReader.corpus, "combined_data", ".csv", root)
    qualities = {modality: read_qualities(root, modality) for modality in MODALITIES}
    users: dict[str, _User] = {}
    for user, (number, row) in read_keyed(table, "id", ("g", "smoker"), "user").items():
        metadata = {
            "sound": SOUND,
            "smoker": require_label(row["smoker"], SMOKER, table, number, "smoker"),
            "sex": require_label(row["g"], SEX, table, number, "g"),
            "age": read_number(row.get("a"), 130),
            "covid_status": clean(row.get("covid_status")),
            "symptoms": _ticked(row, SYMPTOMS),
            "comorbidities": _ticked(row, COMORBIDITIES),
            "quality": read_number(qualities[SOUND].get(user), 9),
        }
        reasons = [_objection(user, modality, qualities[modality]) for modality in MODALITIES]
        users[user] = _User(user, metadata, next(filter(None, reasons), ""))
    return list(users.values())


def read_qualities(root: Path, modality: str) -> dict[str, str]:
    """Quality of each user's recording of a modality, as the annotation has it.

    Raises:
        ManifestError: there is no annotation, or it contradicts itself.
    """
    folder = find_entry(root, "annotations") or root
    file = find_entry(folder, f"{modality}_labels", suffix=".csv")
    if file is None:
        raise ManifestError(f"{root} has no annotations/{modality}_labels.csv", remedy="copy it from the release")
    found: dict[str, str] = {}
    for number, (name, quality, *_) in read_cells(file, 2)[1:]:
        user = name.removesuffix(f"_{modality}")
        if user in ("", name):
            raise ManifestError(f"{file}, row {number}: names no {modality}", allowed=f"<uuid>_{modality}")
        if found.setdefault(user, quality) != quality:
            raise ManifestError(f"{file}, row {number}: {name} is listed twice, of different quality")
    return found


def _objection(user: str, modality: str, qualities: Mapping[str, str]) -> str:
    """Why a user's recording of a modality does not pass; "" if it does."""
    if modality in DROPPED.get(user, ()):
        return f"{modality} of this user is missing or broken in the release"
    if user not in qualities:
        return f"{modality} has no annotation"
    return f"{modality} is annotated as bad" if qualities[user] == BAD else ""


def _ticked(row: Mapping[str, str], columns: Mapping[str, str]) -> str | None:
    named = [text for column, text in columns.items() if row.get(column, "").strip().casefold() in ("true", "y")]
    return ", ".join(named) or None


# Smoking and sex in Coswara (SPEC section 2.3, T8 and T9).
_RULE = "20 % of the users are test, then 20 % of the others validation, stratified by this task's label, seed 1337"

Task(
    id="T8",
    name="Smoker, cough (Coswara)",
    dataset="coswara",
    sound="cough-shallow",
    target=labels("smoker", {"yes": 1, "no": 0}),
    target_text="self-reported smoker yes = 1, no = 0, no answer dropped",
    labels=("non-smoker", "smoker"),
    window="at least 8 s",
    published=True,
    published_probe=PublishedProbe(batch_size=32),
    published_split=PublishedSplitFacts(_RULE, (477, 129), (120, 32), (150, 40)),
).register()
Task(
    id="T9",
    name="Sex, cough (Coswara)",
    dataset="coswara",
    sound="cough-shallow",
    target=labels("sex", {"Female": 1, "Male": 0}),
    target_text="self-reported female = 1, male = 0, others dropped",
    labels=("male", "female"),
    window="at least 8 s",
    published=True,
    published_probe=PublishedProbe(batch_size=32),
    published_split=PublishedSplitFacts(_RULE, (1111, 485), (278, 122), (348, 152)),
).register()
