"""Coswara: users that pass for both coughs, answers in several spellings, a partition per task."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from pathlib import Path

import pytest
from sklearn.model_selection import train_test_split

from acula_edge.corpora.coswara import DROPPED
from acula_edge.data.leaks import find_leaks
from acula_edge.data.reader import PublishedSplit, ReadResult, readers
from acula_edge.data.splits import assign_splits
from acula_edge.errors import ManifestError, RecipeError
from acula_edge.probe.tasks import tasks
from acula_edge.recipe import SplitConfig

READER = readers["coswara"]
TABLE = "combined_data.csv"
SHALLOW, HEAVY = (f"annotations/{modality}_labels.csv" for modality in ("cough-shallow", "cough-heavy"))


@pytest.fixture(scope="module")
def release(make_miniature) -> Path:
    return make_miniature("coswara", subjects=20)


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


def rows(root: Path, name: str = TABLE) -> list[list[str]]:
    return list(csv.reader((root / name).read_text(encoding="utf-8-sig").splitlines()))


def write(root: Path, table: list[list[str]], name: str = TABLE) -> None:
    with open(root / name, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(table)


def change(root: Path, name: str, row: int, column: int, value: str) -> None:
    table = rows(root, name)
    table[row - 1][column] = value
    write(root, table, name)


def audio_of(root: Path, user: str) -> Path:
    return next((root / "Extracted_data").glob(f"*/{user}/cough-shallow.*"))


def users_of(result: ReadResult) -> list[str]:
    return [recording.subject.partition("/")[2] for recording in result.recordings]


def test_one_shallow_cough_per_user_in_the_table_s_order(release: Path, found: ReadResult) -> None:
    header, *table = rows(release)
    by_user = {row[0]: dict(zip(header, row, strict=True)) for row in table}
    assert len(table) == 60 and len(found.recordings) + len(found.set_aside) == 60 and not found.warnings
    assert users_of(found) == [user for user in by_user if user in users_of(found)]
    for recording, user in zip(found.recordings, users_of(found), strict=True):
        answers, facts = by_user[user], recording.metadata
        assert recording.recording == f"{user}_cough-shallow" and facts["sound"] == "cough-shallow"
        assert recording.path == str(audio_of(release, user)) and recording.sample_rate_hz == 16000
        assert (
            facts["smoker"] == {"y": "yes", "t": "yes", "n": "no", "f": "no", "": None}[answers["smoker"][:1].lower()]
        )
        assert facts["sex"] == {"female": "Female", "male": "Male"}.get(answers["g"])
        assert recording.stratum == (facts["sex"] or "") and facts["age"] == int(answers["a"])
        assert facts["covid_status"] == answers["covid_status"] and facts["quality"] in (1, 2)
        assert ("sore throat" in (facts["symptoms"] or "")) == (answers["st"] == "True")
        assert ("hypertension" in (facts["comorbidities"] or "")) == (answers["ht"] == "True")
    assert sum(recording.path.endswith(".WAV") for recording in found.recordings) == 1
    assert {r.metadata["smoker"] for r in found.recordings} == {"yes", "no", None}
    assert {r.metadata["sex"] for r in found.recordings} == {"Female", "Male", None}


def test_only_users_that_pass_for_both_coughs_take_part(release: Path, found: ReadResult) -> None:
    quality = [dict(row for row in rows(release, name)[1:]) for name in (SHALLOW, HEAVY)]
    reasons = {e.recording.removeprefix("coswara/").removesuffix("_cough-shallow"): e.reason for e in found.set_aside}
    for user in [row[0] for row in rows(release)[1:]]:
        marks = [quality[0].get(f"{user}_cough-shallow"), quality[1].get(f"{user}_cough-heavy")]
        passes = user not in DROPPED and None not in marks and "0" not in marks
        assert passes == (user in users_of(found) or "there is no recording" in reasons[user])
    assert Counter(reason.partition(" /")[0] for reason in reasons.values()) == {
        "cough-shallow of this user is missing or broken in the release": 3,
        "cough-shallow is annotated as bad": 3,
        "cough-heavy is annotated as bad": 2,
        "cough-shallow has no annotation": 1,
        "there is no recording": 1,
    }
    assert set(DROPPED) <= set(reasons)


def test_the_heavy_cough_s_audio_is_not_needed(copy: Path, found: ReadResult) -> None:
    for path in (copy / "Extracted_data").glob("*/*/cough-heavy.*"):
        path.unlink()
    assert [r.key for r in READER.read(copy, {}).recordings] == [r.key for r in found.recordings]


def test_the_corpus_agrees_with_the_counts_of_the_published_sets() -> None:
    corpus = READER.corpus
    assert corpus is not None
    for task, column, names in (("T8", "smoker", ("no", "yes")), ("T9", "sex", ("Male", "Female"))):
        facts = tasks[task].published_split
        assert facts is not None
        totals = [sum(counts) for counts in zip(facts.train, facts.val, facts.test, strict=True)]
        assert corpus.labels[column] == dict(zip(names, totals, strict=True))


@pytest.mark.parametrize("task", ["T8", "T9"])
def test_each_task_has_its_own_partition(release: Path, published: PublishedSplit, task: str) -> None:
    """Drawn anew from the table, as the rule says."""
    assert not published.exact and not published.by_person
    column, classes = {"T8": (6, "nf yt"), "T9": (4, "mf")}[task]
    answered = []
    quality = [dict(row for row in rows(release, name)[1:]) for name in (SHALLOW, HEAVY)]
    for row in rows(release)[1:]:
        marks = [quality[0].get(f"{row[0]}_cough-shallow", "0"), quality[1].get(f"{row[0]}_cough-heavy", "0")]
        answer = row[column].lower()
        known = answer in ("female", "male") if task == "T9" else answer
        if known and row[0] not in DROPPED and "0" not in marks:
            answered.append((row[0], classes.index(answer[0]) >= len(classes) // 2))
    labels = [label for _, label in answered]
    rest, test = train_test_split(range(len(answered)), test_size=0.2, random_state=1337, stratify=labels)
    train, val = train_test_split(rest, test_size=0.2, random_state=1337, stratify=[labels[n] for n in rest])
    expected = {
        f"coswara/{answered[n][0]}_cough-shallow": side
        for side, places in (("train", train), ("val", val), ("test", test))
        for n in places
    }
    got = {key: sides[task] for key, sides in published.splits.items() if task in sides}
    absent = set(expected) - set(got)
    assert len(absent) == 1 and got == {key: side for key, side in expected.items() if key not in absent}


def test_a_missing_file_moves_nobody_to_another_side(copy: Path, found: ReadResult, published: PublishedSplit) -> None:
    user = users_of(found)[9]
    audio_of(copy, user).unlink()
    result = READER.read(copy, {})
    assert len(result.set_aside) == len(found.set_aside) + 1
    after = READER.published(copy, result.recordings, {})
    assert after is not None and len(after.splits) == len(published.splits) - 1
    assert after.splits == {key: sides for key, sides in published.splits.items() if user not in key}


def test_training_keeps_what_any_task_tests_on_out(found: ReadResult, published: PublishedSplit) -> None:
    followed = assign_splits(found.recordings, SplitConfig(rule="published"), {"coswara": published})
    assert find_leaks(followed) == []
    for recording in followed:
        sides = published.splits.get(recording.key, {})
        assert (recording.split == "test") == ("test" in sides.values())
        assert {task: recording.split_for(task) for task in sides} == sides
    dealt = assign_splits(found.recordings, SplitConfig(), {"coswara": published})
    assert find_leaks(dealt) == []
    assert [r.split for r in dealt] == [r.split for r in assign_splits(found.recordings, SplitConfig(rule="folds"))]


def test_the_default_size_has_enough_users_in_every_class(make_miniature) -> None:
    # Shorter recordings than by default, of the same users.
    root = make_miniature("coswara", subjects=60)
    recordings = READER.read(root, {}).recordings
    partition = READER.published(root, recordings, {})
    assert partition is not None
    for rule in ("clean", "published"):
        assigned = assign_splits(recordings, SplitConfig(rule=rule), {"coswara": partition})
        for task in ("T8", "T9"):
            counts = {
                side: Counter(tasks[task].value(r) for r in assigned if r.split_for(task) == side)
                for side in ("train", "test")
            }
            assert all(counts["test"][label] >= 12 and counts["train"][label] >= 8 for label in (0.0, 1.0)), counts


def test_too_few_users_have_no_published_partition(copy: Path) -> None:
    write(copy, rows(copy)[:4])
    result = READER.read(copy, {})
    assert READER.published(copy, result.recordings, {}) is None
    assert any("not in combined_data.csv" in warning for warning in result.warnings)


def test_files_that_cannot_be_read_are_set_aside(copy: Path, found: ReadResult) -> None:
    first, second = users_of(found)[5:7]
    audio_of(copy, first).write_text("this is no audio")
    audio_of(copy, second).write_bytes(b"")
    result = READER.read(copy, {})
    before = {entry.recording for entry in found.set_aside}
    assert {entry.recording for entry in result.set_aside} - before == {
        f"coswara/{user}_cough-shallow" for user in (first, second)
    }
    assert len(result.recordings) == len(found.recordings) - 2


@pytest.mark.parametrize(
    ("row", "column", "value", "message"),
    [
        (1, 6, "smokes", r"combined_data\.csv lacks columns"),
        (1, 4, "gender", r"combined_data\.csv lacks columns"),
        (5, 6, "sometimes", r"combined_data\.csv, row 5: the column 'smoker' holds no known label"),
        (5, 4, "47 years", r"combined_data\.csv, row 5: the column 'g' holds no known label"),
        (5, 0, " ", "row 5: the column 'id' is empty"),
    ],
)
def test_a_table_that_is_wrong_is_an_error(copy: Path, row: int, column: int, value: str, message: str) -> None:
    change(copy, TABLE, row, column, value)
    with pytest.raises(ManifestError, match=message) as error:
        READER.read(copy, {})
    said = str(error.value).replace(str(copy), "")
    assert "sometimes" not in said and "47" not in said


def test_what_is_listed_twice_is_an_error(copy: Path, found: ReadResult) -> None:
    table = rows(copy, SHALLOW)
    write(copy, [*table, table[1]], SHALLOW)
    assert [r.key for r in READER.read(copy, {}).recordings] == [r.key for r in found.recordings]
    write(copy, [*table, [table[1][0], "0" if table[1][1] != "0" else "1"]], SHALLOW)
    with pytest.raises(ManifestError, match=rf"row {len(table) + 1}: {table[1][0]} is listed twice"):
        READER.read(copy, {})
    write(copy, table, SHALLOW)
    user = users_of(found)[0]
    change(copy, TABLE, 20, 0, user)
    with pytest.raises(ManifestError, match=f"row 20: the user {user} is listed twice"):
        READER.read(copy, {})


def test_audio_that_is_there_twice_is_an_error(copy: Path, found: ReadResult) -> None:
    user = users_of(found)[0]
    one = audio_of(copy, user)
    shutil.copytree(one.parent, copy / "Extracted_data" / "20220224" / user)
    with pytest.raises(ManifestError, match=f"there are two shallow coughs of {user}"):
        READER.read(copy, {})
    shutil.rmtree(copy / "Extracted_data" / "20220224")
    shutil.copy(one, one.with_name("Cough-Shallow.wav"))
    with pytest.raises(ManifestError, match="two files .* have one name"):
        READER.read(copy, {})


def test_an_annotation_that_is_wrong_is_an_error(copy: Path) -> None:
    table = rows(copy, HEAVY)
    change(copy, HEAVY, 7, 0, table[6][0].replace("heavy", "shallow"))
    with pytest.raises(ManifestError, match=r"cough-heavy_labels\.csv, row 7: names no cough-heavy"):
        READER.read(copy, {})
    write(copy, [row[:1] for row in table], HEAVY)
    with pytest.raises(ManifestError, match=r"cough-heavy_labels\.csv, row 1: has 1 cells, fewer than 2"):
        READER.read(copy, {})
    (copy / HEAVY).unlink()
    with pytest.raises(ManifestError, match=r"no annotations/cough-heavy_labels\.csv"):
        READER.read(copy, {})


def test_another_folder_is_an_error(copy: Path, tmp_path: Path) -> None:
    shutil.rmtree(copy / "Extracted_data")
    with pytest.raises(ManifestError, match="no Coswara recording that can be read"):
        READER.read(copy, {})
    (copy / TABLE).unlink()
    with pytest.raises(ManifestError, match=r"no combined_data\.csv"):
        READER.read(copy, {})
    with pytest.raises(ManifestError, match="there is no folder"):
        READER.read(tmp_path / "nowhere", {})
    with pytest.raises(RecipeError, match="no option"):
        READER.read(copy, {"modality": "cough-heavy"})
