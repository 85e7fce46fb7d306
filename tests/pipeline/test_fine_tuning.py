"""Fine-tuning of INT8 on the small run: when it happens, what it changes, and whom it listens to."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from acula_edge.data.prepare import prepare
from acula_edge.data.store import WaveStore
from acula_edge.engines.bundle_files import check
from acula_edge.errors import InputError
from acula_edge.files import read_json, sha256_file
from acula_edge.pipeline import fine_tuning
from acula_edge.pipeline.evaluation import model_embeddings, select_tasks
from acula_edge.probe.heads import fit_heads
from acula_edge.quantize.heads import TaskHead
from acula_edge.run import Run
from acula_edge.runtime import selftest
from tests.pipeline.conftest import WholeLine

BUNDLE = "tiny-cpu_x86"
Refine = Callable[..., dict[str, Any]]


def change(run: Run, **settings: Any) -> None:
    """Edit the run's own recipe: ``quantize`` settings, and ``min_cosine`` of the gate."""
    values = yaml.safe_load(run.recipe_path.read_text())
    values["verify"]["gate"]["min_cosine"] = settings.pop("min_cosine", -1)
    values["quantize"].update(aware_epochs=1, **settings)
    run.recipe_path.write_text(yaml.safe_dump(values))


def refine(run: Run, student: str | None = "tiny", gate: bool = True) -> dict[str, Any] | None:
    """Refine the copied bundle; what quantize.json says of it afterwards."""
    bundle = run.path / "export" / BUNDLE
    store = prepare(run.recipe, run)
    embeddings = model_embeddings(run, bundle / "model.onnx", store)
    tasks = select_tasks(["all"], store)
    heads: list[TaskHead] = fit_heads(embeddings, store.recordings, tasks)
    fine_tuning.refine(run, bundle, student, store, embeddings, heads, tasks, gate=gate)
    facts: dict[str, Any] | None = read_json(bundle / "quantize.json").get("aware")
    return facts


def models(run: Run) -> dict[str, str]:
    return {path.name: sha256_file(path) for path in (run.path / "export" / BUNDLE).glob("*.onnx")}


@pytest.fixture(scope="module")
def tuned(whole_line: WholeLine, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, dict[str, Any]]:
    """A copy of the run in which post-training INT8 was not good enough."""
    folder = tmp_path_factory.mktemp("tuned") / "run"
    shutil.copytree(whole_line.run.path, folder)
    run = Run(folder)
    change(run, min_cosine=1, aware_learning_rate=1e-4)
    facts = refine(run)
    assert facts is not None
    return run, facts


def test_int8_that_misses_a_limit_is_fine_tuned_and_only_int8_changes(
    whole_line: WholeLine, tuned: tuple[Run, dict[str, Any]]
) -> None:
    run, facts = tuned
    before, after = models(whole_line.run), models(run)
    assert {name for name in before if before[name] != after[name]} == {"encoder.int8.onnx", "model.int8.onnx"}
    assert facts["outcome"] == "fine-tuned" and facts["asked"] == "auto"
    assert "mean cosine" in facts["post_training"]["reasons"][0]
    assert facts["post_training"]["asked"] == facts["fine_tuned"]["asked"] == "validation persons"
    assert facts["training"]["epochs"] == 1
    assert facts["training"]["sqnr_db"]["after"] > facts["training"]["sqnr_db"]["before"]
    assert facts["fine_tuned"]["parity"]["sqnr_db"] > facts["post_training"]["parity"]["sqnr_db"]


def test_the_bundle_is_whole_again(tuned: tuple[Run, dict[str, Any]]) -> None:
    bundle = tuned[0].path / "export" / BUNDLE
    assert check(bundle) == []
    assert selftest(bundle)["passed"]
    assert not (bundle / "verify.json").exists()  # it was of the former model
    assert read_json(bundle / "bundle.json")["parity"]["int8_vs_onnx"]["windows"] == "validation persons"


def test_an_export_of_the_same_again_does_not_train_again(
    whole_line: WholeLine, tuned: tuple[Run, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, facts = tuned
    expected = models(run)
    shutil.rmtree(run.path / "export")
    shutil.copytree(whole_line.run.path / "export", run.path / "export")
    monkeypatch.setattr(fine_tuning, "fine_tune", lambda *_: pytest.fail("trained again"))
    assert refine(run) == facts
    assert models(run) == expected


def test_only_validation_persons_are_asked(copied_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def listen(run: Run, model: Path, store: WaveStore, splits: Any = None) -> np.ndarray:
        asked.append((model.name, splits))
        return model_embeddings(run, model, store, splits)

    monkeypatch.setattr(fine_tuning, "model_embeddings", listen)
    change(copied_run)
    before = models(copied_run)
    facts = refine(copied_run)
    assert facts is not None and facts["outcome"] == "not needed" and facts["post_training"]["passed"]
    assert asked == [("model.int8.onnx", ("val",))]
    assert facts["post_training"]["n_subjects"] == len({r.subject for r in copied_run.recordings("val")})
    assert models(copied_run) == before
    change(copied_run, min_cosine=1)
    for student, gate, word in (("tiny", False, "--no-gate"), (None, True, "needs a student")):
        facts = refine(copied_run, student, gate)
        assert facts is not None and facts["outcome"] == "not possible" and word in facts["reason"]
    assert models(copied_run) == before
    change(copied_run, aware="always")
    with pytest.raises(InputError, match="needs a student"):
        refine(copied_run, None)
    assert check(copied_run.path / "export" / BUNDLE) == []


def test_without_validation_persons_calibration_windows_decide(copied_run: Run) -> None:
    change(copied_run, min_cosine=1)
    store = prepare(copied_run.recipe, copied_run)
    store.recordings = [replace(r, split="train" if r.split == "val" else r.split) for r in store.recordings]
    bundle = copied_run.path / "export" / BUNDLE
    judgement = fine_tuning.foresee(copied_run, bundle, store, np.zeros((len(store), 32)), [], [])
    assert judgement.asked == "calibration windows" and judgement.n_subjects == 0
    assert not judgement.passed and "mean cosine" in judgement.reasons[0]
