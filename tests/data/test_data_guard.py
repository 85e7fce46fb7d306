"""The leak guard: persons who are evaluated are found under any id, and nothing of theirs is aligned on."""

from __future__ import annotations

import csv
import dataclasses
import json
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from acula_edge.audio.resample import resample
from acula_edge.clinical_text.corpus import write_reports
from acula_edge.data.fingerprint import fingerprint, make_keys
from acula_edge.data.guard import REASONS, alignment_view, describe_guard, guard, mark
from acula_edge.data.leaks import find_leaks
from acula_edge.data.manifest import Recording
from acula_edge.data.miniature import MiniatureConfig, write_miniature
from acula_edge.data.miniature.sounds import breathing, generator, heart
from acula_edge.data.near_duplicates import find_pairs
from acula_edge.data.prepare import list_recordings, prepare, prepare_alignment
from acula_edge.data.store import WaveStore
from acula_edge.errors import InputError, ManifestError
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.recipe import DataConfig, GuardConfig, Recipe, Source, SplitConfig
from acula_edge.run import Run

RATE = 4000
SECONDS = 5.5
PERSONS = 12


@cache
def sound(number: int) -> np.ndarray:
    """A heart or a lung at a level of its own."""
    rng = generator(7, f"recording {number}")
    wave = heart(rng, SECONDS, RATE, murmur=number % 4 == 0) if number % 2 else breathing(rng, SECONDS, RATE)
    return (0.25 * wave / np.abs(wave).max()).astype(np.float32)


@pytest.fixture(scope="module")
def sounds() -> list[np.ndarray]:
    return [sound(number) for number in range(2 * PERSONS)]


def write_corpus(folder: Path, sounds: list[np.ndarray], extra: list[dict[str, str]] = []) -> Path:  # noqa: B006
    """Persons p0 to p11 with two recordings each: p0 and p1 are tested, p2 and p3 validate."""
    folder.mkdir()
    rows = []
    for number, wave in enumerate(sounds):
        person = number // 2
        soundfile.write(folder / f"r{number:02}.wav", wave, RATE, subtype="PCM_16")
        split = "test" if person < 2 else "val" if person < 4 else "train"
        rows.append({"path": f"r{number:02}.wav", "subject": f"p{person}", "split": split, "murmur": str(number % 3)})
    with open(folder / "manifest.csv", "w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows([*rows, *extra])
    return folder


def recipe_of(*folders: Path, config: GuardConfig | None = None, **options) -> Recipe:
    sources = {folder.name: Source(reader="manifest", root=str(folder), **options) for folder in folders}
    data = DataConfig(sources=sources, split=SplitConfig(folds=5), guard=config or GuardConfig())
    return Recipe(data=data, frontend=FrontendSpec(sample_rate_hz=RATE, n_fft=256, hop_length=128, fmax_hz=2000.0))


def prepared(tmp_path: Path, recipe: Recipe, name: str = "run") -> tuple[WaveStore, Run]:
    run = Run.create(tmp_path / name, recipe)
    return prepare(recipe, run), run


COPIES = {
    "equal bytes": None,
    "gain and another rate": lambda wave: (resample(0.3 * wave, RATE, 16000), 16000, {"subtype": "PCM_16"}),
    "MP3": lambda wave: (resample(wave, RATE, 16000), 16000, {"format": "MP3", "subtype": "MPEG_LAYER_III"}),
    "shifted, trimmed, with noise at 20 dB": lambda wave: (
        wave[round(0.83 * RATE) : round(5.1 * RATE)] + wave.std() / 10 * np.random.default_rng(0).standard_normal(
            round(5.1 * RATE) - round(0.83 * RATE)).astype(np.float32),
        RATE, {"subtype": "PCM_16"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", COPIES)
def test_a_tested_person_under_a_second_id_is_found_and_left_out(tmp_path: Path, sounds, how: str) -> None:
    """The planted leak: in another data set a person x0 has a copy of a test recording, and one recording more."""
    ours = write_corpus(tmp_path / "ours", sounds)
    other = tmp_path / "other"
    extra = [{"path": name, "subject": "x0", "split": "train", "murmur": "1"} for name in ("copy.wav", "more.wav")]
    write_corpus(other, [sound(100 + number) for number in range(8)], extra)
    with open(other / "manifest.csv") as file:
        text = file.read().replace(",p", ",q").replace(",test,", ",train,").replace(",val,", ",train,")
    (other / "manifest.csv").write_text(text)
    make = COPIES[how]
    if make is None:
        (other / "copy.wav").write_bytes((ours / "r01.wav").read_bytes())
    else:
        wave, rate, kind = make(soundfile.read(ours / "r01.wav", dtype="float32")[0])
        with open(other / "copy.wav", "wb") as file:
            soundfile.write(file, wave, rate, **{"format": "WAV", **kind})
    soundfile.write(other / "more.wav", sound(200), RATE, subtype="PCM_16")
    recipe = recipe_of(ours, other)
    store, run = prepared(tmp_path, recipe)
    reason = "equal" if make is None else "near"
    assert {r.key: r.withheld for r in store.recordings if r.withheld} == {"other/copy": reason, "other/more": "linked"}
    assert all(r.split == "unused" for r in store.recordings if r.withheld) and find_leaks(store.recordings) == []
    facts = run.manifest["stages"]["data"]["guard"]
    assert facts["withheld"] == {
        reason: {"recordings": 1, "persons": 1}, "linked": {"recordings": 1, "persons": 1}
    }  # fmt: skip
    assert {row["of"] for row in facts["recordings"]} == {"ours/r01"} and "murmur" not in json.dumps(facts)
    assert facts["evaluated"] == {"val": 2, "test": 2} and facts["compared"] == len(store)
    assert len(describe_guard(facts)) == 2 and "other/" not in " ".join(describe_guard(facts))


def test_nothing_is_left_out_without_a_copy_and_the_outcome_is_kept(tmp_path: Path, sounds, monkeypatch) -> None:
    recipe = recipe_of(write_corpus(tmp_path / "ours", sounds))
    store, run = prepared(tmp_path, recipe)
    assert not any(r.withheld for r in store.recordings)
    before = run.manifest_path.read_bytes()
    monkeypatch.setattr("acula_edge.data.guard.find_pairs", lambda *_: pytest.fail("compared again"))
    assert prepare(recipe, run).recordings == store.recordings and run.manifest_path.read_bytes() == before


def test_a_copy_of_a_validation_person_is_left_out_of_training_and_a_tested_one_of_validation(
    tmp_path: Path, sounds
) -> None:
    """p4 (training) has a sound of p2 (validation); p3 (validation) has one of p1 (test)."""
    louder = [*sounds]
    louder[9], louder[6] = 1.9 * sounds[4], 0.4 * sounds[3]
    store, _ = prepared(tmp_path, recipe_of(write_corpus(tmp_path / "ours", louder)))
    found = {r.recording: r.withheld for r in store.recordings if r.withheld}
    assert found == {"r09": "near", "r08": "linked", "r06": "near", "r07": "linked"}


def test_near_duplicates_can_be_let_be_but_not_equal_files(tmp_path: Path, sounds) -> None:
    louder = [*sounds]
    louder[20], louder[22] = 1.9 * sounds[0], sounds[2]
    folder = write_corpus(tmp_path / "ours", louder)
    store, _ = prepared(tmp_path, recipe_of(folder, config=GuardConfig(near_duplicates=False)))
    assert {r.recording: r.withheld for r in store.recordings if r.withheld} == {"r22": "equal", "r23": "linked"}


def test_a_published_partition_keeps_its_recordings_for_the_probe_only(tmp_path: Path) -> None:
    recordings = [
        Recording(name, "", person, "d", RATE, 1.0, split=split)
        for name, person, split in (("a", "p", "train"), ("b", "p", "test"), ("c", "q", "train"), ("d", "q", "val"),
                                    ("e", "r", "train"), ("f", "q", "unused"))
    ]  # fmt: skip
    store: Any = SimpleNamespace(recordings=recordings, key="k")
    facts = guard(store, GuardConfig(near_duplicates=False), {"d"}, tmp_path)
    assert facts["withheld"] == {"person": {"recordings": 2, "persons": 2}}
    store.recordings = mark(recordings, facts, {"d"})
    assert [r.split for r in store.recordings] == [r.split for r in recordings]
    view = alignment_view(store, GuardConfig())
    assert [r.split for r in view.recordings] == ["unused", "test", "unused", "val", "train", "unused"]
    assert store.recordings[0].split == "train", "the store itself is left as it is"


def test_tested_persons_are_aligned_on_only_where_it_is_asked_for(tmp_path: Path, sounds, monkeypatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("acula_edge.data.prepare.notify", lambda text, *values: said.append(text % values))
    config = GuardConfig(include_evaluation_subjects=True)
    recipe = recipe_of(write_corpus(tmp_path / "ours", sounds), config=config)
    store, run = prepared(tmp_path, recipe)
    view = prepare_alignment(recipe, run)
    assert sum(r.split == "test" for r in store.recordings) == 4
    assert {r.split for r in view.recordings} == {"train", "val"}
    assert run.manifest["stages"]["data"]["guard"]["included"] == 4
    assert len([text for text in said if text.startswith("WARNING: persons who are evaluated are aligned on")]) == 2
    assert write_reports(view.recordings[0], recipe.reports)
    with pytest.raises(InputError, match="is a test recording"):
        write_reports(store.recordings[0], recipe.reports)


def test_a_run_that_was_aligned_before_is_left_as_it_was(tmp_path: Path, sounds) -> None:
    louder = [*sounds]
    louder[20] = 1.9 * sounds[0]
    recipe = recipe_of(write_corpus(tmp_path / "ours", louder))
    run = Run.create(tmp_path / "run", recipe)
    run.record("align")
    assert not any(r.withheld for r in prepare(recipe, run).recordings)
    assert "guard" not in run.manifest["stages"]["data"]


def test_nobody_of_a_corpus_without_tasks_is_held_out(tmp_path: Path, sounds) -> None:
    folder = write_corpus(tmp_path / "ours", sounds)
    text = (folder / "manifest.csv").read_text()
    for side in ("test", "val", "train"):
        text = text.replace(f",{side},", ",,")
    (folder / "manifest.csv").write_text(text.replace(",split,", ",stratum,"))
    store, _ = prepared(tmp_path, recipe_of(folder, tested=False))
    assert {r.split for r in store.recordings} == {"train", "val"}
    tested, _ = prepared(tmp_path, recipe_of(folder), "tested")
    assert {r.split for r in tested.recordings} == {"train", "val", "test"}


def test_a_data_set_without_tasks_is_trained_on_whole_unless_the_recipe_says_otherwise(tmp_path: Path) -> None:
    write_miniature("hf_lung", tmp_path / "hf_lung", MiniatureConfig(subjects=20, duration_s=1.0))
    for tested, sides in ((None, {"train", "val"}), (True, {"train", "val", "test"})):
        source = {"hf_lung": Source(reader="hf_lung", root=str(tmp_path / "hf_lung"), tested=tested)}
        recipe = dataclasses.replace(recipe_of(), data=DataConfig(sources=source))
        run = Run.create(tmp_path / f"run {tested}", recipe)
        assert {r.split for r in list_recordings(recipe.data, run).recordings} == sides


def test_the_reasons_are_those_that_are_told() -> None:
    facts = {"policy": {"include_evaluation_subjects": False},
             "withheld": {reason: {"recordings": 1, "persons": 1} for reason in REASONS}}  # fmt: skip
    assert len(describe_guard(facts)) == len(REASONS) and describe_guard(None) == []


def test_a_person_on_two_sides_is_still_refused(tmp_path: Path, sounds) -> None:
    folder = write_corpus(tmp_path / "ours", sounds)
    (folder / "manifest.csv").write_text((folder / "manifest.csv").read_text().replace("r01.wav,p0", "r01.wav,p9"))
    with pytest.raises(ManifestError, match="the same person is on two sides"):
        prepared(tmp_path, recipe_of(folder))
    assert dataclasses.asdict(GuardConfig())["include_evaluation_subjects"] is False


@pytest.mark.real_data
def test_the_patients_under_whose_names_one_sound_lies_are_found(shared_dir: Path) -> None:
    """KAUH has one sound each under patients 76 and 77, and 100 and 101; no other patients share one."""
    root = shared_dir / "data" / "kauh-lung-10s"
    with open(root / "manifest.csv", newline="") as file:
        rows = [
            row for row in csv.DictReader(file) if int(row["patient"]) % 4 == 1 or row["leak_group"] in ("76", "100")
        ]
    prints = [fingerprint(*soundfile.read(root / row["file"], dtype="float32")) for row in rows]
    keys = [make_keys(words) for words in prints]

    class Held(list[Any]):
        def words(self, number: int) -> Any:
            return self[number]

        def keys(self, number: int) -> Any:
            return keys[number]

    patients = np.array([int(row["patient"]) for row in rows])
    # Everyone of an even number is looked for among those of odd ones; the known pairs are of one each.
    pairs = find_pairs(Held(prints), (patients % 2 == 0).astype(int), patients, GuardConfig().max_bit_error)
    assert {(int(patients[p.first]), int(patients[p.second])) for p in pairs} == {(76, 77), (100, 101)}
