"""What users get wrong, typed as they would type it: the exit code, what is said, and that nothing is harmed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import Result

from acula_edge.run import Run
from tests.pipeline.conftest import RECIPE, WholeLine, acula_edge, leftovers, snapshot, write_recipe

Typed = Callable[..., Result]

GOOD = 20
NOISE = np.random.default_rng(0)


def noise(seconds: float, rate_hz: int, channels: int = 1) -> np.ndarray:
    return (0.1 * NOISE.standard_normal((round(seconds * rate_hz), channels))).astype(np.float32)


MAPPING = """
facts:
  - {fact: wheeze, column: finding, values: {wheeze: present, clear: absent, crackles: null}}
  - {fact: crackles, column: finding, values: {wheeze: null, clear: absent, crackles: present}}
"""


def write_corpus(folder: Path) -> None:
    """A manifest of good recordings and of one of each kind of bad ones, as they come from a real archive."""
    folder.mkdir()
    rows = ["path,subject,finding"]
    for number in range(GOOD):
        soundfile.write(folder / f"{number}.wav", noise(3, 4000), 4000, subtype="PCM_16")
        rows.append(f"{number}.wav,person{number},{('wheeze', 'clear', 'crackles')[number % 3]}")
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("this is no sound\n" * 9)
    broken = noise(3, 4000)
    broken[4000] = np.nan
    soundfile.write(folder / "nan.wav", broken, 4000, subtype="FLOAT")
    soundfile.write(folder / "short.wav", noise(0.1, 4000), 4000)
    soundfile.write(folder / "stereo.wav", noise(3, 96000, channels=2), 96000, subtype="PCM_24")
    rows += [f"{name}.wav,p-{name},clear" for name in ("empty", "text", "nan", "short", "stereo", "gone")]
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")


def write_own_recipe(folder: Path, **sections: object) -> None:
    """The small recipe on a user's own corpus, one epoch."""
    data = {**RECIPE["data"], "sources": {"mine": {"reader": "manifest"}}}
    (folder / "mapping.yaml").write_text(MAPPING)
    reports = {**RECIPE["reports"], "mapping": str(folder / "mapping.yaml")}
    write_recipe(folder, **{"data": data, "reports": reports, "align": {**RECIPE["align"], "epochs": 1}, **sections})


def refused(result: Result) -> str:
    """The message of a command that ended with 2."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    return result.stderr


@pytest.fixture(scope="module")
def mixed_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on the corpus with bad recordings, trained through the command line."""
    folder = tmp_path_factory.mktemp("mixed")
    write_corpus(folder / "corpus")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_own_recipe(folder)
        from click.testing import CliRunner

        from acula_edge.cli.main import cli

        result = CliRunner().invoke(cli, ["train", "--data", "mine=corpus"])
    assert result.exit_code == 0, result.output
    assert "5 recordings are set aside; reasons are in runs/latest/set_aside.jsonl" in result.stderr
    return Run(folder / "runs" / "latest")


def test_a_run_with_bad_recordings_completes(mixed_run: Run) -> None:
    assert (mixed_run.encoder_dir / "model.safetensors").is_file()
    assert leftovers(mixed_run.path) == []
    stage = mixed_run.manifest["stages"]["data"]
    assert (stage["recordings"], stage["set_aside"]) == (GOOD + 1, 5)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("empty", "is an empty file"),
        ("text", "cannot be decoded"),
        ("nan", "holds NaN or infinity"),
        ("short", "too short: 0.100 s of at least 0.2 s"),
        ("gone", "there is no recording"),
    ],
)
def test_a_bad_recording_is_set_aside_with_its_reason(mixed_run: Run, name: str, reason: str) -> None:
    lines = mixed_run.set_aside_path.read_text(encoding="utf-8").splitlines()
    (entry,) = [row for row in map(json.loads, lines) if row["recording"] == f"corpus/{name}"]
    assert reason in entry["reason"]
    assert entry["path"].endswith(f"{name}.wav")
    assert f"corpus/{name}" not in {recording.key for recording in mixed_run.recordings()}


def test_a_stereo_file_at_96_khz_takes_part(mixed_run: Run) -> None:
    (recording,) = [found for found in mixed_run.recordings() if found.recording == "stereo"]
    assert (recording.sample_rate_hz, recording.duration_s) == (96000, 3.0)


def test_recordings_that_no_task_fits_still_become_a_bundle(mixed_run: Run) -> None:
    from acula_edge.pipeline.bundling import build_bundle
    from acula_edge.runtime import load_bundle, selftest

    folder = build_bundle(mixed_run, None, "cpu_x86", int8=True)
    assert selftest(folder)["passed"]
    bundle = load_bundle(folder)
    assert bundle.tasks == ()
    assert np.isfinite(bundle.embed(noise(3, 4000)[:, 0], 4000)).all()


def test_a_manifest_whose_files_are_all_missing_is_refused(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "manifest.csv").write_text("path,subject\na.wav,1\nb.wav,2\n")
    write_own_recipe(tmp_path)
    message = refused(typed("train", "--data", "mine=corpus"))
    assert "names no audio file that can be read" in message
    assert "2 rows, 2 of whose files do not exist; the first: " in message
    assert str(tmp_path / "corpus" / "a.wav") in message
    assert leftovers(tmp_path) == []

    # The mended command takes the place over: there is nothing in it to be kept under another name.
    write_corpus(tmp_path / "mended")
    mended = typed("train", "--data", "mine=mended", "--set", "align.max_steps=1")
    assert mended.exit_code == 0, mended.output
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["latest"]


def test_a_recipe_with_a_misspelt_key_names_the_likely_one(typed: Typed, tmp_path: Path) -> None:
    write_recipe(tmp_path, align={"epoch": 3})
    message = refused(typed("train"))
    assert "acula-edge.yaml: there is no key 'align.epoch'" in message
    assert "did you mean 'epochs'?" in message
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("override", "key", "likely"),
    [
        ("encoder.name=mobilnet", "encoder.name", "mobilenet"),
        ("distill.student=tny", "distill.student", "tiny"),
        ("align.objectives={infonse: 1}", "align.objectives", "infonce"),
        ("align.self_supervised={colla: 1}", "align.self_supervised", "cola"),
        ("verify.tasks=[P1, P22]", "verify.tasks", "P2"),
        ("data.sources.phantom.reader=phanton", "data.sources.phantom.reader", "phantom"),
        ("reports.writer=templat", "reports.writer", "template"),
        ("quantize.calibration=defualt", "calibration definition", "default"),
    ],
)
def test_an_unknown_name_is_refused_before_anything_begins(
    typed: Typed, tmp_path: Path, override: str, key: str, likely: str
) -> None:
    write_recipe(tmp_path)
    message = refused(typed("train", "--set", override))
    assert key in message
    assert f"did you mean '{likely}'?" in message
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "override",
    [
        "align.epochs=0", "align.epochs=-1", "align.batch_size=0", "align.crop_s=0", "align.learning_rate=-1",
        "align.ema_decay=1", "distill.embedding_dim=0", "distill.learning_rate=0", "data.window_s=0", "data.hop_s=-1",
        "reports.variants=0", "language.max_length=0", "quantize.calibration_windows=0", "verify.bootstrap=0",
        "verify.alpha=0.5", "benchmark.threads=0",
    ],
)  # fmt: skip
def test_a_number_out_of_range_is_refused_before_anything_begins(typed: Typed, tmp_path: Path, override: str) -> None:
    write_recipe(tmp_path)
    message = refused(typed("train", "--set", override))
    section, _, key = override.partition("=")[0].partition(".")
    assert f"acula-edge.yaml: {section}: {key} is out of range" in message
    assert "allowed:" in message
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("number", [".nan", ".inf", "nan", "1e999"])
def test_a_number_that_is_none_is_refused_before_anything_begins(typed: Typed, tmp_path: Path, number: str) -> None:
    write_recipe(tmp_path)
    assert "learning_rate" in refused(typed("train", "--set", f"align.learning_rate={number}"))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("verify.int8_margin=0.1", "quantize.*, benchmark.*"),
        ("align.epochs=1", "quantize.*, benchmark.*"),
        ("quantize.methd=mse", "did you mean 'method'?"),
        ("quantize.calibration=defualt", "did you mean 'default'?"),
        ("quantize.calibration_windows=0", "out of range"),
    ],
)
def test_an_export_changes_neither_what_made_the_run_nor_what_judges_it(
    typed: Typed, copied_run: Run, override: str, words: str
) -> None:
    before = snapshot(copied_run.path)
    assert words in refused(typed("export", copied_run.path, "--int8", "--set", override))
    assert snapshot(copied_run.path) == before


def test_a_refused_recipe_leaves_the_former_run_where_it_was(typed: Typed, copied_run: Run, tmp_path: Path) -> None:
    write_recipe(tmp_path)
    before = snapshot(copied_run.path)
    refused(typed("train", "--out", "run", "--set", "encoder.name=mobilnet"))
    assert snapshot(copied_run.path) == before


def test_resuming_by_another_recipe_is_refused(typed: Typed, copied_run: Run, tmp_path: Path) -> None:
    write_recipe(tmp_path)
    before = snapshot(copied_run.path)
    message = refused(typed("train", "--out", "run", "--resume", "--set", "seed=1"))
    assert "was begun with another recipe" in message
    assert snapshot(copied_run.path) == before


def test_training_into_a_folder_with_something_else_is_refused(typed: Typed, tmp_path: Path) -> None:
    write_recipe(tmp_path)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    assert "holds something that is no run" in refused(typed("train", "--out", "thesis"))
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.tex"]


def test_a_corpus_folder_that_does_not_exist_is_refused(typed: Typed, tmp_path: Path) -> None:
    message = refused(typed("train", "--data", "circor=/nowhere"))
    assert "--data" in message and "/nowhere" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["export", "distill", "verify", "report"])
def test_a_folder_that_is_no_run_is_refused(typed: Typed, tmp_path: Path, verb: str) -> None:
    (tmp_path / "photos").mkdir()
    message = refused(typed(verb, "photos"))
    assert "photos is not a run" in message
    assert "acula-edge train" in message
    assert list((tmp_path / "photos").iterdir()) == []


def test_exporting_before_training_names_what_is_missing(typed: Typed, tmp_path: Path) -> None:
    assert "runs/latest is not a run" in refused(typed("export", "--int8"))
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_student_is_refused_at_once(typed: Typed, copied_run: Run) -> None:
    before = snapshot(copied_run.path)
    for verb in ("export", "distill"):
        message = refused(typed(verb, "run", "--student", "tny"))
        assert "did you mean 'tiny'?" in message
    assert snapshot(copied_run.path) == before


def test_an_unknown_task_is_refused_and_the_verification_stays(typed: Typed, whole_line: WholeLine) -> None:
    before = snapshot(whole_line.bundle)
    message = refused(typed("verify", whole_line.run.path, "--tasks", "P1,P99"))
    assert "P99" in message and "P1, P2, P3, P4" in message
    assert snapshot(whole_line.bundle) == before


def test_a_recording_that_cannot_be_read_does_not_keep_others_from_being_scored(
    typed: Typed, whole_line: WholeLine, tmp_path: Path
) -> None:
    (tmp_path / "empty.wav").write_bytes(b"")
    soundfile.write(tmp_path / "good.wav", noise(3, 44100, channels=2), 44100)
    result = typed("run", whole_line.bundle, "empty.wav", "good.wav", "--json")
    assert result.exit_code == 2
    assert "empty.wav is an empty file" in result.stderr
    assert [json.loads(line)["audio"] for line in result.stdout.splitlines()] == ["good.wav"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["encoder.name=opera-gt", "frontend=null", "align.self_supervised={mae: 1.0}"], "multiples of 64|64, 128"),
        (["language.model=/nowhere/at-all"], "no such folder"),
        (
            ["encoder.name=opera-ce", "encoder.checkpoint=/nowhere.ckpt", "frontend=null"],
            "there is no checkpoint /nowhere.ckpt",
        ),
        (["encoder.name=opera-ce", "encoder.checkpoint=/nowhere.ckpt"], "trained with another front end"),
        (["encoder.name=opera-ce", "data.window_s=0.2", "align.crop_s=null"], "too short for opera-ce"),
    ],
)
def test_what_would_fail_after_decoding_fails_before(tmp_path: Path, settings: list[str], said: str) -> None:
    write_recipe(tmp_path)
    words = [part for text in settings for part in ("--set", text)]
    done = acula_edge("train", *words, "--out", "run", folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert re.search(said, done.stderr), done.stderr
    assert not (tmp_path / "run" / "cache").exists()
