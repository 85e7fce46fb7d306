"""The same bytes again: from another export, and from a run that was killed twice and resumed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from acula_edge.cli.main import cli
from acula_edge.files import read_json, sha256_file
from acula_edge.run import Run
from tests.pipeline.conftest import WholeLine, acula_edge, run_python, snapshot, write_recipe

MODELS = ("frontend.onnx", "encoder.onnx", "encoder.int8.onnx", "model.onnx", "model.int8.onnx")

# Runs a verb until the second step of the named piece of work, and dies there as if the power had failed.
DIES = """
import os, signal, sys
from acula_edge import pipeline, progress

verb, place = sys.argv[1:]

def track(items, description, total):
    for number, item in enumerate(items):
        if description == place and number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        yield item

progress.show_progress(track, lambda message: None)
getattr(pipeline, verb)()
"""

EXPORTS = """
import sys
from acula_edge.pipeline.bundling import build_bundle
from acula_edge.run import Run

for folder in sys.argv[1:]:
    build_bundle(Run.open(folder), "tiny", "cpu_x86", int8=True)
"""

KILLED = -9


@pytest.fixture(scope="module")
def aligned(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A second run of the same recipe, whose alignment was killed in its last epoch and resumed."""
    folder = tmp_path_factory.mktemp("resumed")
    write_recipe(folder)
    run = Run(folder / "runs" / "latest")
    died = run_python("-c", DIES, "train", "aligning 3/3", folder=folder)
    assert died.returncode == KILLED, died.stderr
    assert read_json(run.checkpoints_dir / "align" / "state.json")["epoch"] == 2
    assert not run.encoder_dir.exists()
    assert "align" not in run.manifest["stages"]
    done = acula_edge("train", "--resume", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "aligning continues after step 6 of 9" in done.stderr
    return run


@pytest.fixture(scope="module")
def resumed(aligned: Run) -> Run:
    """The same run, whose distillation was killed and resumed as well."""
    folder = aligned.path.parents[1]
    died = run_python("-c", DIES, "distill", "distilling tiny 2/2", folder=folder)
    assert died.returncode == KILLED, died.stderr
    assert read_json(aligned.checkpoints_dir / "distill-tiny" / "state.json")["epoch"] == 1
    assert not aligned.student_dir("tiny").exists()
    done = acula_edge("distill", "--resume", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "distilling tiny continues after step" in done.stderr
    return aligned


@pytest.fixture(scope="module")
def exported_again(whole_line: WholeLine, resumed: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Bundles of the undisturbed run, a second time, and of the resumed one."""
    again = tmp_path_factory.mktemp("again") / "run"
    shutil.copytree(whole_line.run.path, again)
    shutil.rmtree(again / "export")
    done = run_python("-c", EXPORTS, again, resumed.path, folder=again.parent)
    assert done.returncode == 0, done.stderr
    return {"same run": again / "export" / "tiny-cpu_x86", "resumed run": resumed.bundle_dir("tiny", "cpu_x86")}


def weights(folder: Path) -> str:
    return sha256_file(folder / "model.safetensors")


def test_a_killed_alignment_resumes_to_the_same_weights(whole_line: WholeLine, aligned: Run) -> None:
    assert weights(aligned.encoder_dir) == weights(whole_line.run.encoder_dir)


def test_a_killed_distillation_resumes_to_the_same_weights(whole_line: WholeLine, resumed: Run) -> None:
    assert weights(resumed.student_dir("tiny")) == weights(whole_line.run.student_dir("tiny"))


@pytest.mark.parametrize("stage", ["align", "distill"])
def test_a_killed_training_leaves_each_epoch_once(whole_line: WholeLine, resumed: Run, stage: str) -> None:
    def figures(run: Run) -> list[dict[str, float]]:
        return [{name: row[name] for name in row if name != "seconds"} for row in run.metrics(stage)]

    assert figures(resumed) == figures(whole_line.run)
    assert list(resumed.checkpoints_dir.iterdir()) == []


def test_resuming_a_finished_training_changes_nothing(resumed: Run) -> None:
    before = snapshot(resumed.path)
    done = CliRunner().invoke(cli, ["train", "--out", str(resumed.path), "--resume"])
    assert done.exit_code == 0, done.output
    assert "already aligned" in done.stderr
    assert snapshot(resumed.path) == before


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("source", ["same run", "resumed run"])
def test_an_export_gives_the_same_bytes_again(
    whole_line: WholeLine, exported_again: dict[str, Path], source: str, model: str
) -> None:
    assert sha256_file(exported_again[source] / model) == sha256_file(whole_line.bundle / model)
