"""Miniature releases of lungs and hearts: equal for equal seeds, read whole, and enough in every class."""

from __future__ import annotations

import filecmp
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from acula_edge.corpora.kauh import published_label
from acula_edge.data.leaks import count_leaks, find_leaks
from acula_edge.data.manifest import Recording
from acula_edge.data.miniature import MiniatureConfig, miniatures, write_miniature
from acula_edge.data.reader import PublishedSplit, ReadResult, readers
from acula_edge.data.splits import assign_splits
from acula_edge.errors import ManifestError
from acula_edge.probe.tasks import tasks
from acula_edge.recipe import SplitConfig

NAMES = ("respiratory_tr", "mmlung", "nosemic", "zchsound", "bmdhs", "sprsound", "kauh", "circor")
SMALL = MiniatureConfig(subjects=20, duration_s=1.0)


def read(name: str, root: Path) -> ReadResult:
    return readers[name].read(root, {})


def published(name: str, root: Path, recordings: list[Recording]) -> PublishedSplit:
    partition = readers[name].published(root, recordings, {})
    assert partition is not None
    return partition


@pytest.mark.parametrize("name", ["mmlung", "zchsound", "sprsound"])
def test_equal_seeds_give_equal_files(make_miniature, tmp_path: Path, name: str) -> None:
    one = make_miniature(name)
    write_miniature(name, tmp_path / "two", SMALL)
    files = sorted(str(path.relative_to(one)) for path in one.rglob("*") if path.is_file())
    assert files == sorted(str(p.relative_to(tmp_path / "two")) for p in (tmp_path / "two").rglob("*") if p.is_file())
    assert filecmp.cmpfiles(one, tmp_path / "two", files, shallow=False) == (files, [], [])


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_has_all_that_later_stages_ask_for(make_miniature, name: str) -> None:
    result, corpus = read(name, make_miniature(name)), readers[name].corpus
    assert corpus is not None and corpus.name == name and name in miniatures
    for recording in result.recordings:
        assert Path(recording.path).is_absolute() and recording.dataset == name
        assert recording.subject.startswith(f"{name}/") and 0.8 < recording.duration_s < 1.2
        assert all(key == key.lower() and (value is None or isinstance(value, (str, int, float)))
                   for key, value in recording.metadata.items())  # fmt: skip
        assert name == "circor" or recording.metadata["sound"]
    for task in (tasks[name_] for name_ in tasks):
        if task.dataset == name:
            assert any(task.value(recording) is not None for recording in result.recordings), task.id


@pytest.mark.parametrize("name", ["zchsound", "kauh", "circor"])
def test_the_default_size_has_enough_in_every_class(make_miniature, name: str) -> None:
    root = make_miniature(name, MiniatureConfig().subjects)
    recordings = read(name, root).recordings
    assigned = assign_splits(recordings, SplitConfig(), {name: published(name, root, recordings)})
    assert find_leaks(assigned) == []
    (task,) = (tasks[name_] for name_ in tasks if tasks[name_].dataset == name)
    persons = {
        side: Counter({r.subject: task.value(r) for r in assigned if r.split == side}.values())
        for side in ("train", "test")
    }
    assert all(persons["test"][label] >= 12 and persons["train"][label] >= 8 for label in (0.0, 1.0)), persons


def test_the_circor_miniature_has_children_of_both_campaigns(make_miniature) -> None:
    result = read("circor", make_miniature("circor"))
    assert len(result.recordings) == 100 and not result.set_aside
    assert len({r.subject for r in result.recordings}) == 45  # fifty patient ids, five pairs
    assert {r.metadata["murmur"] for r in result.recordings} == {"Present", "Absent", "Unknown"}
    assert "100" in result.warnings[0] and "3163" in result.warnings[0]
    assert any(r.path.endswith(".WAV") for r in result.recordings)


def test_circor_s_partition_divides_patient_ids_not_persons(make_miniature) -> None:
    root = make_miniature("circor")
    recordings = read("circor", root).recordings
    partition = published("circor", root, recordings)
    assert not partition.exact and not partition.by_person
    by_patient: dict[str, set[str]] = {}
    for recording in recordings:
        by_patient.setdefault(recording.recording.partition("_")[0], set()).add(partition.splits[recording.key]["*"])
    assert all(len(sides) == 1 for sides in by_patient.values())
    assert Counter(next(iter(sides)) for sides in by_patient.values()) == {"train": 30, "val": 10, "test": 10}
    followed = assign_splits(recordings, SplitConfig(rule="published"), {"circor": partition})
    assert sum(leak.persons for leak in count_leaks(followed)) > 0
    assert find_leaks(assign_splits(recordings, SplitConfig(), {"circor": partition})) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [("Murmur,", "Noise,", "lacks columns"), (",Absent,", ",Perhaps,", "no usable murmur label")],
)
def test_a_circor_table_that_is_wrong_is_an_error(
    make_miniature, tmp_path: Path, old: str, new: str, message: str
) -> None:
    copy = Path(shutil.copytree(make_miniature("circor"), tmp_path / "copy"))
    table = copy / "training_data.csv"
    table.write_text(table.read_text().replace(old, new, 1))
    with pytest.raises(ManifestError, match=message):
        read("circor", copy)


def test_circor_audio_that_cannot_serve(make_miniature, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(make_miniature("circor"), tmp_path / "copy"))
    first, second = sorted((copy / "training_data").glob("*.wav"))[:2]
    first.write_text("this is no audio")
    second.unlink()
    result = read("circor", copy)
    assert [entry.recording for entry in result.set_aside] == [f"circor/{first.stem}"] and len(result.recordings) == 98
    shutil.copy(sorted((copy / "training_data").glob("*.wav"))[3], copy / "training_data" / "1_AV.wav")
    with pytest.raises(ManifestError, match=r"1_AV\.wav: the patient tables have no patient 1"):
        read("circor", copy)


def test_the_kauh_miniature_has_all_diagnoses(make_miniature) -> None:
    result = read("kauh", make_miniature("kauh"))
    assert len(result.recordings) == 132 and not result.set_aside and len({r.subject for r in result.recordings}) == 44
    assert {"Normal", "Asthma", "COPD"} < {r.metadata["diagnosis"] for r in result.recordings}
    assert any(r.path.endswith(".WAV") for r in result.recordings)


def test_kauh_s_stand_in_leaks_like_the_array(make_miniature) -> None:
    root = make_miniature("kauh")
    recordings = read("kauh", root).recordings
    partition = published("kauh", root, recordings)
    assert not partition.exact and not partition.by_person
    labels = {path.stem.partition("_")[0]: published_label(path.stem.partition("_")[2].partition(",")[0])
              for path in (root / "AudioFiles").iterdir() if path.name[1] == "P"}  # fmt: skip
    assert set(partition.splits) == {f"kauh/{name}" for name, label in labels.items() if label is not None}
    sides = Counter(split["*"] for split in partition.splits.values())
    assert sides["val"] == np.ceil(0.1 * (sides["train"] + sides["val"]))
    followed = assign_splits(recordings, SplitConfig(rule="published"), {"kauh": partition})
    assert {leak.sides: leak.persons for leak in count_leaks(followed)}["test", "train"] > 10
    assert find_leaks(assign_splits(recordings, SplitConfig(), {"kauh": partition})) == []


def store_array(root: Path, folder: str, seed: int = 0) -> dict[str, str]:
    """OPERA's two arrays in some order of files; returns side by recording."""
    paths = [path.name for path in sorted((root / "AudioFiles").iterdir()) if path.name[1] == "P"]
    taking = [name for name in paths if published_label(name.partition("_")[2].partition(",")[0])]
    rng = np.random.default_rng(seed)
    names = [f"datasets/KAUH/AudioFiles/{taking[place]}" for place in rng.permutation(len(taking))]
    sides = ["test" if rng.random() < 0.3 else "train" for _ in names]
    (root / folder).mkdir(parents=True, exist_ok=True)
    np.save(root / folder / "sound_dir_loc_subset.npy", names)
    np.save(root / folder / "train_test_split.npy", sides)
    return {Path(name).name.partition("_")[0]: side for name, side in zip(names, sides, strict=True)}


@pytest.mark.parametrize("folder", [".", "splits", "feature/kauh_eval"])
def test_kauh_s_stored_array_is_followed(make_miniature, tmp_path: Path, folder: str) -> None:
    copy = Path(shutil.copytree(make_miniature("kauh"), tmp_path / "copy"))
    side_of = store_array(copy, folder)
    recordings = read("kauh", copy).recordings
    partition = published("kauh", copy, recordings)
    assert partition.exact and not partition.by_person and partition.source == "OPERA's stored array"
    found = {key.partition("/")[2]: split["*"] for key, split in partition.splits.items()}
    assert {name: "train" if side == "val" else side for name, side in found.items()} == side_of
    trained = sum(side == "train" for side in side_of.values())
    assert sum(side == "val" for side in found.values()) == np.ceil(0.1 * trained)
    next((copy / "AudioFiles").glob("BP*_N,*.wav")).unlink()
    fewer = published("kauh", copy, read("kauh", copy).recordings)
    assert fewer.splits == {key: split for key, split in partition.splits.items() if key in fewer.splits}
    assert len(fewer.splits) == len(partition.splits) - 1


def test_kauh_arrays_that_are_wrong_are_errors(make_miniature, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(make_miniature("kauh"), tmp_path / "copy"))
    recordings = read("kauh", copy).recordings
    store_array(copy, "splits")
    names, sides = copy / "splits" / "sound_dir_loc_subset.npy", copy / "splits" / "train_test_split.npy"
    listed, stored = np.load(names), np.load(sides)
    wrong: list[tuple[Path, np.ndarray, str]] = [
        (sides, stored[:-1], "differ in length"),
        (sides, np.where(np.arange(len(stored)) == 3, "hold", stored), "item 3: unknown split"),
        (names, np.where(np.arange(len(listed)) == 3, listed[4], listed), "is listed twice"),
        (names, np.where(np.arange(len(listed)) == 3, "a.wav", listed), "not named like a recording of KAUH"),
        (sides, np.array(list(stored), dtype=object), "pickled objects that are no texts"),
        (sides, np.zeros(len(stored)), "no list of texts"),
    ]
    for file, array, message in wrong:
        kept = file.read_bytes()
        np.save(file, array, allow_pickle=True)
        with pytest.raises(ManifestError, match=message):
            readers["kauh"].published(copy, recordings, {})
        file.write_bytes(kept)
    followed = readers["kauh"].published(copy, recordings, {})
    np.save(sides, np.array(stored.tolist(), dtype=object), allow_pickle=True)  # as pandas writes texts
    assert followed is not None and readers["kauh"].published(copy, recordings, {}) == followed
    sides.write_bytes(b"")
    with pytest.raises(ManifestError, match="cannot be read"):
        readers["kauh"].published(copy, recordings, {})
    names.unlink()
    with pytest.raises(ManifestError, match="no list of files beside it"):
        readers["kauh"].published(copy, recordings, {})


@pytest.mark.parametrize(
    ("text", "label"),
    [("N", "healthy"), ("Asthma", "asthma"), ("asthma", "asthma"), ("COPD", "COPD"), ("Heart Failure + COPD ", "COPD"),
     ("copd", None), ("Asthma and lung fibrosis", "asthma"), ("heart failure", None), ("BRON", None)],
)  # fmt: skip
def test_kauh_labels_are_those_of_published_figures(text: str, label: str | None) -> None:
    assert published_label(text) == label


def test_kauh_files_that_cannot_serve(make_miniature, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(make_miniature("kauh"), tmp_path / "copy"))
    first = min((copy / "AudioFiles").glob("BP*.wav"))
    first.write_text("this is no audio")
    result = read("kauh", copy)
    assert [entry.recording for entry in result.set_aside] == [f"kauh/{first.stem.partition('_')[0]}"]
    shutil.copy(min((copy / "AudioFiles").glob("DP*.wav")), copy / "AudioFiles" / "lung.WAV")
    with pytest.raises(ManifestError, match="not named like a recording of KAUH"):
        read("kauh", copy)


@pytest.mark.real_data
def test_the_real_copies_have_a_partition_of_the_published_kind(shared_dir: Path) -> None:
    root = shared_dir / "data" / "kauh-lung-10s"
    recordings = read("kauh", root).recordings
    partition = published("kauh", root, recordings)
    # 216 of the published 234 files are here, six of them set aside.
    assert len(partition.splits) == 210 and not partition.exact
    followed = assign_splits(recordings, SplitConfig(rule="published"), {"kauh": partition})
    assert sum(leak.persons for leak in count_leaks(followed) if {"test", "train"} <= set(leak.sides)) == 39
