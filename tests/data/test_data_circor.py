"""CirCor: both layouts, children seen in two campaigns, and what is said of each site."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from acula_edge.corpora.circor import link_persons, murmur_at
from acula_edge.data.leaks import find_leaks
from acula_edge.data.manifest import Recording
from acula_edge.data.reader import ReadResult, readers
from acula_edge.data.splits import assign_splits
from acula_edge.errors import ManifestError, RecipeError
from acula_edge.recipe import SplitConfig

COLUMNS = (
    "Patient ID", "Recording locations:", "Age", "Sex", "Height", "Weight", "Pregnancy status", "Murmur",
    "Murmur locations", "Most audible location", "Systolic murmur timing", "Systolic murmur shape",
    "Systolic murmur grading", "Systolic murmur pitch", "Systolic murmur quality", "Diastolic murmur timing",
    "Diastolic murmur shape", "Diastolic murmur grading", "Diastolic murmur pitch", "Diastolic murmur quality",
    "Outcome", "Campaign", "Additional ID",
)  # fmt: skip
PRESENT = {
    "Murmur": "Present",
    "Murmur locations": "AV+TV",
    "Most audible location": "TV",
    "Systolic murmur timing": "Holosystolic",
    "Systolic murmur shape": "Diamond",
    "Systolic murmur grading": "III/VI",
    "Systolic murmur pitch": "High",
    "Systolic murmur quality": "Harsh",
    "Outcome": "Abnormal",
}
# 101 and 205 are one child; 300 is linked to a campaign whose rows are not there.
PATIENTS = [
    {"Patient ID": "101", "Murmur": "Absent", "Age": "Infant", "Additional ID": "205", "Campaign": "CC2014"},
    {"Patient ID": "205", **PRESENT, "Age": "Child", "Sex": "Female", "Additional ID": "101.0", "Campaign": "CC2015"},
    {"Patient ID": "300", "Murmur": "Unknown", "Additional ID": "9"},
    {"Patient ID": "400", "Murmur": "Absent"},
]
RECORDINGS = ("101_AV", "205_AV", "205_MV", "205_TV", "300_Phc", "400_PV", "400_PV_2")


def write_table(root: Path, patients: list[dict[str, str]]) -> None:
    with open(root / "training_data.csv", "w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, restval="nan")
        table.writeheader()
        table.writerows(patients)


@pytest.fixture(params=["release", "copies", "header files"])
def root(request, tmp_path, write_sound) -> Path:
    """The same corpus as released, as FLAC copies, and as released but with the patients' own text files alone."""
    if request.param == "copies":
        with open(tmp_path / "manifest.csv", "w", encoding="utf-8", newline="") as file:
            manifest = csv.writer(file)
            manifest.writerow(["file", "recording", "patient_id"])
            manifest.writerows([f"audio/{name}.flac", name, name.partition("_")[0]] for name in RECORDINGS[::-1])
    for seed, name in enumerate(RECORDINGS):
        file = f"audio/{name}.flac" if request.param == "copies" else f"training_data/{name}.wav"
        write_sound(tmp_path / file, seed)
    if request.param == "header files":
        for patient in PATIENTS:
            lines = [f"{patient['Patient ID']} 1 4000", "AV x.hea x.wav x.tsv"]
            lines += [f"#{column}: {patient.get(column, 'nan')}" for column in COLUMNS[2:]]
            (tmp_path / "training_data" / f"{patient['Patient ID']}.txt").write_text("\n".join(lines))
    else:
        write_table(tmp_path, PATIENTS)
    return tmp_path


def read(root: Path) -> ReadResult:
    return readers["circor"].read(root, {})


def by_name(root: Path) -> dict[str, Recording]:
    return {recording.recording: recording for recording in read(root).recordings}


def test_recordings_are_listed_in_order(root: Path) -> None:
    result = read(root)
    assert [r.recording for r in result.recordings] == list(RECORDINGS)
    assert not result.set_aside
    for recording in result.recordings:
        assert Path(recording.path).is_absolute() and Path(recording.path).is_file()
        assert (recording.dataset, recording.sample_rate_hz, recording.split) == ("circor", 4000, "")
        assert recording.duration_s == pytest.approx(0.3, abs=1e-9)


def test_ids_of_two_campaigns_are_one_person(root: Path) -> None:
    persons = {name: recording.subject for name, recording in by_name(root).items()}
    assert persons["101_AV"] == persons["205_AV"] == persons["205_MV"] == "circor/101"
    assert persons["300_Phc"] == "circor/9"
    assert persons["400_PV"] == persons["400_PV_2"] == "circor/400"


def test_a_person_counts_by_the_most_severe_label_of_both_campaigns(root: Path) -> None:
    strata = {name: recording.stratum for name, recording in by_name(root).items()}
    assert strata["101_AV"] == strata["205_AV"] == "Present"
    assert (strata["300_Phc"], strata["400_PV"]) == ("Unknown", "Absent")


def test_metadata_are_of_the_campaign_and_the_site(root: Path) -> None:
    metadata = {name: recording.metadata for name, recording in by_name(root).items()}
    assert metadata["101_AV"]["murmur"] == "Absent" and metadata["101_AV"]["murmur_at_this_location"] == 0
    at = {name: metadata[name]["murmur_at_this_location"] for name in ("205_AV", "205_MV", "205_TV", "300_Phc")}
    assert at == {"205_AV": 1, "205_MV": 0, "205_TV": 1, "300_Phc": None}
    assert metadata["400_PV_2"]["location"] == "PV"
    expected = {
        "location": "MV",
        "age": "Child",
        "sex": "Female",
        "most_audible_location": "TV",
        "systolic_timing": "Holosystolic",
        "systolic_grading": "III/VI",
        "diastolic_murmur_timing": None,
        "outcome": "Abnormal",
        "campaign": "CC2015",
    }
    assert {key: metadata["205_MV"][key] for key in expected} == expected
    assert metadata["400_PV"]["age"] is None, "what is not there is None, never the text nan"


@pytest.mark.parametrize(
    ("murmur", "locations", "site", "value"),
    [
        ("Present", "AV+MV", "MV", 1),
        ("Present", "AV+MV", "PV", 0),
        ("Present", "Phc", "Phc", 1),
        ("Absent", None, "AV", 0),
        ("Unknown", None, "AV", None),
    ],
)
def test_murmur_at_a_site(murmur: str, locations: str | None, site: str, value: int | None) -> None:
    assert murmur_at(site, {"murmur": murmur, "murmur_locations": locations}) == value


def test_chains_of_ids_are_one_person() -> None:
    links = {"5": "4", "4": "8", "8": None, "7": "nonsense"}
    persons = link_persons({patient: {"additional_id": other} for patient, other in links.items()})
    assert [persons[number] for number in (4, 5, 8, 7)] == [4, 4, 4, 7]


def test_files_that_cannot_be_read_are_set_aside(root: Path) -> None:
    text, missing = read(root).recordings[0], read(root).recordings[-1]
    Path(text.path).write_text("this is no audio")
    Path(missing.path).unlink()
    result = read(root)
    kept = {recording.recording for recording in result.recordings}
    # The released layout has no list of files: what is missing there cannot be noticed.
    aside = {"circor/101_AV"} | ({"circor/400_PV_2"} if (root / "manifest.csv").is_file() else set())
    assert kept == set(RECORDINGS[1:-1])
    assert {entry.recording for entry in result.set_aside} == aside
    assert all(entry.reason and Path(entry.path).is_absolute() for entry in result.set_aside)


def test_nothing_readable_is_an_error(root: Path) -> None:
    for recording in read(root).recordings:
        Path(recording.path).write_bytes(b"")
    with pytest.raises(ManifestError, match="no CirCor DigiScope recording that can be read"):
        read(root)


def test_a_list_of_copies_that_breaks_off_is_an_error(tmp_path: Path, write_sound) -> None:
    write_table(tmp_path, PATIENTS)
    write_sound(tmp_path / "audio/101_AV.flac")
    (tmp_path / "manifest.csv").write_text("file,recording\naudio/101_AV.flac,101_AV\naudio/205_")
    with pytest.raises(ManifestError, match=r"manifest\.csv, row 3"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "words"), [("999_AV", "no patient 999"), ("400_XX", "not named like"), ("x400_AV", "not named like")]
)
def test_recordings_that_the_tables_do_not_explain_are_an_error(
    tmp_path: Path, write_sound, name: str, words: str
) -> None:
    write_table(tmp_path, PATIENTS)
    write_sound(tmp_path / "training_data" / f"{name}.wav")
    with pytest.raises(ManifestError, match=words):
        read(tmp_path)


@pytest.mark.parametrize("murmur", ["nan", "Loud"])
def test_a_patient_without_a_usable_label_is_an_error(tmp_path: Path, murmur: str) -> None:
    write_table(tmp_path, [*PATIENTS, {"Patient ID": "500", "Murmur": murmur, "Age": "Neonate"}])
    with pytest.raises(ManifestError, match="patient 500") as caught:
        read(tmp_path)
    assert "Neonate" not in str(caught.value)


def test_another_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="is not CirCor"):
        read(tmp_path)
    with pytest.raises(ManifestError, match="there is no folder"):
        read(tmp_path / "nowhere")
    (tmp_path / "manifest.csv").write_text("path,subject\na.wav,1\n")
    write_table(tmp_path, PATIENTS)
    with pytest.raises(ManifestError, match="lacks columns"):
        read(tmp_path)


def test_there_are_no_options(root: Path) -> None:
    with pytest.raises(RecipeError, match="no option 'campaign'"):
        readers["circor"].read(root, {"campaign": "CC2014"})


@pytest.mark.real_data
def test_the_real_copies(shared_dir: Path) -> None:
    result = read(shared_dir / "data" / "circor-digiscope")
    assert (len(result.recordings), len(result.set_aside)) == (864, 0)
    assert len({recording.subject for recording in result.recordings}) == 235
    assert {recording.sample_rate_hz for recording in result.recordings} == {4000}
    assert sum(recording.duration_s for recording in result.recordings) / 3600 == pytest.approx(5.52, abs=0.005)
    strata = {recording.subject: recording.stratum for recording in result.recordings}
    assert sorted(list(strata.values()).count(label) for label in set(strata.values())) == [25, 95, 115]
    # The copies' own table was made independently of the reader.
    with open(shared_dir / "data" / "circor-digiscope" / "manifest.csv", encoding="utf-8-sig", newline="") as file:
        rows = {row["recording"]: row for row in csv.DictReader(file)}
    for recording in result.recordings:
        row, facts = rows[recording.recording], recording.metadata
        assert recording.subject == f"circor/{row['person_group']}"
        assert (facts["location"], facts["murmur"]) == (row["location"], row["murmur"])
        assert ("" if facts["murmur_at_this_location"] is None else str(facts["murmur_at_this_location"])) == row[
            "murmur_at_this_location"
        ]


@pytest.mark.real_data
@pytest.mark.parametrize("fold", range(5))
def test_no_real_child_is_on_two_sides(shared_dir: Path, fold: int) -> None:
    split = assign_splits(read(shared_dir / "data" / "circor-digiscope").recordings, SplitConfig(folds=5, fold=fold))
    assert find_leaks(split) == []
    sides = {side: {r.subject for r in split if r.split == side} for side in ("train", "val", "test")}
    assert sum(map(len, sides.values())) == 235 and len(sides["test"]) == 47
    with_murmur = {r.subject for r in split if r.split == "test" and r.stratum == "Present"}
    assert len(with_murmur) == 19, "95 persons with a murmur in five folds"
