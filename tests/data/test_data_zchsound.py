"""ZCHSound: a table with semicolons, the noisy recordings on request, and an assumed partition."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from acula_edge.corpora.zchsound import spell_age
from acula_edge.data.leaks import find_leaks
from acula_edge.data.reader import ReadResult, readers
from acula_edge.data.splits import assign_splits
from acula_edge.errors import ManifestError, RecipeError
from acula_edge.recipe import SplitConfig

READER = readers["zchsound"]
TABLE = "Clean Heartsound Data Details.csv"


@pytest.fixture(scope="module")
def release(make_miniature) -> Path:
    return make_miniature("zchsound", subjects=30)


@pytest.fixture(scope="module")
def found(release: Path) -> ReadResult:
    return READER.read(release, {})


@pytest.fixture
def copy(release: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(release, tmp_path / "copy"))


def lines(root: Path, name: str = TABLE) -> list[str]:
    return (root / name).read_text(encoding="utf-8-sig").splitlines()


def write(root: Path, text: list[str], name: str = TABLE) -> None:
    (root / name).write_text("\n".join(text) + "\n", encoding="utf-8")


def test_the_clean_recordings_are_read(release: Path, found: ReadResult) -> None:
    listed = [line.split(";") for line in lines(release)[1:]]
    assert [r.recording for r in found.recordings] == [row[0][:-4] for row in listed if row[0] != "ZCH0011.wav"]
    assert [entry.recording for entry in found.set_aside] == ["zchsound/ZCH0011"]
    by_name = {row[0][:-4]: row for row in listed}
    for recording in found.recordings:
        _, sex, age_days, diagnosis = by_name[recording.recording]
        assert recording.metadata["diagnosis"] == recording.stratum == diagnosis
        assert recording.metadata["sex"] == {"M": "Male", "F": "Female"}[sex]
        assert recording.metadata["age"] == spell_age(age_days)
        assert (recording.metadata["sound"], recording.metadata["noise"]) == ("heart", "clean")
        assert recording.subject == recording.key
    assert next(r for r in found.recordings if r.recording == "ZCH0005").path.endswith(".WAV")
    assert len(found.warnings) == 1 and "72" in found.warnings[0] and "941" in found.warnings[0]


def test_the_noisy_ones_are_read_on_request(release: Path, found: ReadResult) -> None:
    both = READER.read(release, {"noisy": True})
    noisy = [r for r in both.recordings if r.metadata["noise"] == "noisy"]
    assert len(noisy) == 5 and len(both.recordings) == len(found.recordings) + 5
    assert READER.read(release, {"noisy": False}).recordings == found.recordings
    with pytest.raises(RecipeError, match="true or false"):
        READER.read(release, {"noisy": "yes"})
    with pytest.raises(RecipeError, match="no option"):
        READER.read(release, {"noise": True})


def test_the_partition_follows_the_table(release: Path, found: ReadResult) -> None:
    published = READER.published(release, found.recordings, {})
    assert published is not None and not published.exact and published.by_person
    sides = Counter(split["*"] for split in published.splits.values())
    assert sum(sides.values()) == 71 and sides["test"] in (14, 15) and sides["val"] in (11, 12)
    assigned = assign_splits(found.recordings, SplitConfig(), {"zchsound": published})
    assert find_leaks(assigned) == []
    assert {r.key: r.split for r in assigned} == {key: split["*"] for key, split in published.splits.items()}
    for label in ("NORMAL", "VSD", "ASD"):
        assert {r.split for r in assigned if r.stratum == label} == {"train", "val", "test"}


def test_a_missing_file_moves_nobody_to_another_side(copy: Path, found: ReadResult) -> None:
    before = READER.published(copy, found.recordings, {})
    (copy / "clean Heartsound Data" / "ZCH0020.wav").unlink()
    after = READER.published(copy, READER.read(copy, {}).recordings, {})
    assert before is not None and after is not None
    assert after.splits == {key: split for key, split in before.splits.items() if key != "zchsound/ZCH0020"}


def test_too_few_recordings_have_no_published_partition(copy: Path) -> None:
    write(copy, lines(copy)[:4])
    assert READER.published(copy, READER.read(copy, {}).recordings, {}) is None


def test_audio_that_cannot_serve_is_set_aside_or_left_out(copy: Path) -> None:
    folder = copy / "clean Heartsound Data"
    (folder / "ZCH0002.wav").write_text("this is no audio")
    (folder / "ZCH0003.wav").rename(folder / "ZCH9003.wav")
    result = READER.read(copy, {})
    assert {entry.recording for entry in result.set_aside} == {f"zchsound/ZCH00{n}" for n in ("02", "03", "11")}
    assert result.warnings[0] == "zchsound: 1 audio files are in no table and are left out"


def test_names_may_lack_their_ending(copy: Path, found: ReadResult) -> None:
    write(copy, [line.replace(".wav", "") for line in lines(copy)])
    assert READER.read(copy, {}).recordings == [
        type(r)(**{**vars(r), "path": r.path.replace(str(Path(r.path).parents[1]), str(copy))})
        for r in found.recordings
    ]


@pytest.mark.parametrize(
    ("row", "column", "value", "message"),
    [
        (1, 3, "disease", "lacks columns"),
        (4, 3, "TOF", r"Details\.csv, row 4: the column 'diagnosis' holds no known label"),
        (4, 3, "", "row 4: the column 'diagnosis' holds no known label"),
        (4, 0, "ZCH0001.wav", "row 4: the recording ZCH0001 is listed twice"),
        (4, 0, " ", "row 4: the column 'fileName' is empty"),
    ],
)
def test_a_table_that_is_wrong_is_an_error(copy: Path, row: int, column: int, value: str, message: str) -> None:
    text = lines(copy)
    cells = text[row - 1].split(";")
    cells[column] = value
    text[row - 1] = ";".join(cells)
    write(copy, text)
    with pytest.raises(ManifestError, match=message) as error:
        READER.read(copy, {})
    assert "TOF" not in str(error.value)


def test_a_recording_of_both_tables_is_an_error(copy: Path) -> None:
    noisy = "Noise Heartsound Data Details.csv"
    write(copy, [*lines(copy, noisy), "ZCH0001.wav;M;9;ASD"], noisy)
    READER.read(copy, {})
    with pytest.raises(ManifestError, match=r"Noise.*row 7: the recording ZCH0001 is listed twice"):
        READER.read(copy, {"noisy": True})


def test_a_row_that_breaks_off_is_an_error(copy: Path) -> None:
    write(copy, [*lines(copy)[:-1], "ZCH0072.wav;M"])
    with pytest.raises(ManifestError, match="row 73: has another number of cells"):
        READER.read(copy, {})


def test_another_folder_is_an_error(copy: Path) -> None:
    shutil.rmtree(copy / "Noise Heartsound Data Details")
    with pytest.raises(ManifestError, match="no folder of noisy recordings"):
        READER.read(copy, {"noisy": True})
    (copy / TABLE).unlink()
    with pytest.raises(ManifestError, match="not ZCHSound"):
        READER.read(copy, {})


@pytest.mark.parametrize(
    ("days", "text"),
    [("0", "0 days"), ("1", "1 day"), ("59", "59 days"), ("300", "9 months"), ("730", "23 months"), ("731", "2 years"),
     ("2310", "6 years"), ("3.0", "3 days"), ("-1", None), ("", None), (None, None), ("old", None), ("inf", None)],
)  # fmt: skip
def test_ages_are_spelled_as_people_say_them(days: str | None, text: str | None) -> None:
    assert spell_age(days) == text
