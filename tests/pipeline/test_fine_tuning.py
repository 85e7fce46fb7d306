"""Fine-tuning of INT8 on the small run: when it happens, what it changes, and whom it listens to."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from acula_edge import pipeline
from acula_edge.bundle.folder import check
from acula_edge.bundle.json_files import plain, read_facts
from acula_edge.bundle.schema import FineTuning, Quantize
from acula_edge.data.prepare import prepare
from acula_edge.data.store import WaveStore
from acula_edge.errors import ArtifactError, InputError
from acula_edge.files import read_json, sha256_file
from acula_edge.pipeline import fine_tuning
from acula_edge.pipeline.bundling import build_bundle
from acula_edge.pipeline.evaluation import model_embeddings, select_tasks
from acula_edge.pipeline.fine_tuning import Refinement
from acula_edge.probe.heads import fit_heads
from acula_edge.run import Run
from acula_edge.runtime import load_bundle, selftest
from tests.pipeline.conftest import WholeLine

BUNDLE = "tiny-cpu_x86"
RATE_HZ = 4000
Tuned = tuple[Run, dict[str, Any]]


def change(run: Run, **settings: Any) -> None:
    """Edit the run's own recipe: ``quantize`` settings, and ``min_cosine`` of the gate."""
    values = yaml.safe_load(run.recipe_path.read_text())
    values["verify"]["gate"]["min_cosine"] = settings.pop("min_cosine", -1)
    values["quantize"].update({"aware_epochs": 1, **settings})
    run.recipe_path.write_text(yaml.safe_dump(values))


@pytest.fixture(scope="module")
def material(whole_line: WholeLine) -> tuple[Any, ...]:
    """What an export hands over: recordings, the float student's embeddings, heads on them, and their tasks."""
    run = whole_line.run
    store = prepare(run.recipe, run)
    embeddings = model_embeddings(run, whole_line.bundle / "model.onnx", store, RATE_HZ)
    tasks = select_tasks(["all"], store)
    return store, embeddings, fit_heads(embeddings, store.recordings, tasks), tasks


def refine(run: Run, material: tuple[Any, ...], student: str | None = "tiny", gate: bool = True) -> dict[str, Any]:
    """Refine the models of the copied bundle; what is to be said of it."""
    bundle = run.path / "export" / BUNDLE
    quantized = read_facts(bundle / "quantize.json", Quantize)
    aware = Refinement(Run(run.path), student, *material, RATE_HZ, gate)(bundle, quantized).aware
    assert isinstance(aware, FineTuning)
    return plain(aware)


def export(run: Run) -> dict[str, Any]:
    """Make the bundle anew; what quantize.json says of its fine-tuning."""
    bundle = build_bundle(Run(run.path), "tiny", "cpu_x86", int8=True)
    facts: dict[str, Any] = read_json(bundle / "quantize.json")["aware"]
    return facts


def models(run: Run) -> dict[str, str]:
    return {path.name: sha256_file(path) for path in (run.path / "export" / BUNDLE).glob("*.onnx")}


@pytest.fixture(scope="module")
def tuned(whole_line: WholeLine, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    """A copy of the run in which post-training INT8 was not good enough."""
    folder = tmp_path_factory.mktemp("tuned") / "run"
    shutil.copytree(whole_line.run.path, folder)
    run = Run(folder)
    # Four epochs bring between nothing and half a decibel, as the processor rounds; twelve bring one.
    change(run, min_cosine=1, aware_epochs=12, aware_learning_rate=1e-4)
    return run, export(run)


def test_int8_that_misses_a_limit_is_fine_tuned_and_only_int8_changes(whole_line: WholeLine, tuned: Tuned) -> None:
    run, facts = tuned
    before, after = models(whole_line.run), models(run)
    assert {name for name in before if before[name] != after[name]} == {"encoder.int8.onnx", "model.int8.onnx"}
    assert facts["outcome"] == "fine-tuned" and facts["asked"] == "auto"
    assert "mean cosine" in facts["post_training"]["reasons"][0]
    assert facts["post_training"]["asked"] == facts["fine_tuned"]["asked"] == "validation persons"
    assert facts["training"]["epochs"] == 12
    assert facts["training"]["sqnr_db"]["after"] > facts["training"]["sqnr_db"]["before"]
    assert facts["fine_tuned"]["parity"]["sqnr_db"] > facts["post_training"]["parity"]["sqnr_db"]


def test_the_bundle_is_whole_again(tuned: Tuned) -> None:
    bundle = tuned[0].path / "export" / BUNDLE
    assert check(bundle) == []
    assert selftest(bundle)["passed"]
    assert not (bundle / "verify.json").exists()  # it was of the former model
    assert read_json(bundle / "bundle.json")["parity"]["int8_vs_onnx"]["windows"] == "validation persons"


def test_an_export_of_the_same_again_does_not_train_again(
    whole_line: WholeLine, tuned: Tuned, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, facts = tuned
    expected = models(run)
    shutil.rmtree(run.path / "export")
    shutil.copytree(whole_line.run.path / "export", run.path / "export")
    monkeypatch.setattr(fine_tuning, "fine_tune", lambda *_: pytest.fail("trained again"))
    assert export(run) == facts
    assert models(run) == expected


def test_only_validation_persons_are_asked(
    copied_run: Run, material: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def listen(run: Run, model: Path, store: WaveStore, rate_hz: int, splits: Any = None) -> np.ndarray:
        asked.append((model.name, splits))
        return model_embeddings(run, model, store, rate_hz, splits)

    monkeypatch.setattr(fine_tuning, "model_embeddings", listen)
    change(copied_run)
    before = models(copied_run)
    facts = refine(copied_run, material)
    assert facts["outcome"] == "not needed" and facts["post_training"]["passed"]
    assert asked == [("model.int8.onnx", ("val",))]
    assert facts["post_training"]["n_subjects"] == len({r.subject for r in copied_run.recordings("val")})
    assert models(copied_run) == before
    change(copied_run, min_cosine=1)
    for student, gate, word in (("tiny", False, "--no-gate"), (None, True, "needs a student")):
        facts = refine(copied_run, material, student, gate)
        assert facts["outcome"] == "not possible" and word in facts["reason"]
    assert models(copied_run) == before
    change(copied_run, aware="always")
    with pytest.raises(InputError, match="needs a student"):
        refine(copied_run, material, None)
    assert check(copied_run.path / "export" / BUNDLE) == []


def test_a_bundle_alone_cannot_be_exported_again(whole_line: WholeLine) -> None:
    with pytest.raises(ArtifactError, match="is a bundle") as caught:
        pipeline.export(whole_line.bundle, int8=True)
    assert "the run that it was made in" in str(caught.value)


def test_without_validation_persons_calibration_windows_decide(copied_run: Run) -> None:
    change(copied_run, min_cosine=1)
    store = prepare(copied_run.recipe, copied_run)
    store.recordings = [replace(r, split="train" if r.split == "val" else r.split) for r in store.recordings]
    bundle = copied_run.path / "export" / BUNDLE
    parity = read_facts(bundle / "quantize.json", Quantize).parity
    refinement = Refinement(Run(copied_run.path), "tiny", store, np.zeros((len(store), 32)), [], [], RATE_HZ)
    judgement = refinement.foresee(bundle, parity)
    assert judgement.asked == "calibration windows" and judgement.n_subjects == 0
    assert not judgement.passed and "mean cosine" in judgement.reasons[0]


def test_the_fine_tuned_encoder_is_timed_again(tuned: Tuned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(Path(shutil.copytree(tuned[0].path, tmp_path / "run")))
    answers = [("faster", 2.0), ("slower", 0.5), ("slower", 0.5)]

    def measure(reference: Path, candidate: Path) -> dict[str, Any]:
        assert (reference.name, candidate.name) == ("encoder.onnx", "encoder.int8.onnx")
        verdict, speedup = answers.pop(0)
        return {"verdict": verdict, "speedup": speedup, "speedup_ci95": [speedup - 0.1, speedup + 0.1]}

    change(run, min_cosine=1, aware_epochs=12, aware_learning_rate=1e-4, speed_guard=True)
    monkeypatch.setattr("acula_edge.pipeline.bundling._measure", lambda settings: measure)
    monkeypatch.setattr("acula_edge.quantize.speed.is_native", lambda profile: True)
    bundle = build_bundle(Run(run.path), "tiny", "cpu_x86", int8=True)
    after = read_json(bundle / "quantize.json")
    assert after["speed"]["trail"][0]["left_float"] == [] and len(after["speed"]["trail"]) == 1
    assert after["speed"]["before"]["recommended"] == "int8" and answers == []
    assert read_json(bundle / "bundle.json")["recommended"] == "float"
    assert check(bundle) == []
    assert load_bundle(bundle).precision == "float"
    assert set(after["aware"]["measured_before"]) >= {"bias_correction", "sensitivity"}
