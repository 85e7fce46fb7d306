"""MMLung (University of Southampton): deep breath and a held "o" on a phone, lung function by spirometry.

``Trimmed Data from phone/9_3_deepbreath/<i>_deepbreaths.wav`` and ``.../5_2_O_single/<i>_vowelo.wav``. Spirometry is in
``spirometry_ground_truth/<i>_*.xls``, first sheet, cells B23 (FVC, liters), B24 (FEV1, liters) and B25 (FEV1/FVC, a
fraction), and in the index file ``All_path.xlsx``, which serves where the sheets are absent.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

from acula_edge.data.reader import Corpus, Options, register_reader
from acula_edge.data.release import Candidate, ReleaseReader, find_entry, name_audio
from acula_edge.data.workbook import read_xls_column, read_xlsx
from acula_edge.errors import ManifestError
from acula_edge.probe.tasks import PublishedProbe, PublishedSplitFacts, Task, number

DATASET = "mmlung"
SOUNDS = {"deep breath": ("9_3_deepbreath", "deepbreaths"), "vowel o": ("5_2_O_single", "vowelo")}
# What a spirometer can have measured: column in the index file, cell's row, metadata column, range.
_VALUES = (
    ("FVC", 23, "fvc_l", 0.2, 12.0),
    ("FEV1", 24, "fev1_l", 0.1, 10.0),
    ("FEV1/FVC", 25, "fev1_fvc", 0.1, 1.0),
)
_FILE_COLUMNS = ("Spirometry_file", "Deep_Breath_file", "O_Single_file")
_COLUMN = 1
ROUNDING = 0.006
"""By how much a sheet and the index file may differ: one of them may be rounded to two decimals."""


@dataclass(frozen=True)
class Spirometry:
    """One subject's lung function, by metadata column, and the file that states it."""

    values: dict[str, float]
    file: Path


@register_reader
class MMLungReader(ReleaseReader):
    """Two recordings per subject, one of each sound."""

    corpus = Corpus(
        name=DATASET,
        title="MMLung",
        sound="deep breath and the vowel o, phone",
        licence="custom: research, education and evaluation, with credit to the University of Southampton",
        access="on request: https://github.com/MohammedMosuily/mmlung",
        layout=(
            "Trimmed Data from phone/9_3_deepbreath/<i>_deepbreaths.wav",
            "Trimmed Data from phone/5_2_O_single/<i>_vowelo.wav",
            "spirometry_ground_truth/<i>_*.xls, or All_path.xlsx",
        ),
        recordings=80,
        subjects=40,
        test_only=True,
    )

    def list_recordings(self, root: Path, options: Options, warnings: list[str]) -> Iterator[Candidate]:
        """See :class:`acula_edge.data.release.ReleaseReader`."""
        spirometry = read_spirometry(root)
        phone = find_entry(root, "Trimmed Data from phone") or root
        for sound, (folder_name, ending) in SOUNDS.items():
            folder = find_entry(phone, folder_name)
            if folder is None:
                raise ManifestError(f"{phone} has no folder {folder_name}", allowed=self.corpus.layout)
            audio = name_audio(folder)
            for subject, found in spirometry.items():
                recording = f"{subject}_{ending}"
                path = audio.pop(recording, folder / f"{recording}.wav")
                yield Candidate(
                    recording=recording,
                    path=path,
                    person=subject,
                    metadata={"sound": sound, **found.values},
                )
            for name, path in audio.items():
                if not name.endswith(f"_{ending}"):
                    raise ManifestError(f"{path} is not named like a recording of MMLung", allowed=f"<i>_{ending}.wav")
                yield Candidate(name, path, reason="its subject has no spirometry")


def read_spirometry(root: Path) -> dict[str, Spirometry]:
    """Lung function by subject, in order of the subjects' ids.

    Raises:
        ManifestError: there is none, a value is missing or impossible, or the sheets and the index file disagree.
    """
    sheets = _read_sheets(find_entry(root, "spirometry_ground_truth"))
    index = find_entry(root, "All_path", suffix=".xlsx")
    indexed = _read_index(index) if index is not None else {}
    for subject, sheet in sheets.items():
        other = indexed.get(subject)
        if other is None:
            continue
        for name, _, column, _, _ in _VALUES:
            if abs(sheet.values[column] - other.values[column]) > ROUNDING:
                raise ManifestError(
                    f"{sheet.file} and {other.file} disagree on {name} of subject {subject}",
                    remedy="find out which of them is right and mend the other",
                )
    found = {**indexed, **sheets}
    if not found:
        raise ManifestError(
            f"{root} has no spirometry",
            allowed="spirometry_ground_truth/<i>_*.xls, or All_path.xlsx",
            remedy="give the folder that holds them",
        )
    return dict(sorted(found.items(), key=lambda item: (len(item[0]), item[0])))


def _read_sheets(folder: Path | None) -> dict[str, Spirometry]:
    found: dict[str, Spirometry] = {}
    for path in sorted(folder.iterdir()) if folder is not None else ():
        if path.suffix.casefold() != ".xls" or path.name.startswith((".", "~")):
            continue
        subject = _subject(path.stem)
        if subject in found:
            raise ManifestError(f"{found[subject].file} and {path} are both of subject {subject}")
        cells = read_xls_column(path, _COLUMN, last_row=max(row for _, row, *_ in _VALUES))
        values = {}
        for name, row, column, low, high in _VALUES:
            values[column] = _number(cells[row - 1], f"{path}, cell B{row}", name, low, high)
        found[subject] = Spirometry(values, path)
    return found


def _read_index(path: Path) -> dict[str, Spirometry]:
    rows = read_xlsx(path)
    header = [str(cell).strip() if cell is not None else "" for cell in rows[0][1]] if rows else []
    needed = [name for name, *_ in _VALUES]
    named_by = [name for name in _FILE_COLUMNS if name in header]
    if missing := [name for name in needed if name not in header]:
        raise ManifestError(f"{path} lacks columns", allowed=f"needed as well: {', '.join(missing)}")
    if not named_by:
        raise ManifestError(f"{path} lacks columns", allowed=f"one of {', '.join(_FILE_COLUMNS)}")
    found: dict[str, Spirometry] = {}
    for row_number, cells in rows[1:]:
        row = dict(zip(header, cells, strict=False))
        files = [str(row[name]) for name in named_by if row.get(name) is not None]
        if not files:
            if any(row.get(name) is not None for name in needed):
                raise ManifestError(f"{path}, row {row_number}: names no file")
            continue
        subjects = {_subject(PureWindowsPath(file).stem) for file in files}
        if len(subjects) > 1:
            raise ManifestError(
                f"{path}, row {row_number}: names files of more than one subject", given=sorted(subjects)
            )
        subject = subjects.pop()
        if subject in found:
            raise ManifestError(f"{path}, row {row_number}: the subject {subject} is listed twice")
        values = {
            column: _number(row[name], f"{path}, row {row_number}, column {name}", name, low, high)
            for name, _, column, low, high in _VALUES
        }
        found[subject] = Spirometry(values, path)
    return found


def _subject(stem: str) -> str:
    """``7_deepbreaths`` -> ``7``."""
    return stem.partition("_")[0].strip().casefold()


def _number(cell: Any, where: str, name: str, low: float, high: float) -> float:
    """A measured value; spirometers mark some with an asterisk."""
    try:
        value = math.nan if cell is None or isinstance(cell, bool) else float(str(cell).replace("*", "").strip())
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise ManifestError(
            f"{where} holds no {name}", given="no number" if math.isnan(value) else "a number out of range",
            allowed=f"{low:g} to {high:g}" + ("" if "/" in name else " liters"),
            remedy="mend the cell; FEV1/FVC is a fraction",
        )  # fmt: skip
    return value


# Lung function from breath and voice in MMLung (SPEC sections 2.2 and 2.3, T13 to T18).
_SOUNDS = (("deep breath", "T13", "T14", "T15"), ("vowel o", "T16", "T17", "T18"))
_TARGETS = (
    ("FVC", "fvc_l", "L", "forced vital capacity in liters, by spirometry"),
    ("FEV1", "fev1_l", "L", "forced expiratory volume in the first second in liters, by spirometry"),
    ("FEV1/FVC", "fev1_fvc", "", "FEV1 / FVC, a fraction, by spirometry"),
)

for sound, *ids in _SOUNDS:
    for name, (title, column, unit, text) in zip(ids, _TARGETS, strict=True):
        Task(
            id=name,
            name=f"{title}, {sound} (MMLung)",
            dataset="mmlung",
            sound=sound,
            target=number(column, where={"sound": sound}),
            target_text=text,
            metric="mae",
            kind="regression",
            unit=unit,
            evaluation="leave-one-subject-out",
            window="windows of 5 s, or 20 s (OPERA-CT)",
            published=True,
            # Patience counts epochs; only what is kept waits for every third.
            published_probe=PublishedProbe(batch_size=64, validate_every=3, patience=5, val_fraction=0.11),
            published_split=PublishedSplitFacts("one of 40 subjects is held out at a time"),
            note="with 40 subjects, differences of a few hundredths between encoders are mostly noise",
        ).register()
