"""CoughVID: rows without a cough, shortened names of files, two labels, and lists of uuids or the rule behind them."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from acula_edge.corpora.coughvid import agree, describe, match_files
from acula_edge.data.leaks import find_leaks
from acula_edge.data.reader import PublishedSplit, ReadResult, readers
from acula_edge.data.splits import assign_splits
from acula_edge.errors import ManifestError, RecipeError
from acula_edge.probe.tasks import tasks
from acula_edge.recipe import SplitConfig

READER = readers["coughvid"]
TABLE = "metadata_compiled.csv"
LISTS = {
    "train": "coughvid__train_uuids.npy",
    "val": "coughvid__val_uuids.npy",
    "test": "coughvid_gender_test_uuids.npy",
}
STATUSES = {"COVID-19", "healthy", "symptomatic"}


@pytest.fixture(scope="module")
def release(make_miniature) -> Path:
    return make_miniature("coughvid")


@pytest.fixture(scope="module")
def found(release: Path) -> ReadResult:
    return READER.read(release, {})


@pytest.fixture
def copy(release: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(release, tmp_path / "copy"))


def rows(root: Path) -> list[dict[str, str]]:
    with open(root / TABLE, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def write(root: Path, table: list[dict[str, str]]) -> None:
    with open(root / TABLE, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)


def change(root: Path, row: int, column: str, value: str) -> None:
    table = rows(root)
    table[row - 2][column] = value
    write(root, table)


def kept(root: Path) -> list[dict[str, str]]:
    return [row for row in rows(root) if float(row["cough_detected"] or 0) >= 0.8]


def published(root: Path) -> PublishedSplit:
    partition = READER.published(root, READER.read(root, {}).recordings, {})
    assert partition is not None
    return partition


def test_rows_with_a_cough_are_read(release: Path, found: ReadResult) -> None:
    listed = kept(release)
    assert len(listed) == 32 and len(rows(release)) == 35
    (absent,) = found.set_aside
    assert [r.key for r in found.recordings] == [
        f"coughvid/{row['uuid']}" for row in listed if f"coughvid/{row['uuid']}" != absent.recording
    ]
    by_uuid = {row["uuid"]: row for row in listed}
    for recording in found.recordings:
        row, facts = by_uuid[recording.recording], recording.metadata
        assert recording.subject == recording.key and facts["sound"] == "cough" and recording.sample_rate_hz == 16000
        assert facts["status"] == (row["status"] or None) and recording.stratum == (row["status"] or "unlabelled")
        assert facts["sex"] == {"female": "Female", "male": "Male"}.get(row["gender"])
        assert facts["cough_detected"] == float(row["cough_detected"]) >= 0.8
        assert facts["age"] == (int(float(row["age"])) if row["age"] else None)
    assert found.warnings == [
        "coughvid: 3 rows have cough_detected below 0.8 and are left out",
        "coughvid: 32 recordings of 31 persons are here, 1 of them set aside; the complete release has 10746",
    ]
    assert {None} < {r.metadata["status"] for r in found.recordings} == {None, *STATUSES}
    assert {r.metadata["sex"] for r in found.recordings} == {None, "Female", "Male"}
    assert sum(recording.path.endswith(".WAV") for recording in found.recordings) == 1


def test_a_file_may_lack_the_last_character_of_its_name(found: ReadResult) -> None:
    (short,) = (r for r in found.recordings if Path(r.path).stem != r.recording)
    assert Path(short.path).stem == short.recording[:-1]
    stems = {name: Path(f"{name}.wav") for name in ("ab", "x", "cd1", "cd")}
    assert match_files(["abc", "x"], stems) == {"abc": "ab", "x": "x"}
    assert match_files(["abc", "abd"], stems) == {}  # whose file it is cannot be told
    assert match_files(["cd1", "cd2"], stems) == {"cd1": "cd1", "cd2": "cd"}
    assert match_files(["x", "x1"], stems) == {"x": "x"}
    assert match_files(["AB", "CD1"], stems) == {"AB": "ab", "CD1": "cd1"}


def test_a_row_without_a_cough_may_hold_anything(copy: Path, found: ReadResult) -> None:
    table = rows(copy)
    table.append({**dict.fromkeys(table[0], ""), "uuid": "u", "cough_detected": "", "status": "Perhaps"})
    table.append({**dict.fromkeys(table[0], ""), "uuid": "v", "cough_detected": "0.7999", "gender": "Perhaps"})
    write(copy, table)
    result = READER.read(copy, {})
    assert [r.key for r in result.recordings] == [r.key for r in found.recordings]
    assert result.set_aside[0].recording == found.set_aside[0].recording and len(result.set_aside) == 1
    assert "5 rows" in result.warnings[0]


def test_what_is_known_of_a_cough_is_carried(copy: Path) -> None:
    table = rows(copy)
    one = next(n for n, row in enumerate(table) if row["status"] == "COVID-19" and float(row["cough_detected"]) > 0.8)
    table[one] |= {"age": "34.0", "respiratory_condition": "False", "fever_muscle_pain": "True", "gender": "pnts"}
    table[one] |= {"cough_type_1": "wet", "cough_type_2": "dry", "cough_type_3": "wet", "wheezing_1": "True"}
    table[one] |= {"diagnosis_1": "upper_infection", "diagnosis_2": "", "diagnosis_3": "", "severity_1": "unknown"}
    table[one] |= {"severity_2": "", "severity_3": "", "wheezing_2": "", "wheezing_3": "", "stridor_1": "False"}
    table[one] |= {f"{name}_{n}": "" for name in ("dyspnea", "choking", "congestion", "nothing") for n in (1, 2, 3)}
    table[one] |= {"stridor_2": "", "stridor_3": "", "quality_1": "good", "quality_2": "poor", "quality_3": ""}
    write(copy, table)
    (facts,) = (r.metadata for r in READER.read(copy, {}).recordings if r.recording == table[one]["uuid"])
    assert facts == {
        "sound": "cough", "status": "COVID-19", "sex": None, "cough_detected": float(table[one]["cough_detected"]),
        "age": 34, "respiratory_condition": 0, "fever_muscle_pain": 1, "findings": "wheezing", "cough_type": "wet",
        "severity": None, "quality": None, "expert_diagnosis": "upper respiratory tract infection",
    }  # fmt: skip
    assert describe({"nothing_1": "True", "age": "-3", "respiratory_condition": "?"})["findings"] == "none"
    assert set(describe({"age": "old"}).values()) == {None}
    assert agree({"quality_1": "good", "quality_2": "good", "quality_4": "poor"}, "quality") == "good"


def test_the_lists_are_followed(release: Path, found: ReadResult) -> None:
    partition = READER.published(release, found.recordings, {})
    assert partition is not None and partition.exact and partition.by_person
    side_of = {str(name): side for side, file in LISTS.items() for name in np.load(release / file)}
    assert partition.splits == {r.key: {"*": side_of[r.recording]} for r in found.recordings}
    for rule in ("clean", "published"):
        assigned = assign_splits(found.recordings, SplitConfig(rule=rule), {"coughvid": partition})
        assert {r.key: r.split for r in assigned} == {key: split["*"] for key, split in partition.splits.items()}
        assert find_leaks(assigned) == []
    assert all(r.metadata["sex"] for r in found.recordings if partition.splits[r.key] == {"*": "test"})
    for name in ("T5", "T6"):
        labels = {(side_of[r.recording], tasks[name].value(r)) for r in found.recordings}
        assert {(side, label) for side in ("train", "test") for label in (0.0, 1.0)} < labels


@pytest.mark.parametrize("folder", ["splits", "feature/coughvid_eval"])
def test_lists_may_lie_elsewhere(copy: Path, folder: str) -> None:
    before = published(copy)
    (copy / folder).mkdir(parents=True)
    for file in LISTS.values():
        (copy / file).rename(copy / folder / file)
    assert published(copy) == before


def test_lists_as_pandas_writes_them_are_followed(copy: Path) -> None:
    before = published(copy)
    for file in LISTS.values():
        np.save(copy / file, np.load(copy / file).astype(object), allow_pickle=True)
    assert published(copy) == before


def test_the_rule_behind_the_lists_tests_men_and_women(copy: Path, found: ReadResult) -> None:
    for file in LISTS.values():
        (copy / file).unlink()
    partition = published(copy)
    assert not partition.exact and partition.by_person and "rule" in partition.source
    sexes = Counter(row["gender"] for row in kept(copy))
    tested = {sex: round(sexes[sex] * part) for sex, part in (("female", 1031 / 2468), ("male", 1924 / 4795))}
    sides = {key: split["*"] for key, split in partition.splits.items()}
    rest = 32 - sum(tested.values())
    gone = {found.set_aside[0].recording}
    counts = Counter(sides.values())
    assert len(sides) == 31 and set(sides) == {f"coughvid/{row['uuid']}" for row in kept(copy)} - gone
    assert sum(tested.values()) - counts["test"] in (0, 1) and np.ceil(0.25 * rest) - counts["val"] in (0, 1)
    assert None not in {r.metadata["sex"] for r in found.recordings if sides[r.key] == "test"}
    assert published(copy) == partition
    # A file that is missing moves nobody to another side.
    (copy / "wav" / Path(found.recordings[0].path).name).unlink()
    assert published(copy).splits == {k: v for k, v in partition.splits.items() if k != found.recordings[0].key}


def test_the_rule_draws_what_pandas_draws(copy: Path, found: ReadResult) -> None:
    uuids = [f"w{n}" for n in range(2468)] + [f"m{n}" for n in range(4795)] + [f"o{n}" for n in range(3483)]
    genders = ["female"] * 2468 + ["male"] * 4795 + ["other"] * 3483
    write(copy, [{"uuid": u, "gender": g, "status": "", "cough_detected": "0.9"}
                 for u, g in zip(uuids, genders, strict=True)])  # fmt: skip
    for file in LISTS.values():
        (copy / file).unlink()
    one = found.recordings[0]
    partition = READER.published(copy, [type(one)(**{**vars(one), "recording": uuid}) for uuid in uuids], {})
    assert partition is not None
    sides = {key.removeprefix("coughvid/"): split["*"] for key, split in partition.splits.items()}
    counts = Counter((uuid[0], side) for uuid, side in sides.items())
    assert (counts["w", "test"], counts["m", "test"], counts["o", "test"]) == (1031, 1924, 0)
    assert Counter(sides.values()) == {"train": 5843, "val": 1948, "test": 2955}
    # Squares of the places that pandas 3.1 draws with sample(n=1031, random_state=0), and of those with n=1924.
    drawn = {sex: sum(int(uuid[1:]) ** 2 for uuid in uuids if uuid[0] == sex and sides[uuid] == "test") for sex in "wm"}
    assert drawn == {"w": 2_106_076_350, "m": 14_618_791_329}


@pytest.mark.parametrize("column", ["uuid", "cough_detected", "gender", "status"])
def test_a_missing_column_is_an_error(copy: Path, column: str) -> None:
    write(copy, [{k: v for k, v in row.items() if k != column} for row in rows(copy)])
    with pytest.raises(ManifestError, match="lacks columns") as error:
        READER.read(copy, {})
    assert TABLE in str(error.value) and column in str(error.value)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("status", "Perhaps", r"metadata_compiled\.csv, row {}: the column 'status' holds no known label"),
        ("gender", "Perhaps", "row {}: the column 'gender' holds no known label"),
        ("cough_detected", "Perhaps", "row {}: the column 'cough_detected' holds no probability"),
        ("cough_detected", "12", "row {}: the column 'cough_detected' holds no probability"),
        ("uuid", " ", "row {}: the column 'uuid' is empty"),
    ],
)
def test_a_cell_that_is_wrong_is_an_error(copy: Path, column: str, value: str, message: str) -> None:
    row = next(n for n, row in enumerate(rows(copy), start=2) if float(row["cough_detected"]) >= 0.8)
    change(copy, row, column, value)
    with pytest.raises(ManifestError, match=message.format(row)) as error:
        READER.read(copy, {})
    assert "Perhaps" not in str(error.value)


def test_a_recording_that_is_listed_twice_is_an_error(copy: Path) -> None:
    first = rows(copy)[0]["uuid"].upper()
    change(copy, 7, "uuid", first)
    with pytest.raises(ManifestError, match=f"row 7: the recording {first} is listed twice"):
        READER.read(copy, {})


def test_audio_that_cannot_serve_is_set_aside_or_left_out(copy: Path, found: ReadResult) -> None:
    one, two = found.recordings[:2]
    (copy / "wav" / Path(one.path).name).write_text("this is no audio")
    (copy / "wav" / Path(two.path).name).rename(copy / "wav" / "stranger.wav")
    result = READER.read(copy, {})
    assert {entry.recording for entry in result.set_aside} == {one.key, two.key, found.set_aside[0].recording}
    assert "coughvid: 1 audio files are in no row and are left out" in result.warnings
    shutil.copy(copy / "wav" / "stranger.wav", copy / "wav" / "stranger.WAV")
    with pytest.raises(ManifestError, match="have one name"):
        READER.read(copy, {})


def test_lists_that_contradict_the_table_are_errors(copy: Path) -> None:
    recordings = READER.read(copy, {}).recordings
    file = copy / LISTS["val"]
    names = np.load(file)
    for wrong, message in (
        ([*names, "stranger"], rf"item {len(names)}: metadata_compiled\.csv has no recording stranger"),
        ([*names, names[0]], rf"item {len(names)}: .* is listed twice"),
        ([*names, np.load(copy / LISTS["train"])[0]], "is listed twice"),
        (np.arange(3), "is no list of texts"),
    ):
        np.save(file, wrong)
        with pytest.raises(ManifestError, match=message):
            READER.published(copy, recordings, {})
    file.unlink()
    with pytest.raises(ManifestError, match="lacks others"):
        READER.published(copy, recordings, {})


def test_lists_with_rows_that_are_left_out_are_not_exact(copy: Path) -> None:
    name = str(np.load(copy / LISTS["test"])[0])
    row = next(number for number, row in enumerate(rows(copy), start=2) if row["uuid"] == name)
    change(copy, row, "cough_detected", "0.5")
    partition = published(copy)
    assert not partition.exact and "without 1 that are left out" in partition.source
    assert f"coughvid/{name}" not in partition.splits


def test_too_few_recordings_have_no_published_partition(copy: Path) -> None:
    table = [row for row in kept(copy) if not row["gender"]][:1]
    write(copy, table)
    for file in LISTS.values():
        (copy / file).unlink()
    assert READER.published(copy, READER.read(copy, {}).recordings, {}) is None


def test_another_folder_is_an_error(copy: Path) -> None:
    with pytest.raises(RecipeError, match="no option"):
        READER.read(copy, {"minimum": 0.5})
    (copy / "wav").rename(copy / "public_dataset")
    with pytest.raises(ManifestError, match="no folder wav") as error:
        READER.read(copy, {})
    assert "ffmpeg" in str(error.value)
    (copy / TABLE).unlink()
    with pytest.raises(ManifestError, match="not CoughVID"):
        READER.read(copy, {})
