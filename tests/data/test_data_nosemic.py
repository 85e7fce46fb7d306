"""NoseMic: everything is in the files' names, and sixteen users count."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from acula_edge.data.reader import ReadResult, readers
from acula_edge.data.splits import assign_splits
from acula_edge.errors import ManifestError
from acula_edge.recipe import SplitConfig

READER = readers["nosemic"]
USERS = {*range(4, 15), *range(17, 22)}


@pytest.fixture(scope="module")
def release(make_miniature) -> Path:
    return make_miniature("nosemic")


@pytest.fixture(scope="module")
def found(release: Path) -> ReadResult:
    return READER.read(release, {})


@pytest.fixture
def copy(release: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(release, tmp_path / "copy"))


def test_the_name_holds_user_session_and_rate(found: ReadResult) -> None:
    assert {recording.subject for recording in found.recordings} == {f"nosemic/{user}" for user in USERS}
    assert len(found.recordings) == 96 and not found.set_aside
    for recording in found.recordings:
        user, session, segment, rate = recording.recording.split("_")
        assert recording.metadata == {
            "sound": "nasal breathing",
            "respiratory_rate": float(rate),
            "session": session,
            "segment": segment,
        }
        assert recording.subject == f"nosemic/{user}" and recording.sample_rate_hz == 16000
    assert sum(recording.path.endswith(".WAV") for recording in found.recordings) == 1


def test_other_users_are_left_out_with_a_warning(found: ReadResult) -> None:
    strangers, counts = found.warnings
    assert "1 recordings of the users 2 are left out" in strangers
    assert "96" in counts and "1297" in counts


def test_every_user_is_tested_on(release: Path, found: ReadResult) -> None:
    assert READER.corpus is not None and READER.corpus.test_only
    published = READER.published(release, found.recordings, {})
    assert published is not None and published.exact and published.by_person
    for rule in ("clean", "published"):
        assigned = assign_splits(found.recordings, SplitConfig(rule=rule), {"nosemic": published})
        assert {recording.split for recording in assigned} == {"test"}


def test_the_audio_folder_itself_can_be_given(release: Path, found: ReadResult) -> None:
    assert len(READER.read(release / "audio", {}).recordings) == len(found.recordings)


def test_files_that_cannot_be_read_are_set_aside(copy: Path) -> None:
    (copy / "audio" / "4_9_9_12.wav").write_bytes(b"")
    result = READER.read(copy, {})
    assert [entry.recording for entry in result.set_aside] == ["nosemic/4_9_9_12"]
    assert len(result.recordings) == 96


@pytest.mark.parametrize("name", ["4_1_1.wav", "x_1_1_12.wav", "4_1_1_fast.wav", "4_1_1_12_3.wav", "segment.wav"])
def test_a_name_that_says_nothing_is_an_error(copy: Path, name: str) -> None:
    shutil.copy(next((copy / "audio").glob("4_*.wav")), copy / "audio" / name)
    with pytest.raises(ManifestError, match="not named like a recording of NoseMic"):
        READER.read(copy, {})


@pytest.mark.parametrize("rate", ["0", "400"])
def test_a_rate_that_nobody_breathes_at_is_an_error(copy: Path, rate: str) -> None:
    shutil.copy(next((copy / "audio").glob("4_*.wav")), copy / "audio" / f"4_8_8_{rate}.wav")
    with pytest.raises(ManifestError, match=f"4_8_8_{rate}.wav ends in no respiratory rate"):
        READER.read(copy, {})


def test_a_recording_that_is_there_twice_is_an_error(copy: Path) -> None:
    path = next((copy / "audio").glob("4_*.wav"))
    shutil.copy(path, path.with_suffix(".WAV"))
    with pytest.raises(ManifestError, match="two files .* have one name"):
        READER.read(copy, {})


def test_another_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="holds no NoseMic recording"):
        READER.read(tmp_path, {})
    with pytest.raises(ManifestError, match="there is no folder"):
        READER.read(tmp_path / "nowhere", {})
