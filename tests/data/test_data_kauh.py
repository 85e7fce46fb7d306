"""KAUH: names that carry the metadata, both layouts, and one sound under two diagnoses."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import pytest
import soundfile

from acula_edge.corpora.kauh import diagnosis_group, spell_diagnosis, spell_location, spell_sound
from acula_edge.data.leaks import find_leaks
from acula_edge.data.reader import ReadResult, readers
from acula_edge.data.splits import assign_splits
from acula_edge.errors import ManifestError
from acula_edge.recipe import SplitConfig

# name as released, seed of its sound. DP4 and DP5 hold one sound under two diagnoses; BP6 and DP6 one under the same.
RELEASED = {
    "BP1_Asthma,I E W,P L L,70,M": 0,
    "DP1_Asthma,I E W,P L L,70,M": 1,
    "EP1_Asthma,I E W,P L L,70,M": 2,
    "BP2_N,N,A R U,24,F": 3,
    "DP3_Heart Failure + COPD ,C,P L R ,60,M": 4,
    "BP4_N,N,P R M,33,F": 5,
    "DP4_N,N,P R M,33,F": 6,
    "BP5_asthma,E W,P R L,58,M": 7,
    "DP5_asthma,E W,P R L,58,M": 6,
    "BP6_BRON,Crep,P L M,41,F": 8,
    "DP6_BRON,Crep,P L M,41,F": 8,
}
IDS = [name.partition("_")[0] for name in RELEASED]
ASIDE = {"DP4", "DP5"}


def write_release(root: Path, write_sound, folder: str = "AudioFiles") -> Path:
    for name, seed in RELEASED.items():
        write_sound(root / folder / f"{name}.wav", seed)
    return root


def write_copies(root: Path, write_sound) -> Path:
    rows = []
    for name, seed in RELEASED.items():
        recording, _, facts = name.partition("_")
        diagnosis, sound, location, age, sex = facts.split(",")
        path = write_sound(root / "audio" / f"{recording}.flac", seed)
        samples = soundfile.read(path, dtype="int16")[0]
        rows.append(
            {
                "file": f"audio/{recording}.flac",
                "recording": recording,
                "patient": recording[2:],
                "leak_group": "4" if recording[2:] == "5" else recording[2:],
                "stethoscope_filter": {"B": "bell", "D": "diaphragm", "E": "extended"}[recording[0]],
                "diagnosis": spell_diagnosis(diagnosis),
                "sound": spell_sound(sound),
                "location_code": location.strip(),
                "age": age,
                "sex": sex,
                "pcm_sha256": hashlib.sha256(samples.tobytes()).hexdigest(),
            }
        )
    with open(root / "manifest.csv", "w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    return root


@pytest.fixture(params=["AudioFiles", "Audio Files", "", "copies"])
def root(request, tmp_path, write_sound) -> Path:
    if request.param == "copies":
        return write_copies(tmp_path, write_sound)
    return write_release(tmp_path, write_sound, request.param)


def read(root: Path) -> ReadResult:
    return readers["kauh"].read(root, {})


def test_recordings_that_contradict_each_other_are_set_aside(root: Path) -> None:
    result = read(root)
    assert [r.recording for r in result.recordings] == sorted(set(IDS) - ASIDE)
    aside = {entry.recording: entry for entry in result.set_aside}
    assert set(aside) == {f"kauh/{name}" for name in ASIDE}
    assert "DP5" in aside["kauh/DP4"].reason and "DP4" in aside["kauh/DP5"].reason
    assert not any(word in entry.reason.casefold() for entry in result.set_aside for word in ("asthma", "normal"))


def test_patients_with_one_sound_are_one_person(root: Path) -> None:
    persons = {recording.recording: recording.subject for recording in read(root).recordings}
    assert persons["BP4"] == persons["BP5"] == "kauh/4"
    assert {persons[name] for name in ("BP1", "DP1", "EP1")} == {"kauh/1"}
    assert {persons[name] for name in ("BP6", "DP6")} == {"kauh/6"}
    assert len(set(persons.values())) == 5


def test_strata_are_of_the_person(root: Path) -> None:
    strata = {recording.recording: recording.stratum for recording in read(root).recordings}
    assert (strata["EP1"], strata["BP2"], strata["DP3"], strata["BP6"]) == ("asthma", "normal", "copd", "other")
    assert strata["BP4"] == strata["BP5"] == "asthma"


def test_metadata_are_spelled_out(root: Path) -> None:
    metadata = {recording.recording: recording.metadata for recording in read(root).recordings}
    assert metadata["EP1"] == {
        "diagnosis": "Asthma",
        "sound": "Inspiratory + expiratory wheeze",
        "stethoscope_filter": "extended",
        "location": "posterior left lower",
        "age": 70,
        "sex": "Male",
    }
    assert metadata["DP3"]["diagnosis"] == "Heart failure + COPD" and metadata["DP3"]["location"] == "posterior"
    assert metadata["BP2"]["sound"] == "Normal" and metadata["BP2"]["sex"] == "Female"


def test_both_layouts_say_the_same(tmp_path: Path, write_sound) -> None:
    released = read(write_release(tmp_path / "release", write_sound))
    copied = read(write_copies(tmp_path / "copies", write_sound))

    def told(result: ReadResult) -> list[object]:
        return [(r.key, r.subject, r.stratum, r.sample_rate_hz, r.duration_s, r.metadata) for r in result.recordings]

    assert told(released) == told(copied)
    assert {entry.recording for entry in released.set_aside} == {entry.recording for entry in copied.set_aside}


def test_duplicates_are_found_where_only_the_middle_is_equal(tmp_path: Path, write_sound) -> None:
    middle = soundfile.read(write_sound(tmp_path / "middle.wav", seconds=10.0, rate=1000), dtype="int16")[0]
    for name, pad in (("BP1_N,N,P L L,40,M", 500), ("BP2_COPD,E W,P L L,70,M", 1500)):
        (tmp_path / "AudioFiles").mkdir(exist_ok=True)
        padded = [*([pad] * pad), *middle, *([pad] * pad)]
        soundfile.write(tmp_path / "AudioFiles" / f"{name}.wav", [sample / 32768 for sample in padded], 1000)
    write_sound(tmp_path / "AudioFiles" / "BP3_N,N,P L L,40,M.wav", 3, rate=1000)
    result = read(tmp_path)
    assert [r.recording for r in result.recordings] == ["BP3"]
    assert {entry.recording for entry in result.set_aside} == {"kauh/BP1", "kauh/BP2"}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("N", "Normal"),
        ("normal", "Normal"),
        ("asthma", "Asthma"),
        ("Asthma", "Asthma"),
        ("COPD", "COPD"),
        ("copd", "COPD"),
        ("BRON", "Bronchitis"),
        ("pneumonia", "Pneumonia"),
        ("Plueral Effusion", "Pleural effusion"),
        ("Lung Fibrosis ", "Lung fibrosis"),
        ("heart failure", "Heart failure"),
        ("Heart Failure + COPD ", "Heart failure + COPD"),
        ("Heart Failure + Lung Fibrosis ", "Heart failure + lung fibrosis"),
        ("Asthma and lung fibrosis", "Asthma + lung fibrosis"),
    ],
)
def test_diagnoses_are_spelled_alike(code: str, words: str) -> None:
    assert spell_diagnosis(code) == words
    assert spell_diagnosis(words) == words


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("N", "Normal"),
        ("E W", "Expiratory wheeze"),
        ("I E W", "Inspiratory + expiratory wheeze"),
        ("I C E W", "Inspiratory crackles + expiratory wheeze"),
        ("I C", "Inspiratory crackles"),
        ("C", "Crackles"),
        ("Crep", "Crepitations"),
        ("Bronchial", "Bronchial"),
        ("I ", "I"),
    ],
)
def test_sounds_are_spelled_out(code: str, words: str) -> None:
    assert spell_sound(code) == words


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("P L U", "posterior left upper"),
        ("A R M", "anterior right middle"),
        ("P L L R", "posterior"),
        ("P L R ", "posterior"),
        ("", None),
        ("X", None),
    ],
)
def test_locations_are_spelled_out_as_far_as_they_follow_the_scheme(code: str, words: str | None) -> None:
    assert spell_location(code) == words


@pytest.mark.parametrize(
    ("diagnosis", "group"),
    [("Heart failure + COPD", "copd"), ("Asthma + lung fibrosis", "asthma"), ("Normal", "normal"),
     ("Heart failure", "other"), (None, "other")],
)  # fmt: skip
def test_groups_of_diagnoses(diagnosis: str | None, group: str) -> None:
    assert diagnosis_group(diagnosis) == group


def test_files_that_cannot_be_read_are_set_aside(root: Path) -> None:
    paths = {recording.recording: Path(recording.path) for recording in read(root).recordings}
    paths["BP1"].write_text("this is no audio")
    paths["BP2"].write_bytes(b"")
    result = read(root)
    assert {entry.recording for entry in result.set_aside} == {f"kauh/{name}" for name in (*ASIDE, "BP1", "BP2")}
    assert {r.recording for r in result.recordings} == set(IDS) - ASIDE - {"BP1", "BP2"}


@pytest.mark.parametrize("name", ["BP1", "BP1_Asthma,E W,P L L,70", "XP1_N,N,P L L,70,M", "BPx_N,N,P L L,70,M"])
def test_a_name_that_says_nothing_is_an_error(tmp_path: Path, write_sound, name: str) -> None:
    write_sound(tmp_path / "AudioFiles" / f"{name}.wav")
    with pytest.raises(ManifestError, match="not named like a recording of KAUH"):
        read(tmp_path)


def test_another_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no KAUH recording"):
        read(tmp_path)
    with pytest.raises(ManifestError, match="there is no folder"):
        read(tmp_path / "nowhere")
    (tmp_path / "manifest.csv").write_text("file,recording,patient\na.flac,a,1\n")
    with pytest.raises(ManifestError, match="lacks columns"):
        read(tmp_path)


@pytest.mark.parametrize("kept", [0.5, 0.9, 0.97])
def test_a_list_of_copies_that_breaks_off_is_an_error(tmp_path: Path, write_sound, kept: float) -> None:
    manifest = write_copies(tmp_path, write_sound) / "manifest.csv"
    text = manifest.read_text(encoding="utf-8")
    # Broken off within a row, after its first cell.
    start = text.rindex("\n", 0, round(len(text) * kept)) + 1
    manifest.write_text(text[: text.index(",", start) + 3], encoding="utf-8")
    with pytest.raises(ManifestError, match=r"manifest\.csv, row \d+"):
        read(tmp_path)


@pytest.mark.real_data
def test_the_real_copies(shared_dir: Path) -> None:
    folder = shared_dir / "data" / "kauh-lung-10s"
    result = read(folder)
    assert (len(result.recordings), len(result.set_aside)) == (261, 6)
    with open(folder / "manifest.csv", encoding="utf-8-sig", newline="") as file:
        rows = {row["recording"]: row for row in csv.DictReader(file)}
    conflicts = {f"kauh/{name}" for name, row in rows.items() if row["label_conflict_among_duplicates"] == "1"}
    assert len(rows) == 267 and {entry.recording for entry in result.set_aside} == conflicts
    for recording in result.recordings:
        row = rows[recording.recording]
        assert recording.subject == f"kauh/{row['leak_group']}"
        diagnosis, sound, location, _, _ = row["name_in_kauh"].partition("_")[2].split(",")
        assert recording.metadata["diagnosis"] == spell_diagnosis(diagnosis)
        assert recording.metadata["sound"] == spell_sound(sound)
        assert recording.metadata["location"] == spell_location(location)


@pytest.mark.real_data
@pytest.mark.parametrize("fold", range(5))
def test_no_real_patient_is_on_two_sides(shared_dir: Path, fold: int) -> None:
    split = assign_splits(read(shared_dir / "data" / "kauh-lung-10s").recordings, SplitConfig(folds=5, fold=fold))
    assert find_leaks(split) == []
    sides = [{r.subject for r in split if r.split == side} for side in ("train", "val", "test")]
    assert sum(map(len, sides)) == len(set.union(*sides)) == len({r.subject for r in split})
