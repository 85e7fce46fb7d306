"""ICBHI 2017: diagnoses, annotated breaths, and the challenge's list with a patient on both sides."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from acula_edge.corpora.icbhi import DIAGNOSES, match_names
from acula_edge.data.leaks import count_leaks, find_leaks
from acula_edge.data.reader import PublishedSplit, ReadResult, readers
from acula_edge.data.splits import assign_splits
from acula_edge.errors import ManifestError, RecipeError
from acula_edge.probe.tasks import tasks
from acula_edge.recipe import SplitConfig

READER = readers["icbhi"]
SUBJECTS = 30
AUDIO = "ICBHI_final_database"
DIAGNOSIS = "ICBHI_Challenge_diagnosis.txt"
LIST = "ICBHI_challenge_train_test.txt"
PERSONS = "ICBHI_Challenge_demographic_information.txt"


@pytest.fixture(scope="module")
def release(make_miniature) -> Path:
    return make_miniature("icbhi", subjects=SUBJECTS)


@pytest.fixture(scope="module")
def found(release: Path) -> ReadResult:
    return READER.read(release, {})


@pytest.fixture(scope="module")
def published(release: Path, found: ReadResult) -> PublishedSplit:
    partition = READER.published(release, found.recordings, {})
    assert partition is not None
    return partition


@pytest.fixture
def copy(release: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(release, tmp_path / "copy"))


def rows(root: Path, name: str) -> list[list[str]]:
    return [line.split("\t") for line in (root / name).read_text(encoding="utf-8-sig").splitlines()]


def write(root: Path, name: str, table: list[list[str]]) -> None:
    (root / name).write_text("".join("\t".join(row) + "\n" for row in table), encoding="utf-8")


def change(root: Path, name: str, row: int, column: int, value: str) -> None:
    table = rows(root, name)
    table[row - 1][column] = value
    write(root, name, table)


def test_recordings_and_their_patients_are_read(release: Path, found: ReadResult) -> None:
    diagnoses = dict(rows(release, DIAGNOSIS))
    persons = {row[0]: row for row in rows(release, PERSONS)}
    assert len(diagnoses) == SUBJECTS and len(found.recordings) == len(rows(release, LIST)) - 1
    for recording in found.recordings:
        patient, _, place, mode, device = recording.recording.split("_")
        facts = recording.metadata
        assert recording.subject == f"icbhi/{patient}" and facts["sound"] == "lung"
        assert facts["diagnosis"] == recording.stratum == diagnoses[patient]
        assert (place == "Tc") == (facts["location"] == "trachea")
        assert facts["location"].startswith({"l": "left", "r": "right", "c": "trachea"}[place[1]])
        assert (mode == "mc") == (facts["acquisition_mode"] == "multichannel")
        assert recording.sample_rate_hz == (44100 if device == "AKGC417L" else 4000)
        age, sex = persons[patient][1:3]
        assert facts["sex"] == {"M": "Male", "F": "Female", "NA": None}[sex]
        assert facts["age"] == (None if age == "NA" else float(age))
    assert {r.sample_rate_hz for r in found.recordings} == {4000, 44100}
    assert {"COPD", "Healthy", "URTI"} < set(diagnoses.values()) <= set(DIAGNOSES)


def test_a_recording_crackles_if_any_of_its_breaths_does(release: Path, found: ReadResult) -> None:
    seen = Counter()
    for recording in found.recordings:
        breaths = rows(release / AUDIO, f"{recording.recording}.txt")
        facts = recording.metadata
        assert facts["breaths"] == len(breaths)
        for column, place in (("crackles", 2), ("wheezes", 3)):
            count = sum(int(breath[place]) for breath in breaths)
            assert facts[column] == int(count > 0) and facts[f"breaths_with_{column}"] == count
            seen[column, facts[column]] += 1
    assert len(seen) == 4
    heard = [r.metadata["wheezes"] for r in found.recordings if r.metadata["diagnosis"] == "COPD"]
    assert sum(heard) / len(heard) > 0.6


def test_what_is_listed_but_absent_is_set_aside(found: ReadResult) -> None:
    assert [entry.recording for entry in found.set_aside] == ["icbhi/126_1b1_Al_sc_Meditron"]
    assert "no recording" in found.set_aside[0].reason
    assert sum(r.path.endswith(".WAV") for r in found.recordings) == 1
    assert len(found.warnings) == 1 and "920" in found.warnings[0] and "126" in found.warnings[0]


def test_the_corpus_agrees_with_the_counts_of_the_published_sets() -> None:
    facts, corpus = tasks["T7"].published_split, READER.corpus
    assert facts is not None and corpus is not None
    healthy, copd = (sum(counts) for counts in zip(facts.train, facts.val, facts.test, strict=True))
    assert corpus.labels["diagnosis"] == {"COPD": copd, "Healthy": healthy}


def test_the_challenge_s_list_is_followed(release: Path, found: ReadResult, published: PublishedSplit) -> None:
    assert published.exact and published.by_person
    listed = {name.rpartition("_")[0]: side for name, side in rows(release, LIST)}
    assert set(published.splits) == {r.key for r in found.recordings}
    drawn = Counter()
    for recording in found.recordings:
        side = published.splits[recording.key]["*"]
        official = listed[recording.recording.rpartition("_")[0]]
        assert {"val": "train"}.get(side, side) == official
        if official == "train" and tasks["T7"].value(recording) is not None:
            drawn[recording.stratum, side] += 1
        else:
            assert side == official
    train, val = (sum(n for (_, s), n in drawn.items() if s == side) for side in ("train", "val"))
    assert val in (round(0.2 * (train + val)), round(0.2 * (train + val)) + 1)
    assert set(drawn) == {(label, side) for label in ("COPD", "Healthy") for side in ("train", "val")}


def test_a_name_of_another_device_is_the_same_recording(release: Path, found: ReadResult) -> None:
    listed = {name for name, _ in rows(release, LIST)}
    (renamed,) = (r.recording for r in found.recordings if r.recording not in listed)
    assert renamed.startswith("103_") and renamed.endswith("LittC2SE")
    assert match_names(["1_a_Tc_sc_Meditron"], ["1_a_tc_sc_littc2se"]) == {"1_a_Tc_sc_Meditron": "1_a_tc_sc_littc2se"}
    # Not where it is not clear which one is meant, and not one that is listed itself.
    assert match_names(["1_a_Tc_sc_X"], ["1_a_tc_sc_y", "1_a_tc_sc_z"]) == {}
    assert match_names(["1_a_Tc_sc_X", "1_a_Tc_sc_Y"], ["1_a_tc_sc_y"]) == {"1_a_Tc_sc_Y": "1_a_tc_sc_y"}


def test_the_clean_rule_mends_the_list_s_leak(found: ReadResult, published: PublishedSplit) -> None:
    followed = assign_splits(found.recordings, SplitConfig(rule="published"), {"icbhi": published})
    leaks = {leak.sides: leak.persons for leak in count_leaks(followed)}
    assert leaks["test", "train"] == 1 and leaks["train", "val"] > 0
    mended = assign_splits(found.recordings, SplitConfig(), {"icbhi": published})
    assert find_leaks(mended) == []
    tested = [{r.key for r in assigned if r.split == "test"} for assigned in (followed, mended)]
    assert tested[0] == tested[1]
    (shared,) = {r.subject for r in mended if r.split == "unused"}
    assert {r.split for r in mended if r.subject == shared} == {"test", "unused"}
    for side in ("train", "val", "test"):
        assert {0.0, 1.0} <= {tasks["T7"].value(r) for r in mended if r.split == side}


def test_the_default_size_has_enough_patients_in_every_class(make_miniature) -> None:
    # Shorter recordings than by default, of the same patients.
    root = make_miniature("icbhi", subjects=60)
    recordings = READER.read(root, {}).recordings
    partition = READER.published(root, recordings, {})
    assert partition is not None
    assigned = assign_splits(recordings, SplitConfig(), {"icbhi": partition})
    persons = {
        side: Counter({r.subject: tasks["T7"].value(r) for r in assigned if r.split == side}.values())
        for side in ("train", "test")
    }
    assert persons["test"][1.0] >= 12 and all(persons[side][label] >= 8 for side in persons for label in (0.0, 1.0))


def test_a_missing_file_moves_nobody_to_another_side(copy: Path, found: ReadResult, published: PublishedSplit) -> None:
    gone = found.recordings[20].recording
    next((copy / AUDIO).glob(f"{gone}.[wW]*")).unlink()
    result = READER.read(copy, {})
    assert f"icbhi/{gone}" in {entry.recording for entry in result.set_aside}
    after = READER.published(copy, result.recordings, {})
    assert after is not None
    assert after.splits == {key: split for key, split in published.splits.items() if key != f"icbhi/{gone}"}


def test_files_that_cannot_be_read_are_set_aside(copy: Path, found: ReadResult) -> None:
    first, second = (r.recording for r in found.recordings[10:12])
    (copy / AUDIO / f"{first}.wav").write_text("this is no audio")
    (copy / AUDIO / f"{second}.wav").write_bytes(b"")
    result = READER.read(copy, {})
    assert {f"icbhi/{first}", f"icbhi/{second}"} < {entry.recording for entry in result.set_aside}
    assert len(result.recordings) == len(found.recordings) - 2


def test_what_is_optional_may_be_absent(copy: Path, found: ReadResult) -> None:
    (copy / PERSONS).unlink()
    (copy / LIST).unlink()
    (copy / AUDIO / f"{found.recordings[3].recording}.txt").unlink()
    (copy / AUDIO / f"{found.recordings[4].recording}.txt").write_text("\n")
    result = READER.read(copy, {})
    assert [r.key for r in result.recordings] == [r.key for r in found.recordings]
    assert {(r.metadata["age"], r.metadata["sex"]) for r in result.recordings} == {(None, None)}
    for place in (3, 4):
        facts = result.recordings[place].metadata
        assert facts["crackles"] is facts["wheezes"] is facts["breaths"] is None
    assert "1 recordings have no annotation" in result.warnings[0]
    assert READER.published(copy, result.recordings, {}) is None


def test_the_tables_may_lie_in_the_audio_s_folder(copy: Path, found: ReadResult) -> None:
    for name in (DIAGNOSIS, LIST, PERSONS):
        shutil.move(copy / name, copy / AUDIO / name.lower())
    for root in (copy, copy / AUDIO):
        result = READER.read(root, {})
        assert [(r.key, r.metadata) for r in result.recordings] == [(r.key, r.metadata) for r in found.recordings]


@pytest.mark.parametrize(
    ("table", "row", "column", "value", "message"),
    [
        (DIAGNOSIS, 4, 1, "Smoker", r"diagnosis\.txt, row 4: the column 'diagnosis' holds no known label"),
        (DIAGNOSIS, 4, 1, "", r"diagnosis\.txt, row 4: the column 'diagnosis' holds no known label"),
        (DIAGNOSIS, 4, 0, "101", "row 4: the patient 101 is listed twice"),
        (DIAGNOSIS, 4, 0, "999", r"104_.*: the file of diagnoses has no patient 104"),
        (LIST, 5, 1, "valid", r"train_test\.txt, row 5: the column 'split' holds no known label"),
        (LIST, 5, 0, "101_1b1_Tc_sc_Litt3200", r"row 5: the recording 101_1b1_Tc_sc_Litt3200 is listed twice"),
        (LIST, 5, 0, "999_1b1_Tc_sc_Litt3200", r"train_test\.txt, row 5: the file of diagnoses has no patient 999"),
        (LIST, 5, 0, "103_1b1", r"train_test\.txt, row 5: 103_1b1 is not named like a recording of ICBHI 2017"),
    ],
)
def test_a_table_that_is_wrong_is_an_error(
    copy: Path, table: str, row: int, column: int, value: str, message: str
) -> None:
    change(copy, table, row, column, value)
    with pytest.raises(ManifestError, match=message) as error:
        READER.read(copy, {})
    assert "Smoker" not in str(error.value) and "valid" not in str(error.value)


@pytest.mark.parametrize(("table", "cells"), [(DIAGNOSIS, 1), (LIST, 1), (PERSONS, 2)])
def test_a_missing_column_is_an_error(copy: Path, table: str, cells: int) -> None:
    write(copy, table, [row[:cells] for row in rows(copy, table)])
    with pytest.raises(ManifestError, match=rf"{re.escape(table)}, row 1: has {cells} cells"):
        READER.read(copy, {})


def test_a_table_that_is_no_text_is_an_error(copy: Path) -> None:
    (copy / DIAGNOSIS).write_bytes(b"101\tCOPD\n\xff\xfe")
    with pytest.raises(ManifestError, match="cannot be read"):
        READER.read(copy, {})


def test_an_annotation_that_is_wrong_is_an_error(copy: Path, found: ReadResult) -> None:
    name = f"{found.recordings[6].recording}.txt"
    change(copy / AUDIO, name, 1, 3, "loud")
    with pytest.raises(ManifestError, match=rf"{name}, row 1: the column 'wheezes' holds no known label") as error:
        READER.read(copy, {})
    assert "loud" not in str(error.value)


def test_a_list_that_names_a_recording_nobody_has(copy: Path, found: ReadResult, published: PublishedSplit) -> None:
    write(copy, LIST, [*rows(copy, LIST), ["101_9b9_Tc_sc_Meditron", "test"]])
    result = READER.read(copy, {})
    assert "icbhi/101_9b9_Tc_sc_Meditron" in {entry.recording for entry in result.set_aside}
    after = READER.published(copy, result.recordings, {})
    assert after is not None and after.splits == published.splits


def test_a_recording_that_is_there_twice_is_an_error(copy: Path, found: ReadResult) -> None:
    one = Path(found.recordings[0].path).name
    shutil.copy(copy / AUDIO / one, copy / AUDIO / one.replace("Tc", "tc"))
    with pytest.raises(ManifestError, match="two files .* have one name"):
        READER.read(copy, {})


def test_another_folder_is_an_error(copy: Path, tmp_path: Path) -> None:
    (copy / AUDIO / "cough.wav").write_bytes(b"")
    with pytest.raises(ManifestError, match=r"cough\.wav: cough is not named like a recording of ICBHI 2017"):
        READER.read(copy, {})
    shutil.rmtree(copy / AUDIO)
    (copy / LIST).unlink()
    with pytest.raises(ManifestError, match="no ICBHI 2017 .* recording that can be read"):
        READER.read(copy, {})
    (copy / DIAGNOSIS).unlink()
    with pytest.raises(ManifestError, match=r"no ICBHI_Challenge_diagnosis\.txt"):
        READER.read(copy, {})
    with pytest.raises(ManifestError, match="there is no folder"):
        READER.read(tmp_path / "nowhere", {})
    with pytest.raises(RecipeError, match="no option"):
        READER.read(copy, {"cycles": True})
