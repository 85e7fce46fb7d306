"""MMLung: two sounds per subject, and spirometry from old sheets, from the index file, or from both."""

from __future__ import annotations

import shutil
from pathlib import Path

import openpyxl
import pytest
import xlrd

from acula_edge.corpora.mmlung_miniature import write_xls
from acula_edge.data.reader import ReadResult, readers
from acula_edge.data.splits import assign_splits
from acula_edge.errors import ManifestError
from acula_edge.recipe import SplitConfig

READER = readers["mmlung"]


@pytest.fixture(scope="module")
def release(make_miniature) -> Path:
    return make_miniature("mmlung")


@pytest.fixture(scope="module")
def found(release: Path) -> ReadResult:
    return READER.read(release, {})


@pytest.fixture
def copy(release: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(release, tmp_path / "copy"))


def write_sheet(root: Path, subject: int, fvc: str | float, fev1: str | float, ratio: str | float) -> None:
    cells: dict[tuple[int, int], str | float] = {(22, 1): fvc, (23, 1): fev1, (24, 1): ratio}
    write_xls(root / "spirometry_ground_truth" / f"{subject}_spiro.xls", cells)


def edit_index(root: Path, row: int, column: int, value: object) -> None:
    book = openpyxl.load_workbook(root / "All_path.xlsx")
    book.worksheets[0].cell(row, column).value = value
    book.save(root / "All_path.xlsx")


def without_sheets(root: Path) -> Path:
    shutil.rmtree(root / "spirometry_ground_truth")
    return root


def test_two_sounds_of_forty_subjects_are_read(found: ReadResult) -> None:
    assert len(found.recordings) == 79 and len({r.subject for r in found.recordings}) == 40
    assert [entry.recording for entry in found.set_aside] == ["mmlung/33_vowelo"]
    assert "there is no recording" in found.set_aside[0].reason and not found.warnings
    sounds = {r.recording.partition("_")[2]: r.metadata["sound"] for r in found.recordings}
    assert sounds == {"deepbreaths": "deep breath", "vowelo": "vowel o"}
    assert next(r.path for r in found.recordings if r.recording == "7_deepbreaths").endswith(".WAV")


def test_both_sounds_of_a_subject_have_its_lung_function(release: Path, found: ReadResult) -> None:
    sheet = xlrd.open_workbook(str(release / "spirometry_ground_truth" / "5_spiro.xls")).sheet_by_index(0)
    assert str(sheet.cell_value(23, 1)).endswith("*")
    facts = {r.recording: r.metadata for r in found.recordings}
    assert facts["5_deepbreaths"]["fev1_l"] == float(sheet.cell_value(23, 1).rstrip("*"))
    for subject in range(1, 41):
        breath, voice = facts[f"{subject}_deepbreaths"], facts.get(f"{subject}_vowelo")
        assert {type(breath[name]) for name in ("fvc_l", "fev1_l", "fev1_fvc")} == {float}
        assert breath["fev1_l"] / breath["fvc_l"] == pytest.approx(breath["fev1_fvc"], abs=0.01)
        assert voice is None or {**voice, "sound": "deep breath"} == breath


def test_every_subject_is_tested_on(release: Path, found: ReadResult) -> None:
    assert READER.corpus is not None and READER.corpus.test_only
    published = READER.published(release, found.recordings, {})
    assert published is not None and published.exact and published.by_person
    for rule in ("clean", "published"):
        assigned = assign_splits(found.recordings, SplitConfig(rule=rule), {"mmlung": published})
        assert {r.split for r in assigned} == {"test"}


def test_sheets_and_index_file_say_the_same(copy: Path, found: ReadResult) -> None:
    (copy / "All_path.xlsx").rename(copy / "kept.bin")
    by_sheets = READER.read(copy, {})
    (copy / "kept.bin").rename(copy / "All_path.xlsx")
    by_index = READER.read(without_sheets(copy), {})
    told = [{r.recording: r.metadata for r in result.recordings} for result in (found, by_sheets, by_index)]
    assert told[0] == told[1] == told[2]


def test_the_folder_may_be_spelled_with_underscores(copy: Path) -> None:
    (copy / "Trimmed Data from phone").rename(copy / "Trimmed_Data_from_phone")
    assert len(READER.read(copy, {}).recordings) == 79


def test_sheets_and_index_file_that_disagree_are_an_error(copy: Path) -> None:
    fvc = openpyxl.load_workbook(copy / "All_path.xlsx").worksheets[0].cell(4, 5).value
    edit_index(copy, 4, 5, round(fvc + 0.004, 3))
    READER.read(copy, {})
    edit_index(copy, 4, 5, round(fvc + 0.1, 2))
    with pytest.raises(ManifestError, match=r"3_spiro\.xls and .*All_path\.xlsx disagree on FVC of subject 3") as error:
        READER.read(copy, {})
    assert str(fvc) not in str(error.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("", 2.0, 0.8), r"2_spiro\.xls, cell B23 holds no FVC"),
        ((3.0, "n.a.", 0.8), "cell B24 holds no FEV1"),
        ((3.0, 2.4, 80.0), "cell B25 holds no FEV1/FVC"),
        ((3.0, -2.4, 0.8), "cell B24 holds no FEV1"),
    ],
)
def test_a_sheet_without_a_measured_value_is_an_error(copy: Path, values: tuple, message: str) -> None:
    write_sheet(copy, 2, *values)
    with pytest.raises(ManifestError, match=message) as error:
        READER.read(copy, {})
    assert "n.a." not in str(error.value) and "80.0" not in str(error.value)


def test_a_sheet_that_breaks_off_is_an_error(copy: Path) -> None:
    sheet = copy / "spirometry_ground_truth" / "2_spiro.xls"
    write_xls(sheet, {(0, 0): "FVC"})
    with pytest.raises(ManifestError, match="cell B23 holds no FVC"):
        READER.read(copy, {})
    for damaged in (b"", b"this is no sheet", sheet.read_bytes()[:11]):
        sheet.write_bytes(damaged)
        with pytest.raises(ManifestError, match=r"2_spiro\.xls"):
            READER.read(copy, {})


def test_two_sheets_of_one_subject_are_an_error(copy: Path) -> None:
    folder = copy / "spirometry_ground_truth"
    shutil.copy(folder / "2_spiro.xls", folder / "2_again.XLS")
    with pytest.raises(ManifestError, match="both of subject 2"):
        READER.read(copy, {})


@pytest.mark.parametrize(
    ("row", "column", "value", "message"),
    [
        (1, 5, "Vital capacity", r"All_path\.xlsx lacks columns"),
        (4, 5, None, "row 4, column FVC holds no FVC"),
        (4, 2, "./spirometry_ground_truth/9_spiro.xls", "row 4: names files of more than one subject"),
    ],
)
def test_an_index_file_that_is_wrong_is_an_error(
    copy: Path, row: int, column: int, value: object, message: str
) -> None:
    edit_index(without_sheets(copy), row, column, value)
    with pytest.raises(ManifestError, match=message):
        READER.read(copy, {})


def test_an_index_file_that_lists_a_subject_twice_is_an_error(copy: Path) -> None:
    without_sheets(copy)
    for column in (2, 3, 4):
        name = openpyxl.load_workbook(copy / "All_path.xlsx").worksheets[0].cell(3, column).value
        edit_index(copy, 4, column, name)
    with pytest.raises(ManifestError, match="row 4: the subject 2 is listed twice"):
        READER.read(copy, {})
    (copy / "All_path.xlsx").write_text("this is no workbook")
    with pytest.raises(ManifestError, match="cannot be read"):
        READER.read(copy, {})


def test_audio_that_cannot_serve_is_set_aside(copy: Path) -> None:
    breaths = copy / "Trimmed Data from phone" / "9_3_deepbreath"
    (breaths / "4_deepbreaths.wav").write_bytes(b"RIFF")
    shutil.copy(breaths / "5_deepbreaths.wav", breaths / "77_deepbreaths.wav")
    result = READER.read(copy, {})
    aside = {entry.recording: entry.reason for entry in result.set_aside}
    assert set(aside) == {"mmlung/33_vowelo", "mmlung/4_deepbreaths", "mmlung/77_deepbreaths"}
    assert "no spirometry" in aside["mmlung/77_deepbreaths"]
    shutil.copy(breaths / "5_deepbreaths.wav", breaths / "5_DEEPBREATHS.wav")
    with pytest.raises(ManifestError, match="two files .* have one name"):
        READER.read(copy, {})


def test_another_folder_is_an_error(copy: Path) -> None:
    breaths = copy / "Trimmed Data from phone" / "9_3_deepbreath"
    shutil.copy(breaths / "5_deepbreaths.wav", breaths / "notes.wav")
    with pytest.raises(ManifestError, match="not named like a recording of MMLung"):
        READER.read(copy, {})
    shutil.rmtree(breaths)
    with pytest.raises(ManifestError, match="no folder 9_3_deepbreath"):
        READER.read(copy, {})
    (without_sheets(copy) / "All_path.xlsx").unlink()
    with pytest.raises(ManifestError, match="has no spirometry"):
        READER.read(copy, {})
