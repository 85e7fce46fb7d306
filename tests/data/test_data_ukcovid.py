"""UK COVID-19: two sounds per participant, labels from another table, and lists that take a part of them."""

from __future__ import annotations

import csv
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from acula_edge.data.leaks import find_leaks
from acula_edge.data.lists import fold_name, load_names, read_lists
from acula_edge.data.reader import PublishedSplit, ReadResult, readers
from acula_edge.data.splits import assign_splits
from acula_edge.errors import ManifestError, RecipeError
from acula_edge.probe.tasks import tasks
from acula_edge.recipe import SplitConfig

READER = readers["ukcovid"]
FILES, PERSONS, SIDES = "audio_metadata.csv", "participant_metadata.csv", "train_test_splits.csv"
SOUNDS = ("exhalation", "cough")
LISTS = {"train": "training", "val": "val", "test": "testing"}


@pytest.fixture(scope="module")
def release(make_miniature) -> Path:
    return make_miniature("ukcovid")


@pytest.fixture(scope="module")
def found(release: Path) -> ReadResult:
    return READER.read(release, {})


@pytest.fixture
def copy(release: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(release, tmp_path / "copy"))


def rows(root: Path, name: str) -> list[dict[str, str]]:
    with open(root / name, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def write(root: Path, name: str, table: list[dict[str, str]]) -> None:
    with open(root / name, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)


def change(root: Path, name: str, row: int, column: str, value: str) -> None:
    table = rows(root, name)
    table[row - 2][column] = value
    write(root, name, table)


def list_file(root: Path, sound: str, side: str) -> Path:
    return root / f"{sound}_{LISTS[side]}_files_downsample.npy"


def remove_lists(root: Path, *sounds: str) -> None:
    for sound in sounds or SOUNDS:
        for side in LISTS:
            list_file(root, sound, side).unlink()


def published(root: Path) -> PublishedSplit:
    partition = READER.published(root, READER.read(root, {}).recordings, {})
    assert partition is not None
    return partition


def test_every_participant_has_an_exhalation_and_a_cough(release: Path, found: ReadResult) -> None:
    listed = {
        f"{row['participant_identifier']}_{sound}": row[f"{sound}_file_name"]
        for row in rows(release, FILES)
        for sound in SOUNDS
        if row[f"{sound}_file_name"]
    }
    assert len(listed) == 39 and len(found.recordings) == 38
    (absent,) = found.set_aside
    assert absent.recording.endswith("_cough") and "there is no recording" in absent.reason
    assert {r.recording: Path(r.path).name for r in found.recordings} == {
        name: file for name, file in listed.items() if f"ukcovid/{name}" != absent.recording
    }
    results = {row["participant_identifier"]: row["covid_test_result"] for row in rows(release, PERSONS)}
    for recording in found.recordings:
        participant, sound = recording.recording.split("_")
        assert recording.subject == f"ukcovid/{participant}" and recording.metadata["sound"] == sound
        known = results[participant] if results[participant] in ("Positive", "Negative") else None
        assert recording.metadata["covid_test_result"] == known and recording.stratum == (known or "unlabelled")
    assert {r.sample_rate_hz for r in found.recordings if r.metadata["sound"] == "cough"} == {16000}
    assert sum(recording.path.endswith(".WAV") for recording in found.recordings) == 1
    assert found.warnings == []  # no source states how many recordings the release has


def test_what_participants_report_is_carried(copy: Path) -> None:
    table = rows(copy, PERSONS)
    for name in table[0]:
        if name.startswith(("symptom_", "respiratory_condition_")):
            table[0][name] = table[1][name] = table[2][name] = ""
    table[0] |= {"symptom_new_continuous_cough": "1", "symptom_fever_high_temperature": "1.0", "symptom_other": "1"}
    table[0] |= {"respiratory_condition_asthma": "True", "age": "65+", "gender": "Female", "smoker_status": "Ex-smoker"}
    table[1] |= {"symptom_none": "1", "respiratory_condition_none": "1", "gender": "", "age": "18-44"}
    table[1] |= {"smoker_status": "Prefer not to say"}
    table[2] |= {"covid_test_result": "", "gender": "Other", "age": "", "smoker_status": ""}
    write(copy, PERSONS, table)
    by_subject = {r.subject: r.metadata for r in READER.read(copy, {}).recordings}
    one, two, three = (by_subject[f"ukcovid/{row['participant_identifier']}"] for row in table[:3])
    assert (one["symptoms"], one["conditions"]) == ("new continuous cough, fever", "asthma")
    assert (one["age"], one["sex"], one["smoker_status"]) == ("65 or older", "Female", "Ex-smoker")
    assert (two["symptoms"], two["conditions"]) == ("none", "none")
    assert (two["age"], two["sex"], two["smoker_status"]) == ("18-44", None, None)
    assert {value for name, value in three.items() if name != "sound"} == {None}


def test_the_lists_are_followed(release: Path, found: ReadResult) -> None:
    partition = READER.published(release, found.recordings, {})
    assert partition is not None and partition.exact and partition.by_person
    side_of_file = {
        str(name): side for sound in SOUNDS for side in LISTS for name in np.load(list_file(release, sound, side))
    }
    named = {r.key: {"*": side_of_file[Path(r.path).name]} for r in found.recordings
             if Path(r.path).name in side_of_file}  # fmt: skip
    assert partition.splits == named and len(named) == 34
    followed = assign_splits(found.recordings, SplitConfig(rule="published"), {"ukcovid": partition})
    assert Counter(r.split for r in followed)["unused"] == 4 and find_leaks(followed) == []
    mended = assign_splits(found.recordings, SplitConfig(), {"ukcovid": partition})
    assert find_leaks(mended) == [] and "unused" not in {r.split for r in mended}
    for name in ("T1", "T2"):
        task = tasks[name]
        labels = {(r.split_for(name), task.value(r)) for r in followed}
        assert {(side, label) for side in ("train", "test") for label in (0.0, 1.0)} < labels


@pytest.mark.parametrize("folder", ["splits", "feature", "feature/coviduk_eval"])
def test_lists_may_lie_elsewhere_and_hold_paths(copy: Path, folder: str) -> None:
    before = published(copy)
    (copy / folder).mkdir(parents=True)
    for sound in SOUNDS:
        for side in LISTS:
            file = list_file(copy, sound, side)
            names = [[f"datasets/covidUK/audio_selected/{name}"] for name in np.load(file)]
            file.unlink()
            np.save(copy / folder / file.name, np.array(names))
    assert published(copy) == before


def test_a_missing_file_moves_nobody_to_another_side(copy: Path, found: ReadResult) -> None:
    before = published(copy)
    gone = next(r for r in found.recordings if before.splits.get(r.key) == {"*": "test"})
    (copy / "audio_selected" / Path(gone.path).name).unlink()
    assert published(copy).splits == {key: split for key, split in before.splits.items() if key != gone.key}


def test_without_lists_the_table_divides_participants(copy: Path) -> None:
    remove_lists(copy)
    partition = published(copy)
    assert not partition.exact and partition.by_person and "train_test_splits.csv" in partition.source
    sides = {row["participant_identifier"]: row["splits"] for row in rows(copy, SIDES)}
    assert "long" in sides.values()
    assert partition.splits == {
        r.key: {"*": sides[r.subject.removeprefix("ukcovid/")]}
        for r in READER.read(copy, {}).recordings
        if sides[r.subject.removeprefix("ukcovid/")] in LISTS
    }
    (copy / SIDES).unlink()
    assert READER.published(copy, READER.read(copy, {}).recordings, {}) is None


def test_one_sound_may_have_lists_and_the_other_not(copy: Path) -> None:
    whole = published(copy)
    remove_lists(copy, "cough")
    partition = published(copy)
    assert not partition.exact and "exhalation: OPERA's" in partition.source and "cough: train_test" in partition.source
    for key, split in whole.splits.items():
        assert partition.splits[key] == split  # the lists follow the table
    (copy / SIDES).unlink()
    alone = published(copy)
    assert not alone.exact and {key.rpartition("_")[2] for key in alone.splits} == {"exhalation"}


@pytest.mark.parametrize(
    ("table", "column", "message"),
    [
        (FILES, "cough_file_name", "lacks columns"),
        (FILES, "participant_identifier", "lacks columns"),
        (PERSONS, "covid_test_result", "lacks columns"),
    ],
)
def test_a_missing_column_is_an_error(copy: Path, table: str, column: str, message: str) -> None:
    write(copy, table, [{k: v for k, v in row.items() if k != column} for row in rows(copy, table)])
    with pytest.raises(ManifestError, match=message) as error:
        READER.read(copy, {})
    assert table in str(error.value) and column in str(error.value)


@pytest.mark.parametrize(
    ("table", "column", "value", "message"),
    [
        (PERSONS, "covid_test_result", "Perhaps", r"participant_metadata\.csv, row 5: .*'covid_test_result' holds no"),
        (PERSONS, "participant_identifier", "", "row 5: the column 'participant_identifier' is empty"),
        (PERSONS, "participant_identifier", "0", "has no participant"),
        (FILES, "participant_identifier", "0", r"audio_metadata\.csv, row 5: .* has no participant 0"),
    ],
)
def test_a_cell_that_is_wrong_is_an_error(copy: Path, table: str, column: str, value: str, message: str) -> None:
    change(copy, table, 5, column, value)
    with pytest.raises(ManifestError, match=message) as error:
        READER.read(copy, {})
    assert "Perhaps" not in str(error.value)


@pytest.mark.parametrize("row", [2, 9])
def test_audio_that_is_listed_twice_is_an_error(copy: Path, row: int) -> None:
    file = rows(copy, FILES)[0]["exhalation_file_name"]
    change(copy, FILES, row, "cough_file_name", file.upper())
    with pytest.raises(ManifestError, match=rf"row {row}, column .*: the audio file {Path(file).stem.lower()} is"):
        READER.read(copy, {})


@pytest.mark.parametrize("table", [FILES, PERSONS, SIDES])
def test_a_participant_who_is_listed_twice_is_an_error(copy: Path, table: str) -> None:
    change(copy, table, 6, "participant_identifier", rows(copy, table)[0]["participant_identifier"])
    remove_lists(copy)
    with pytest.raises(ManifestError, match=rf"{table}, row 6: the participant \w+ is listed twice"):
        published(copy)


def test_audio_that_cannot_serve_is_set_aside_or_left_out(copy: Path, found: ReadResult) -> None:
    one, two = (Path(r.path).name for r in found.recordings[:2])
    (copy / "audio_selected" / one).write_text("this is no audio")
    (copy / "audio_selected" / two).rename(copy / "audio_selected" / "stranger.wav")
    three_coughs = rows(copy, FILES)[0]["three_cough_file_name"]
    shutil.copy(copy / "audio_selected" / "stranger.wav", copy / "audio_selected" / three_coughs)
    result = READER.read(copy, {})
    assert [entry.recording for entry in result.set_aside] == [
        *(r.key for r in found.recordings[:2]),
        *(entry.recording for entry in found.set_aside),
    ]
    assert result.warnings == ["ukcovid: 1 audio files are in no table and are left out"]


def test_the_audio_s_folder_may_have_another_name(copy: Path, found: ReadResult) -> None:
    (copy / "audio_selected").rename(copy / "audio")
    assert [r.recording for r in READER.read(copy, {}).recordings] == [r.recording for r in found.recordings]


def test_lists_that_contradict_the_release_are_errors(copy: Path) -> None:
    recordings = READER.read(copy, {}).recordings
    file = list_file(copy, "cough", "test")
    names = np.load(file)
    for wrong, message in (
        ([*names, "stranger.wav"], rf"item {len(names)}: audio_metadata\.csv has no cough file stranger"),
        ([*names, np.load(list_file(copy, "exhalation", "test"))[0]], "has no cough file exhalation_"),
        ([*names, names[0]], rf"item {len(names)}: cough_\w+ is listed twice"),
        ([*names, np.load(list_file(copy, "cough", "train"))[0]], "is listed twice"),
        (np.arange(3), "is no list of texts"),
        (np.array([["a.wav", "b.wav"]]), "is no list of texts"),
    ):
        np.save(file, wrong)
        with pytest.raises(ManifestError, match=message):
            READER.published(copy, recordings, {})
    file.unlink()
    with pytest.raises(ManifestError, match="has some lists of the published partition and lacks others"):
        READER.published(copy, recordings, {})


def test_lists_of_python_objects_are_read_without_unpickling(copy: Path) -> None:
    """As pandas writes them; a participant without the sound is nan there."""
    before = published(copy)
    for side in LISTS:
        file = list_file(copy, "cough", side)
        objects = np.array([*np.load(file).tolist(), float("nan")], dtype=object)
        np.save(file, objects if side == "val" else objects[:, None], allow_pickle=True)
        assert load_names(file) == [*objects[:-1], "nan"]
    assert published(copy) == before


class Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.target,)


def test_pickles_of_anything_else_are_refused_and_run_nothing(copy: Path, tmp_path: Path) -> None:
    file, trace = list_file(copy, "cough", "train"), tmp_path / "was here"
    texts = np.load(file).tolist()
    for objects in ([*texts, Malicious(trace)], [*texts, 3], [*texts, None], [*texts, ["a"]], [*texts, b"a"]):
        array = np.empty(len(objects), dtype=object)
        array[:] = objects
        np.save(file, array, allow_pickle=True)
        with pytest.raises(ManifestError, match="pickled objects that are no texts") as error:
            published(copy)
        assert str(file) in str(error.value) and not trace.exists()
    assert np.load(file, allow_pickle=True)[-1] == b"a"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(ManifestError):
        load_names(file)


def test_the_remedy_for_a_pickle_converts_it(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = published(copy)
    file = list_file(copy, "cough", "train")
    np.save(file, np.array([Path(str(name)) for name in np.load(file)], dtype=object), allow_pickle=True)
    with pytest.raises(ManifestError, match="no texts") as error:
        published(copy)
    assert error.value.remedy is not None
    code = re.search(r'-c "(.*)" FILE$', error.value.remedy)
    assert code is not None, "the name of a stranger's file must not become part of a command"
    monkeypatch.setattr("sys.argv", ["-c", str(file)])
    exec(code[1])
    assert published(copy) == before
    file.write_text("no array")
    with pytest.raises(ManifestError, match="cannot be read") as error:
        published(copy)
    assert "allow_pickle" not in str(error.value)


def test_a_table_of_sides_without_sides_is_an_error(copy: Path) -> None:
    remove_lists(copy)
    table = rows(copy, SIDES)
    write(copy, SIDES, [{**row, "splits": "long"} for row in table])
    with pytest.raises(ManifestError, match="names no known side"):
        published(copy)
    write(copy, SIDES, [{"participant_identifier": row["participant_identifier"]} for row in table])
    with pytest.raises(ManifestError, match="lacks columns"):
        published(copy)


def test_another_folder_is_an_error(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no option"):
        READER.read(copy, {"lists": "all"})
    with pytest.raises(ManifestError, match="there is no folder"):
        READER.read(tmp_path / "nowhere", {})
    (copy / PERSONS).unlink()
    with pytest.raises(ManifestError, match=r"not UK COVID-19 Vocal Audio Dataset: it has no participant_metadata"):
        READER.read(copy, {})
    assert read_lists(tmp_path, {"train": "a.npy"}) is None
    assert fold_name(" C:\\audio\\One.WAV") == fold_name("x/one") == "one"
