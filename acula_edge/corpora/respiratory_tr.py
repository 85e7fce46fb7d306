"""RespiratoryDatabase@TR (Mendeley ``p9z4h98s6j`` v1): lung sounds of twelve channels, severity of COPD.

``RespiratoryDatabase@TR/<Hnnn>_<L1-6|R1-6>.wav``, and ``Labels.csv`` (Patient ID, Diagnosis) beside or in that folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from acula_edge.data.manifest import Recording
from acula_edge.data.reader import Corpus, Options, PublishedSplit, register_reader
from acula_edge.data.release import Candidate, ReleaseReader, divide, find_entry, name_audio, parse_name, require_file
from acula_edge.data.release_tables import read_keyed, require_label
from acula_edge.errors import ManifestError
from acula_edge.probe.tasks import PublishedProbe, PublishedSplitFacts, Task, labels

DATASET = "respiratory_tr"
PATIENTS = 42
CHANNELS = tuple(f"{side}{number}" for side in "LR" for number in range(1, 7))
GRADES = tuple(f"COPD{grade}" for grade in range(5))
_NAME = re.compile(r"(?P<patient>h\d+)_(?P<channel>[lr][1-6])")


@register_reader
class RespiratoryTRReader(ReleaseReader):
    """One recording per patient and channel; each channel inherits the patient's severity."""

    corpus = Corpus(
        name=DATASET,
        title="RespiratoryDatabase@TR",
        sound="lung, twelve channels of a digital stethoscope",
        licence="CC BY 4.0",
        access="open: https://data.mendeley.com/datasets/p9z4h98s6j/1 (doi 10.17632/p9z4h98s6j.1)",
        layout=("Labels.csv", "RespiratoryDatabase@TR/<Hnnn>_<L1-6|R1-6>.wav"),
        recordings=PATIENTS * len(CHANNELS),
        subjects=PATIENTS,
        labels={"severity": {"COPD0": 72, "COPD1": 60, "COPD2": 84, "COPD3": 84, "COPD4": 204}},
    )

    def list_recordings(self, root: Path, options: Options, warnings: list[str]) -> Iterator[Candidate]:
        """See :class:`acula_edge.data.release.ReleaseReader`."""
        severities = read_severities(root)
        folder = find_audio(root)
        heard = set()
        for name, path in name_audio(folder).items():
            match = parse_name(self.corpus, _NAME, name, path)
            patient, channel = match["patient"].upper(), match["channel"].upper()
            if patient not in severities:
                raise ManifestError(f"{path}: the label file {find_labels(root)} has no patient {patient}")
            heard.add(patient)
            recording = f"{patient}_{channel}"
            yield Candidate(
                recording=recording,
                path=path,
                person=patient,
                stratum=severities[patient],
                metadata={"sound": "lung", "severity": severities[patient], "channel": channel},
            )
        for patient in severities:
            if patient not in heard:
                path = folder / f"{patient}_L1.wav"
                yield Candidate(patient, path, reason=f"there is no audio of {patient}")

    def published(self, root: Path, recordings: Sequence[Recording], options: Options) -> PublishedSplit | None:
        """Patients in the label file's order, stratified by severity; scikit-learn, seed 1337.

        On the release's own ``Labels.csv`` this gives the very patients that OPERA tests and validates on.
        """
        severities = read_severities(root)
        side_of = divide(severities, seed=1337, test=0.2, val=0.2)
        if side_of is None:
            return None
        return PublishedSplit(
            splits={r.key: {"*": side_of[r.subject.partition("/")[2]]} for r in recordings},
            source="published rule: 20 % of the patients, then 20 % of the others, seed 1337",
            exact=len(severities) == PATIENTS,
            by_person=True,
        )


def find_audio(root: Path) -> Path:
    """The folder that holds the audio."""
    return find_entry(root, "RespiratoryDatabase@TR") or root


def find_labels(root: Path) -> Path:
    """The label file."""
    return require_file(RespiratoryTRReader.corpus, "Labels", ".csv", root, find_audio(root))


def read_severities(root: Path) -> dict[str, str]:
    """Severity of each patient, in the label file's order."""
    file = find_labels(root)
    return {
        patient.upper(): require_label(row["Diagnosis"], GRADES, file, number, "Diagnosis")
        for patient, (number, row) in read_keyed(file, "Patient ID", ["Diagnosis"], "patient").items()
    }


# Severity of COPD in RespiratoryDatabase@TR (SPEC section 2.3, T11).

Task(
    id="T11",
    name="COPD severity, lung (Respiratory@TR)",
    dataset="respiratory_tr",
    sound="lung",
    target=labels("severity", {grade: index for index, grade in enumerate(GRADES)}),
    target_text="severity COPD0 to COPD4; each channel inherits the patient's",
    kind="multiclass",
    labels=GRADES,
    window="at least 8 s",
    published=True,
    published_probe=PublishedProbe(batch_size=32),
    published_split=PublishedSplitFacts(
        "20 % of the patients are test, then 20 % of the others validation, stratified by severity, seed 1337",
        (48, 36, 60, 48, 120),
        (12, 12, 12, 12, 36),
        (12, 12, 12, 24, 48),
    ),
).register()
