"""SPRSound: names and annotations per recording, the challenge's split, records of poor quality."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from acula_edge.corpora.sprsound import LOCATIONS, read_annotation
from acula_edge.data.leaks import count_leaks, find_leaks
from acula_edge.data.reader import ReadResult, readers
from acula_edge.data.splits import assign_splits
from acula_edge.errors import ManifestError
from acula_edge.recipe import SplitConfig

READER = readers["sprsound"]


@pytest.fixture(scope="module")
def release(make_miniature) -> Path:
    return make_miniature("sprsound", subjects=32)


@pytest.fixture(scope="module")
def found(release: Path) -> ReadResult:
    return READER.read(release, {})


@pytest.fixture
def copy(release: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(release, tmp_path / "copy"))


def test_names_annotations_and_diseases_are_read(release: Path, found: ReadResult) -> None:
    assert len(found.recordings) + len(found.set_aside) == 64
    for recording in found.recordings:
        patient, age, sex, place, _ = recording.recording.split("_")
        facts = recording.metadata
        assert recording.subject == f"sprsound/{patient}" and facts["age"] == float(age)
        assert facts["sex"] == ("Male", "Female")[int(sex)] and facts["disease"]
        assert facts["location"] == LOCATIONS[place] and facts["sound"] == "lung"
        assert facts["record_annotation"] == recording.stratum and facts["most_common_event"] in facts["events"]
        assert facts["record_annotation"] != "Normal" or facts["events"] == "Normal"
    assert set(Counter(r.stratum for r in found.recordings)) == {"Normal", "CAS", "DAS", "CAS & DAS"}


def test_poor_and_absent_recordings_are_set_aside(found: ReadResult) -> None:
    reasons = Counter(entry.reason[:12] for entry in found.set_aside)
    assert reasons["there is no "] == 1 and reasons["annotated as"] == 2
    assert len(found.warnings) == 1 and "64" in found.warnings[0] and "2683" in found.warnings[0]


def test_the_challenge_s_split_is_followed_or_replaced(release: Path, found: ReadResult) -> None:
    published = READER.published(release, found.recordings, {})
    assert published is not None and published.exact and not published.by_person
    followed = assign_splits(found.recordings, SplitConfig(rule="published"), {"sprsound": published})
    assert {r.split for r in followed} == {"train", "test"} and count_leaks(followed)[0].persons == 4
    assert find_leaks(assign_splits(found.recordings, SplitConfig(), {"sprsound": published})) == []


def test_the_release_s_own_folder_can_be_given(release: Path, found: ReadResult) -> None:
    inner = READER.read(release / "BioCAS2022", {})
    assert [r.key for r in inner.recordings] == [r.key for r in found.recordings]
    assert {r.metadata["disease"] for r in inner.recordings} == {None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"event_annotation": []}', "record_annotation holds no known label"),
        ('{"record_annotation": "Wheezy"}', "record_annotation holds no known label"),
        (
            '{"record_annotation": "CAS", "event_annotation": [{"type": "Cough"}]}',
            "event_annotation holds no known label",
        ),
        ('{"record_annotation": "CAS", "event_annotation": [{"start": "1"}]}', "cannot be read"),
    ],
)
def test_an_annotation_that_is_wrong_is_an_error(copy: Path, text: str, message: str) -> None:
    file = next((copy / "BioCAS2022" / "train2022_json").glob("*.json"))
    file.write_text(text)
    with pytest.raises(ManifestError, match=message) as error:
        READER.read(copy, {})
    assert file.name in str(error.value) and "Wheezy" not in str(error.value) and "Cough" not in str(error.value)


def test_both_spellings_of_the_annotation_s_key(tmp_path: Path) -> None:
    events = [{"type": "Normal"}, {"type": "wheeze"}, {"type": "Wheeze"}, {"type": "Rhonchi"}]
    for key in ("record_annotation", "recording_annotation"):
        (tmp_path / "a.json").write_text(json.dumps({key: "cas & das", "event_annotation": events}), "utf-8-sig")
        assert read_annotation(tmp_path / "a.json") == ("CAS & DAS", ["Wheeze", "Normal", "Rhonchi"])


def test_audio_that_cannot_serve_is_set_aside(copy: Path, found: ReadResult) -> None:
    first, second = (Path(str(copy) + r.path[r.path.index("/BioCAS2022") :]) for r in found.recordings[4:6])
    first.write_text("this is no audio")
    (copy / "BioCAS2022" / "train2022_json" / f"{second.stem}.json").unlink()
    result = READER.read(copy, {})
    reasons = {entry.recording.partition("/")[2]: entry.reason for entry in result.set_aside}
    assert "cannot be decoded" in reasons[first.stem] and reasons[second.stem] == "it has no annotation"


def test_a_recording_of_both_sets_is_an_error(copy: Path, found: ReadResult) -> None:
    name = found.recordings[4].recording
    release = copy / "BioCAS2022"
    shutil.copy(release / "train2022_wav" / f"{name}.wav", release / "test2022_wav" / f"{name}.wav")
    shutil.copy(release / "train2022_json" / f"{name}.json", release / "test2022_json" / f"{name}.json")
    with pytest.raises(ManifestError, match=f"the recording {name} is listed twice"):
        READER.read(copy, {})
    shutil.copy(release / "test2022_json" / f"{name}.json", release / "test2022_json" / "inter_test_json")
    with pytest.raises(ManifestError, match=f"the recording {name} is annotated twice"):
        READER.read(copy, {})


def test_another_folder_is_an_error(copy: Path, tmp_path: Path) -> None:
    wav = next((copy / "BioCAS2022" / "train2022_wav").glob("*.wav"))
    shutil.copy(wav, wav.with_name("40000000_2.0_9_p1_5.wav"))
    with pytest.raises(ManifestError, match="not named like a recording of SPRSound"):
        READER.read(copy, {})
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match="not SPRSound"):
        READER.read(tmp_path / "empty", {})
