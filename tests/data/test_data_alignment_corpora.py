"""Corpora that only serve alignment: HF_Lung_V1, FluSense and CinC 2016, on miniature releases."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from acula_edge.clinical_text.corpus import write_reports
from acula_edge.corpora.cinc2016 import find_person, spell_diagnosis
from acula_edge.corpora.flusense import read_labels as read_grid
from acula_edge.corpora.hf_lung import phase_of
from acula_edge.data.leaks import find_leaks
from acula_edge.data.manifest import Recording
from acula_edge.data.reader import ReadResult, readers
from acula_edge.data.splits import assign_splits
from acula_edge.errors import ManifestError
from acula_edge.probe.tasks import tasks
from acula_edge.recipe import ReportsConfig, SplitConfig

NEW = ("hf_lung", "flusense", "cinc2016")
PERSON = r"\b(fe)?male\b|years old|\baged\b"


def read(name: str, root: Path) -> ReadResult:
    return readers[name].read(root, {})


def copy_of(make_miniature, name: str, folder: Path) -> Path:
    return Path(shutil.copytree(make_miniature(name), folder / "copy"))


def by_name(result: ReadResult) -> dict[str, Recording]:
    return {recording.recording: recording for recording in result.recordings}


@pytest.mark.parametrize("name", [*NEW, "sprsound", "bmdhs"])
def test_a_corpus_can_be_aligned_on(make_miniature, name: str) -> None:
    result, corpus = read(name, make_miniature(name)), readers[name].corpus
    assert corpus is not None and corpus.name == name and corpus.recordings
    assert any(str(corpus.recordings) in warning for warning in result.warnings)
    assigned = assign_splits(result.recordings, SplitConfig())
    assert find_leaks(assigned) == [] and {r.split for r in assigned} == {"train", "val", "test"}
    for recording in result.recordings[::3]:
        assert Path(recording.path).is_absolute() and recording.subject.startswith(f"{name}/")
        reports = write_reports(recording, ReportsConfig(variants=3, leave_out=[]))
        assert not any(re.search(PERSON, text, re.IGNORECASE) for text in reports)
        assert not any(re.search(r"None|[{}_]|  |\.\.", text) or text[-1] != "." for text in reports), reports


def test_corpora_without_a_task_are_known_as_such() -> None:
    without = {name for name in readers if readers[name].corpus and not any(tasks[t].dataset == name for t in tasks)}
    assert without == {*NEW, "sprsound"}
    assert without == {name for name in readers if (corpus := readers[name].corpus) and corpus.alignment_only}


@pytest.mark.parametrize("name", NEW)
def test_another_folder_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ManifestError):
        read(name, tmp_path)
    with pytest.raises(ManifestError, match="there is no folder"):
        read(name, tmp_path / "absent")


def test_hf_lung_counts_a_date_as_a_person(make_miniature) -> None:
    root = make_miniature("hf_lung")
    result = read("hf_lung", root)
    assert len({r.subject for r in result.recordings}) == 20 and len(result.recordings) == 39
    assert [entry.reason for entry in result.set_aside] == ["it has no label file"]
    assert any("one date" in warning for warning in result.warnings)
    devices = Counter((r.metadata["device"], r.metadata["location"] is None) for r in result.recordings)
    assert set(devices) == {("HF-Type-1", False), ("Littmann 3200", True)}
    assert any(r.path.endswith(".WAV") for r in result.recordings)
    partition = readers["hf_lung"].published(root, result.recordings, {})
    assert partition is not None and partition.exact and not partition.by_person
    assert Counter(split["*"] for split in partition.splits.values()) == {"train": 31, "test": 8}


def test_hf_lung_labels_become_facts(make_miniature, tmp_path: Path) -> None:
    root = copy_of(make_miniature, "hf_lung", tmp_path)
    notes = sorted((root / "train").glob("steth_*_label.txt"))[0]
    name = notes.name.removesuffix("_label.txt")
    notes.write_text("I 00:00:00.000 00:00:01.000\nWheeze 00:00:00.500 00:00:02.500\nE 00:00:02.000 00:00:03.000\n")
    found = by_name(read("hf_lung", root))[name].metadata
    assert (found["wheeze"], found["stridor"], found["rhonchi"], found["crackles"]) == (1, 0, 0, 0)
    assert found["wheeze_phase"] == "inspiratory and expiratory" and found["crackles_phase"] is None
    notes.write_text("\n")
    found = by_name(read("hf_lung", root))[name].metadata
    assert found["wheeze"] is None and found["crackles"] is None
    assert phase_of([("D", 0.0, 1.0), ("I", 1.0, 2.0)], "D") is None
    for line in ("Normal 00:00:00 00:00:01", "D 00:00:02 00:00:01", "D 00:00:02", "D one two"):
        notes.write_text(line)
        with pytest.raises(ManifestError, match="line 1"):
            read("hf_lung", root)


def test_hf_lung_names_that_are_none(make_miniature, tmp_path: Path) -> None:
    root = copy_of(make_miniature, "hf_lung", tmp_path)
    first = sorted((root / "train").glob("*.wav"))[0]
    shutil.copy(first, root / "train" / "anonymous.wav")
    with pytest.raises(ManifestError, match="not named like"):
        read("hf_lung", root)
    (root / "train" / "anonymous.wav").unlink()
    shutil.copy(first, root / "test" / first.name)
    with pytest.raises(ManifestError, match="is listed twice"):
        read("hf_lung", root)


def test_flusense_counts_a_video_as_a_person(make_miniature) -> None:
    result = read("flusense", make_miniature("flusense"))
    clips = Counter(r.subject for r in result.recordings)
    assert max(clips.values()) == 2 and all(len(subject.partition("/")[2]) == 11 for subject in clips)
    reasons = Counter(entry.reason[:12] for entry in result.set_aside)
    assert reasons["there is no "] == 1 and reasons["no event of "] >= 1
    assert any("1 audio files have no TextGrid" in warning for warning in result.warnings)
    for recording in result.recordings:
        assert (recording.metadata["coughs"] > 0) == (recording.metadata["sound"] == "cough")


def test_flusense_grids_in_any_encoding(tmp_path: Path) -> None:
    grid = 'Object class = "TextGrid"\nintervals [1]:\n xmin = 0\n xmax = 1.5\n text = "Throat clearing"\n text = ""\n'
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / "one.TextGrid").write_text(grid, encoding=encoding)
        assert read_grid(tmp_path / "one.TextGrid") == ["throat-clearing"]
    (tmp_path / "one.TextGrid").write_text("cough 0 1")
    with pytest.raises(ManifestError, match="no TextGrid"):
        read_grid(tmp_path / "one.TextGrid")
    (tmp_path / "one.TextGrid").write_text(grid)
    with pytest.raises(ManifestError, match="not named like a recording of FluSense"):
        read("flusense", tmp_path)


def test_cinc2016_knows_the_persons_that_the_appendix_knows(make_miniature, tmp_path: Path) -> None:
    root = copy_of(make_miniature, "cinc2016", tmp_path)
    result = read("cinc2016", root)
    persons: dict[str, Counter[str]] = {}
    for recording in result.recordings:
        persons.setdefault(recording.recording[0], Counter())[recording.subject] += 1
    assert all(max(persons[letter].values()) == 2 for letter in "ab")
    assert all(max(persons[letter].values()) == 1 for letter in "def")
    assert any("training-d, training-e, training-f" in warning for warning in result.warnings)
    assert {entry.reason for entry in result.set_aside} == {"marked as too noisy to tell"} and len(
        result.set_aside
    ) == 6
    (root / "annotations" / "Online Appendix_training set.csv").unlink()
    alone = read("cinc2016", root)
    assert len({r.subject for r in alone.recordings}) == len(alone.recordings) == len(result.recordings)
    assert all(r.metadata["diagnosis"] in (None, "normal") for r in alone.recordings)


def test_cinc2016_facts_of_the_appendix() -> None:
    assert find_person("a", {"original record name": "C45S1"}) == "c45"
    assert find_person("b", {"subject id": " 12"}) == "12"
    assert find_person("c", {"original record name": "id17_2"}) == "id17"
    assert find_person("e", {"original record name": "rec7"}) is None
    assert spell_diagnosis("MVP ", "abnormal") == "mitral valve prolapse"
    assert spell_diagnosis("Normal: NHC", "normal") == "normal"
    assert spell_diagnosis("CAD", "normal") is None and spell_diagnosis("Pathologic", "abnormal") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [("a0001,2\n", "row 1: no known class"), ("a0001\n", "fewer than 2 cells"), ("x1,1\n", "no name of a record"),
     ("a0001,1\na0001,1\n", "is listed twice")],
)  # fmt: skip
def test_cinc2016_tables_that_are_wrong(make_miniature, tmp_path: Path, text: str, message: str) -> None:
    root = copy_of(make_miniature, "cinc2016", tmp_path)
    (root / "training-a" / "REFERENCE.csv").write_text(text)
    with pytest.raises(ManifestError, match=message):
        read("cinc2016", root)
    (root / "training-a" / "REFERENCE.csv").unlink()
    with pytest.raises(ManifestError, match="there is no"):
        read("cinc2016", root)
