"""BMD-HS: eight recordings per patient, several diseases at once, patients whose diseases are not stated."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from acula_edge.corpora.bmdhs import spell_diagnoses
from acula_edge.data.leaks import find_leaks
from acula_edge.data.reader import ReadResult, readers
from acula_edge.data.splits import assign_splits
from acula_edge.errors import ManifestError
from acula_edge.probe.tasks import tasks
from acula_edge.recipe import SplitConfig

READER = readers["bmdhs"]
FLAGS = ("aortic_stenosis", "aortic_regurgitation", "mitral_regurgitation", "mitral_stenosis", "normal")
Rows = list[list[str]]


@pytest.fixture(scope="module")
def release(make_miniature) -> Path:
    return make_miniature("bmdhs")


@pytest.fixture(scope="module")
def found(release: Path) -> ReadResult:
    return READER.read(release, {})


@pytest.fixture
def copy(release: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(release, tmp_path / "copy"))


def edit(root: Path, change: Callable[[Rows], object]) -> None:
    """Change the table's rows in place; row n of the file is item n - 1."""
    file = root / "train.csv"
    with open(file, encoding="utf-8-sig", newline="") as text:
        rows = list(csv.reader(text))
    change(rows)
    with open(file, "w", encoding="utf-8", newline="") as text:
        csv.writer(text).writerows(rows)


def put(row: int, column: int, value: str) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        rows[row - 1][column] = value

    return change


def test_recordings_inherit_their_patient_s_diseases(release: Path, found: ReadResult) -> None:
    with open(release / "train.csv", encoding="utf-8-sig", newline="") as text:
        rows = {row["patient_id"]: row for row in csv.DictReader(text)}
    assert len({r.subject for r in found.recordings}) == 19 and len(found.recordings) == 19 * 8 - 1
    for recording in found.recordings:
        row = rows[recording.subject.partition("/")[2]]
        assert recording.recording in row.values()
        assert [recording.metadata[name] for name in FLAGS] == [int(row[n]) for n in ("AS", "AR", "MR", "MS", "N")]
        assert recording.stratum == recording.recording.partition("_")[0]
        assert recording.metadata["sex"] in ("Female", "Male") and "-" in recording.metadata["age"]
    assert Counter(r.metadata["position"] for r in found.recordings)["supine"] == 76
    assert {r.metadata["location"] for r in found.recordings} == {"mitral", "tricuspid", "pulmonary", "aortic"}
    assert sum(r.path.endswith(".WAV") for r in found.recordings) == 8


def test_what_is_absent_or_not_stated_is_set_aside(found: ReadResult) -> None:
    reasons = Counter(entry.reason[:14] for entry in found.set_aside)
    assert reasons == {"there is no re": 1, "the table does": 8}
    assert all("/MD_020_" in entry.recording for entry in found.set_aside if entry.reason.startswith("the table"))
    assert len(found.warnings) == 1 and "160" in found.warnings[0] and "864" in found.warnings[0]


def test_persons_are_kept_together_and_the_task_finds_both_classes(release: Path, found: ReadResult) -> None:
    assert READER.published(release, found.recordings, {}) is None
    assigned = assign_splits(found.recordings, SplitConfig())
    assert find_leaks(assigned) == []
    assert {tasks["B1"].value(recording) for recording in assigned} == {0.0, 1.0}


def test_without_the_table_the_names_are_read(copy: Path, found: ReadResult) -> None:
    (copy / "train.csv").unlink()
    result = READER.read(copy, {})
    assert len(result.recordings) == 20 * 8 - 1 and len({r.subject for r in result.recordings}) == 20
    one = {r.recording: r for r in result.recordings}
    for recording in found.recordings:
        dx, number = recording.recording.split("_")[:2]
        other = one[recording.recording]
        assert other.subject == f"bmdhs/{dx}_{number}" and other.metadata["normal"] == recording.metadata["normal"]
        told = recording.metadata["diagnoses"] if dx != "MD" else None
        assert other.metadata["diagnoses"] == told


def test_diseases_are_spelled_out() -> None:
    flags = dict.fromkeys(FLAGS, 0)
    assert spell_diagnoses("N", flags | {"normal": 1}) == "Normal"
    assert spell_diagnoses("MS", flags | {"mitral_stenosis": 1}) == "Mitral stenosis"
    both = flags | {"aortic_stenosis": 1, "mitral_regurgitation": 1}
    assert spell_diagnoses("MD", both) == "Aortic stenosis + mitral regurgitation"
    assert spell_diagnoses("MD", dict.fromkeys(FLAGS)) is None


def test_files_that_cannot_be_read_or_are_not_listed(copy: Path, found: ReadResult) -> None:
    name = found.recordings[20].recording
    (copy / "train" / f"{name}.wav").write_bytes(b"RIFF")
    shutil.copy(copy / "train" / f"{found.recordings[21].recording}.wav", copy / "train" / "MS_300_sup_Mit.wav")
    result = READER.read(copy, {})
    assert f"bmdhs/{name}" in {entry.recording for entry in result.set_aside}
    assert "1 audio files are not in" in result.warnings[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put(1, 1, "Stenosis"), "lacks columns"),
        (put(3, 1, "2"), r"train\.csv, row 3: the column 'AS' holds no known label"),
        (put(3, 0, " "), "row 3: there is no patient id"),
        (put(3, 6, "sit"), "row 3: sit is not named like a recording of BMD-HS"),
        (lambda rows: rows.append(rows[2]), "row 22, column .*: the recording .* is listed twice"),
        (lambda rows: rows[2].__setitem__(slice(1, 6), "00000"), "row 3: the columns .* contradict each other"),
        (lambda rows: rows[2].__setitem__(slice(1, 6), "10001"), "row 3: the columns .* contradict each other"),
        (lambda rows: rows[2].pop(), "row 3: has another number of cells"),
    ],
)
def test_a_table_that_is_wrong_is_an_error(copy: Path, change: Callable[[Rows], object], message: str) -> None:
    edit(copy, change)
    with pytest.raises(ManifestError, match=message):
        READER.read(copy, {})


def test_a_name_against_its_row_is_an_error(copy: Path) -> None:
    def heal(rows: Rows) -> None:
        sick = next(row for row in rows[1:] if row[5] == "0")
        sick[1:6] = "00001"

    edit(copy, heal)
    with pytest.raises(ManifestError, match="and the column N contradict each other"):
        READER.read(copy, {})


def test_another_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="holds no BMD-HS recording"):
        READER.read(tmp_path, {})
    (tmp_path / "heart.wav").write_bytes(b"")
    with pytest.raises(ManifestError, match="not named like a recording of BMD-HS"):
        READER.read(tmp_path, {})
