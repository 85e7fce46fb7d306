"""The first stage of a run on a small corpus of one's own."""

from __future__ import annotations

import csv
import dataclasses
import json
import unicodedata
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from acula_edge import progress
from acula_edge.audio.decode import read_audio
from acula_edge.audio.resample import resample
from acula_edge.data.leaks import find_leaks
from acula_edge.data.manifest import Recording, read_manifest
from acula_edge.data.prepare import check_recordings, count, list_recordings, prepare, prepare_alignment
from acula_edge.errors import ManifestError
from acula_edge.files import sha256_file
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.quantize.calibration import pick_windows
from acula_edge.quantize.calibration_sets import CalibrationDefinition
from acula_edge.recipe import DataConfig, Recipe, Source, SplitConfig
from acula_edge.run import Run
from tests.group import run_together

RATE = 8000


def write_manifest_csv(folder: Path, rows: list[dict[str, Any]]) -> None:
    with open(folder / "manifest.csv", "w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(dict.fromkeys(column for row in rows for column in row)))
        table.writeheader()
        table.writerows(rows)


@pytest.fixture
def rows(tmp_path, write_sound) -> list[dict[str, Any]]:
    """Ten persons with two recordings each, at 4 kHz, in the folder clinic."""
    listed: list[dict[str, Any]] = []
    for number in range(20):
        write_sound(tmp_path / "clinic" / f"r{number:02}.wav", number)
        ill = "ill" if number < 10 else "well"
        listed.append({"path": f"r{number:02}.wav", "subject": number // 2, "stratum": ill, "age": 90 + number})
    write_manifest_csv(tmp_path / "clinic", listed)
    return listed


@pytest.fixture
def recipe(tmp_path, rows) -> Recipe:
    sources = {"clinic": Source(reader="manifest", root=str(tmp_path / "clinic"))}
    data = DataConfig(sources=sources, split=SplitConfig(folds=5, val_fraction=0.25))
    return Recipe(data=data, frontend=dataclasses.replace(FrontendSpec(), sample_rate_hz=RATE, fmax_hz=4000.0))


@pytest.fixture
def run(tmp_path, recipe) -> Run:
    return Run.create(tmp_path / "run", recipe)


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def with_sources(recipe: Recipe, **sources: Source) -> Recipe:
    return dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, sources=sources))


def test_a_corpus_becomes_waves_with_splits(recipe: Recipe, run: Run, tmp_path: Path) -> None:
    store = prepare(recipe, run)
    assert len(store) == 20 and store.sample_rate_hz == RATE
    assert run.recordings() == store.recordings == read_manifest(run.recordings_path)
    assert read_jsonl(run.set_aside_path) == []
    side_of: dict[str, str] = {}
    for index, one in enumerate(store.recordings):
        assert side_of.setdefault(one.subject, one.split) == one.split
        assert one.sha256 == sha256_file(one.path) and Path(one.path).parent == tmp_path / "clinic"
        audio = read_audio(one.path)
        np.testing.assert_allclose(store[index], resample(audio.wave, 4000, RATE), atol=2**-15)
    assert sorted(side_of.values()) == ["test"] * 2 + ["train"] * 6 + ["val"] * 2
    assert {one.stratum for one in run.recordings("test")} == {"ill", "well"}
    stage = run.manifest["stages"]["data"]
    assert (stage["recordings"], stage["subjects"], stage["set_aside"], stage["clipped"]) == (20, 10, 0, 0)
    assert stage["datasets"]["clinic"]["splits"]["test"] == {"recordings": 4, "subjects": 2, "hours": 0.0}
    assert stage["waves"] == store.key and "age" not in json.dumps(stage)


@pytest.mark.parametrize("spell", [lambda n: f"P\u2013{n:02}", lambda n: f"p-{n}\u200b", lambda n: f"\uff30-{n:03}"])
def test_every_stage_sees_one_person_under_one_id(
    recipe: Recipe, run: Run, rows: list[dict[str, Any]], tmp_path: Path, spell: Callable[[int], str]
) -> None:
    spelled = [{**row, "subject": spell(n // 2) if n % 2 else f"P-{n // 2:02}"} for n, row in enumerate(rows)]
    write_manifest_csv(tmp_path / "clinic", spelled)
    for store in (prepare(recipe, run), prepare(recipe, run), prepare_alignment(recipe, run)):  # the second is kept
        assert len({recording.subject for recording in store.recordings}) == 10
        assert find_leaks(store.recordings, ("person",)) == []
        sides: dict[int, set[str]] = {}
        for number, recording in enumerate(store.recordings):
            sides.setdefault(number // 2, set()).add(recording.split)
        assert all(len(found) == 1 for found in sides.values())
    # Windows for calibration: those that fit and those that judge are of different persons, none of them held out.
    calibration, data = CalibrationDefinition("test", windows=8, device_rates=False), recipe.data
    chosen = {
        side: {int(r.recording[1:]) // 2 for r in pick_windows(store, calibration, data, RATE, persons=side).recordings}
        for side in ("fit", "judge")
    }
    assert chosen["fit"] and chosen["judge"] and not chosen["fit"] & chosen["judge"]
    assert all(sides[person] == {"train"} for person in chosen["fit"] | chosen["judge"])
    persons = run.manifest["stages"]["data"]["persons"]
    assert len(persons["alike"]) + persons["normalized"] == 10
    with pytest.raises(ManifestError, match="more than one spelling") if persons["alike"] else nullcontext():
        refusing = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, similar_ids="refuse"))
        prepare(refusing, run)


def test_a_data_set_that_nobody_tests_is_known_in_every_unicode_form(
    recipe: Recipe, run: Run, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    named = [{**row, "dataset": unicodedata.normalize("NFD", "Köln")} for row in rows]
    write_manifest_csv(tmp_path / "clinic", named)
    source = dataclasses.replace(recipe.data.sources["clinic"], tested=False)
    splits = {recording.split for recording in prepare(with_sources(recipe, clinic=source), run).recordings}
    assert splits == {"train", "val"}


def test_the_second_call_takes_everything_from_the_cache(
    recipe: Recipe, run: Run, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    first = prepare(recipe, run)
    written = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in run.store_dir.iterdir()}
    facts = run.manifest_path.read_bytes()
    # What takes part is decided once: neither a row less in the corpus's manifest nor its loss changes the run.
    write_manifest_csv(tmp_path / "clinic", rows[:-2])
    again = prepare(recipe, run)
    (tmp_path / "clinic" / "manifest.csv").unlink()
    third = prepare(recipe, run)
    for store in (again, third):
        assert (store.key, store.recordings, store.set_aside) == (first.key, first.recordings, first.set_aside)
        assert all(np.array_equal(store[index], first[index]) for index in range(20))
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in run.store_dir.iterdir()} == written
    assert run.manifest_path.read_bytes() == facts


def test_another_split_is_listed_anew(recipe: Recipe, run: Run) -> None:
    first = prepare(recipe, run)
    split = dataclasses.replace(recipe.data.split, fold=1)
    other = prepare(dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, split=split)), run)
    tested = [{one.subject for one in store.recordings if one.split == "test"} for store in (first, other)]
    assert tested[0] and not tested[0] & tested[1]
    assert other.key == first.key, "the same sounds are decoded once"
    assert run.recordings() == other.recordings


def test_whatever_cannot_be_used_is_listed_with_its_reason(recipe: Recipe, run: Run, tmp_path: Path, rows) -> None:
    clinic = tmp_path / "clinic"
    (clinic / "r00.wav").write_text("this is no audio")
    (clinic / "r02.wav").write_bytes(b"")
    (clinic / "r04.wav").unlink()
    soundfile.write(clinic / "r06.wav", np.full(2000, np.nan, dtype=np.float32), 4000, subtype="FLOAT")
    soundfile.write(clinic / "r08.wav", np.full(400, 0.5), 4000)
    write_manifest_csv(clinic, [{**row, "sha256": "0" * 64 if row["path"] == "r10.wav" else ""} for row in rows])
    told: list[str] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(progress, "_notify", told.append)
        store = prepare(recipe, run)
        prepare(recipe, run)
    assert told == [f"6 recordings are set aside; reasons are in {run.set_aside_path}"], "said once"
    aside = {row["recording"]: row for row in read_jsonl(run.set_aside_path)}
    assert set(aside) == {f"clinic/r{number:02}" for number in (0, 2, 4, 6, 8, 10)}
    assert all(set(row) == {"recording", "path", "reason"} and row["reason"] for row in aside.values())
    assert "NaN" in aside["clinic/r06"]["reason"] and "too short" in aside["clinic/r08"]["reason"]
    assert "sha256" in aside["clinic/r10"]["reason"]
    assert [one.recording for one in store.recordings] == [
        f"r{n:02}" for n in range(20) if n not in (0, 2, 4, 6, 8, 10)
    ]
    stage = run.manifest["stages"]["data"]
    assert (stage["recordings"], stage["set_aside"], stage["set_aside_by_dataset"]) == (14, 6, {"clinic": 6})


def test_nothing_decodable_is_an_error(recipe: Recipe, run: Run, tmp_path: Path) -> None:
    for path in (tmp_path / "clinic").glob("*.wav"):
        soundfile.write(path, np.full(400, int(path.stem[1:]) / 100), 4000)
    with pytest.raises(ManifestError, match="none of the recordings can be decoded") as caught:
        prepare(recipe, run)
    assert "20 set aside" in str(caught.value) and "too short" in str(caught.value)
    assert "data" not in run.manifest["stages"]


def test_equal_files_of_two_persons_on_two_sides_are_left_out(recipe: Recipe, run: Run, tmp_path: Path, rows) -> None:
    clinic = tmp_path / "clinic"
    (clinic / "r19.wav").write_bytes((clinic / "r00.wav").read_bytes())
    side = {row["path"]: ("test" if row["subject"] == 9 else "train") for row in rows}
    write_manifest_csv(clinic, [{**row, "split": side[row["path"]]} for row in rows])
    store = prepare(recipe, run)
    assert {r.recording: r.withheld for r in store.recordings if r.withheld} == {"r00": "equal", "r01": "linked"}
    assert all(r.split == "unused" for r in store.recordings if r.withheld)
    assert find_leaks(store.recordings) == []


def test_a_person_on_two_sides_is_refused(recipe: Recipe, run: Run, tmp_path: Path, rows) -> None:
    split = [{**row, "split": "test" if number % 2 else "train"} for number, row in enumerate(rows)]
    write_manifest_csv(tmp_path / "clinic", split)
    with pytest.raises(ManifestError, match="two sides of the split") as caught:
        prepare(recipe, run)
    assert "the person clinic/0 is in test and train" in str(caught.value) and "and 5 more" in str(caught.value)


def test_too_few_persons_are_refused(recipe: Recipe, run: Run, tmp_path: Path, rows) -> None:
    write_manifest_csv(tmp_path / "clinic", rows[:6])
    with pytest.raises(ManifestError, match="too few persons for 5 folds"):
        prepare(recipe, run)


def test_a_recipe_without_recordings_is_refused(recipe: Recipe, run: Run) -> None:
    with pytest.raises(ManifestError, match="names no recordings") as caught:
        prepare(with_sources(recipe), run)
    assert "--data circor=DIR" in str(caught.value)


@pytest.mark.parametrize(("name", "reader"), [("circor", ""), ("kauh", ""), ("clinic", "manifest")])
def test_a_source_without_a_folder_is_refused(recipe: Recipe, run: Run, name: str, reader: str) -> None:
    with pytest.raises(ManifestError, match=f"where the recordings of '{name}' are") as caught:
        prepare(with_sources(recipe, **{name: Source(reader=reader)}), run)
    assert f"--data {name}=DIR" in str(caught.value)


def test_a_folder_that_is_not_there_is_refused(recipe: Recipe, run: Run, tmp_path: Path) -> None:
    with pytest.raises(ManifestError):
        prepare(with_sources(recipe, circor=Source(root=str(tmp_path / "nowhere"))), run)


def test_one_recording_in_two_sources_is_refused(recipe: Recipe, run: Run, tmp_path: Path, write_sound) -> None:
    clinic = recipe.data.sources["clinic"]
    renamed = tmp_path / "other.csv"
    renamed.write_text(f"path,subject,dataset\n{tmp_path}/clinic/r00.wav,x,other\n")
    with pytest.raises(ManifestError, match="is listed twice"):
        prepare(with_sources(recipe, clinic=clinic, other=Source("manifest", str(renamed))), run)
    write_sound(tmp_path / "more" / "r00.wav", seed=77)
    renamed.write_text(f"path,subject,dataset,recording\n{tmp_path}/more/r00.wav,x,clinic,r00\n")
    with pytest.raises(ManifestError, match="the recording id clinic/r00 is there twice"):
        prepare(with_sources(recipe, clinic=clinic, other=Source("manifest", str(renamed))), run)


def test_another_source_keeps_the_first_one_s_split(recipe: Recipe, run: Run) -> None:
    phantom = Source(options={"subjects": 6, "duration_s": 1.0})
    alone = prepare(recipe, run)
    both = prepare(with_sources(recipe, phantom=phantom, **recipe.data.sources), run)
    assert [one for one in both.recordings if one.dataset == "clinic"] == alone.recordings
    generated = [one for one in both.recordings if one.dataset == "phantom"]
    assert len({one.subject for one in generated}) == 6
    assert all(Path(one.path).is_relative_to(run.store_dir.absolute()) for one in generated)
    listed = list_recordings(with_sources(recipe, phantom=phantom, **recipe.data.sources).data, run)
    assert listed.recordings == both.recordings, "from the cache, with paths as they were"


def test_of_two_processes_one_decodes(recipe: Recipe, run: Run, tmp_path: Path) -> None:
    code = f"""
from acula_edge import processes
from acula_edge.data import decoding, prepare
from acula_edge.run import Run
original, decoded = decoding.decode, []
decoding.decode = lambda *given: decoded.append(1) or original(*given)
run = Run({str(run.path)!r})
store = prepare.prepare(run.recipe, run)
print(len(decoded), len(store), store.key, round(float(abs(store[7]).sum()), 3))
"""
    ended = run_together(code)
    assert [one.returncode for one in ended] == [0, 0], ended[0].stderr + ended[1].stderr
    (first, *found), (second, *other) = (one.stdout.split() for one in ended)
    assert (first, second) == ("20", "0") and found == other and found[0] == "20"
    alone = prepare(recipe, Run.create(tmp_path / "alone", recipe))
    assert found[1] == alone.key and run.recordings() == alone.recordings
    assert run.manifest["stages"]["data"]["recordings"] == 20


def test_no_process_waits_for_data_that_are_refused(recipe: Recipe, tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", with_sources(recipe))
    code = f"""
from acula_edge.data.prepare import prepare
from acula_edge.run import Run
run = Run({str(run.path)!r})
prepare(run.recipe, run)
"""
    first, second = run_together(code)
    assert first.returncode and "ManifestError" in first.stderr and "names no recordings" in first.stderr
    assert second.returncode and "stops because the main one failed" in second.stderr


def test_counts_add_up(recipe: Recipe, run: Run) -> None:
    store = prepare(recipe, run)
    counts = count(store.recordings)
    splits = counts["datasets"]["clinic"]["splits"]
    for name in ("recordings", "subjects"):
        assert sum(split[name] for split in splits.values()) == counts[name] == counts["datasets"]["clinic"][name]
    assert counts["set_aside"] == 0 and count([])["recordings"] == 0


def test_a_subject_of_two_data_sets_is_refused() -> None:
    """Readers prefix ids with the data set; one that did not would let splits, dealt per data set, leak."""
    one = Recording("r1", "/a.wav", "s1", "clinic", RATE, 1.0)
    other = dataclasses.replace(one, recording="r2", path="/b.wav", dataset="ward")
    with pytest.raises(ManifestError, match="the subject id s1 is there in two data sets") as caught:
        check_recordings([one, other])
    assert "clinic/r1" in str(caught.value) and "/b.wav" in str(caught.value)
    check_recordings([one, dataclasses.replace(other, subject="s2")])
