"""RespiratoryDatabase@TR: grades by patient, and the very partition that published figures rest on."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from acula_edge.data.leaks import find_leaks
from acula_edge.data.reader import ReadResult, readers
from acula_edge.data.splits import assign_splits
from acula_edge.errors import ManifestError, RecipeError
from acula_edge.recipe import SplitConfig

# SPEC section 2.3: what the release's Labels.csv gives.
TESTED = ["H003", "H012", "H018", "H022", "H023", "H026", "H034", "H039", "H050"]
VALIDATED = ["H007", "H015", "H024", "H028", "H032", "H037", "H045"]
READER = readers["respiratory_tr"]


@pytest.fixture(scope="module")
def release(make_miniature) -> Path:
    return make_miniature("respiratory_tr")


@pytest.fixture(scope="module")
def found(release: Path) -> ReadResult:
    return READER.read(release, {})


@pytest.fixture
def copy(release: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(release, tmp_path / "copy"))


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8-sig")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8-sig")


def test_all_patients_and_grades_are_read(found: ReadResult) -> None:
    assert (len(found.recordings), len(found.set_aside)) == (168, 0)
    grades = {recording.subject: recording.metadata["severity"] for recording in found.recordings}
    assert Counter(grades.values()) == {"COPD0": 6, "COPD1": 5, "COPD2": 7, "COPD3": 7, "COPD4": 17}
    assert grades["respiratory_tr/H016"] == "COPD0" and grades["respiratory_tr/H018"] == "COPD2"
    one = next(recording for recording in found.recordings if recording.recording == "H004_R2")
    assert one.path.endswith("H004_R2.WAV") and one.sample_rate_hz == 4000
    assert one.metadata == {"sound": "lung", "severity": "COPD4", "channel": "R2"} and one.stratum == "COPD4"


def test_other_counts_than_the_release_s_are_one_warning(found: ReadResult) -> None:
    assert len(found.warnings) == 1 and "168" in found.warnings[0] and "504" in found.warnings[0]


def test_the_corpus_agrees_with_the_counts_of_the_published_sets() -> None:
    corpus = READER.corpus
    assert corpus is not None and sum(corpus.labels["severity"].values()) == corpus.recordings == 504


def test_the_published_partition_is_reproduced(release: Path, found: ReadResult) -> None:
    published = READER.published(release, found.recordings, {})
    assert published is not None and published.exact and published.by_person
    sides = {recording.subject[-4:]: published.splits[recording.key]["*"] for recording in found.recordings}
    assert sorted(patient for patient, side in sides.items() if side == "test") == TESTED
    assert sorted(patient for patient, side in sides.items() if side == "val") == VALIDATED
    # Four of twelve channels: a third of 312, 84 and 108.
    assert Counter(split["*"] for split in published.splits.values()) == {"train": 104, "val": 28, "test": 36}


def test_the_clean_rule_keeps_it(release: Path, found: ReadResult) -> None:
    published = READER.published(release, found.recordings, {})
    assert published is not None
    assigned = assign_splits(found.recordings, SplitConfig(), {"respiratory_tr": published})
    assert find_leaks(assigned) == []
    assert {r.key: r.split for r in assigned} == {key: split["*"] for key, split in published.splits.items()}


def test_the_partition_rests_on_the_label_file_not_on_the_audio(copy: Path, found: ReadResult) -> None:
    for path in (copy / "RespiratoryDatabase@TR").glob("H00[2-5]_*"):
        path.unlink()
    result = READER.read(copy, {})
    assert {entry.recording for entry in result.set_aside} == {f"respiratory_tr/H00{n}" for n in range(2, 6)}
    assert all("no audio" in entry.reason for entry in result.set_aside)
    whole, part = (READER.published(copy, r.recordings, {}) for r in (found, result))
    assert whole is not None and part is not None and part.exact
    assert part.splits == {key: split for key, split in whole.splits.items() if key in part.splits}
    assert len(part.splits) == 152


def test_fewer_patients_give_a_partition_that_is_not_the_published_one(copy: Path) -> None:
    change(copy / "Labels.csv", "H050,COPD0,\n", "")
    for path in (copy / "RespiratoryDatabase@TR").glob("H050_*"):
        path.unlink()
    published = READER.published(copy, READER.read(copy, {}).recordings, {})
    assert published is not None and not published.exact


def test_labels_are_found_beside_the_audio_too(copy: Path) -> None:
    shutil.move(copy / "Labels.csv", copy / "RespiratoryDatabase@TR" / "labels.CSV")
    assert len(READER.read(copy / "RespiratoryDatabase@TR", {}).recordings) == 168
    assert len(READER.read(copy, {}).recordings) == 168


def test_files_that_cannot_be_read_are_set_aside(copy: Path) -> None:
    (copy / "RespiratoryDatabase@TR" / "H002_L1.wav").write_text("this is no audio")
    result = READER.read(copy, {})
    assert [entry.recording for entry in result.set_aside] == ["respiratory_tr/H002_L1"]
    assert len(result.recordings) == 167


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Diagnosis", "Severity", "lacks columns"),
        ("H003,COPD4", "H003,COPD5", r"Labels\.csv, row 3: the column 'Diagnosis' holds no known label"),
        ("H003,COPD4", "H003,", "row 3.*no known label"),
        ("H003,COPD4", "H002,COPD4", "row 3: the patient H002 is listed twice"),
        ("H003,COPD4", ",COPD4", "row 3: the column 'Patient ID' is empty"),
        ("H003,COPD4,\n", "", r"H003_L1\.wav: the label file .*Labels\.csv has no patient H003"),
    ],
)
def test_a_label_file_that_is_wrong_is_an_error(copy: Path, old: str, new: str, message: str) -> None:
    change(copy / "Labels.csv", old, new)
    with pytest.raises(ManifestError, match=message) as error:
        READER.read(copy, {})
    assert "COPD5" not in str(error.value)


def test_a_recording_that_is_there_twice_is_an_error(copy: Path) -> None:
    folder = copy / "RespiratoryDatabase@TR"
    shutil.copy(folder / "H002_L1.wav", folder / "H002_l1.WAV")
    with pytest.raises(ManifestError, match="two files .* have one name"):
        READER.read(copy, {})


def test_another_folder_is_an_error(copy: Path, tmp_path: Path) -> None:
    (copy / "RespiratoryDatabase@TR" / "cough.wav").write_bytes(b"")
    with pytest.raises(ManifestError, match="not named like a recording of RespiratoryDatabase@TR"):
        READER.read(copy, {})
    (copy / "Labels.csv").unlink()
    with pytest.raises(ManifestError, match=r"no Labels\.csv"):
        READER.read(copy, {})
    with pytest.raises(ManifestError, match="there is no folder"):
        READER.read(tmp_path / "nowhere", {})
    with pytest.raises(RecipeError, match="no option"):
        READER.read(copy, {"channels": 4})
