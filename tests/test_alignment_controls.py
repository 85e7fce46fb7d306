"""The table of controls: what is trained, what is kept of it, and intervals over persons and trainings."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from acula_edge.recipe import load_recipe


@pytest.fixture(scope="module")
def controls() -> ModuleType:
    path = Path(__file__).resolve().parents[1] / "benchmarks" / "alignment_controls.py"
    spec = importlib.util.spec_from_file_location("alignment_controls", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["alignment_controls"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def fold(number: int, gain: float, seed: int = 0) -> dict[str, Any]:
    """Twenty persons with two recordings each; scores tell the label as well as `gain` says."""
    generator = np.random.default_rng([number, seed])
    persons, targets = np.repeat(np.arange(20), 2), np.repeat(np.arange(20) % 2, 2)
    scores = gain * targets + generator.standard_normal(40)
    row = {
        "task": "C1", "model": "teacher", "persons": persons.tolist(), "targets": targets.tolist(),
        "scores": scores.tolist(),
    }  # fmt: skip
    return {"rows": [row], "figures": {}}


def test_every_arm_is_a_recipe_and_is_trained_as_often_as_said(controls: ModuleType) -> None:
    jobs = list(controls.list_all())
    assert len(jobs) == len(set(jobs)) == 5 * (3 * len(controls.COMPARED) + len(controls.ARMS) - len(controls.COMPARED))
    for arm, overrides in controls.ARMS.items():
        assert load_recipe("auscultation", overrides=overrides).name == "auscultation", arm


def test_another_recipe_is_trained_again_and_what_comes_after_does_not_count(controls: ModuleType) -> None:
    def mark(arm: str, *overrides: str) -> str:
        options = argparse.Namespace(recipe="auscultation", overrides=list(overrides))
        return str(controls.mark(options, controls.Job(arm, 0, 1)))

    assert mark("aligned") == mark("aligned", "data.sources.circor.root=/elsewhere", "distill.epochs=3")
    assert mark("aligned") != mark("aligned", "align.epochs=3") and mark("aligned") != mark("facts")
    assert mark("deployed") != mark("deployed", "distill.epochs=3")


def test_scores_are_kept_training_by_training_and_others_cannot_slip_in(controls: ModuleType, tmp_path: Path) -> None:
    for number in (0, 1):
        controls.keep_scores(tmp_path, controls.Job("aligned", 0, number), fold(number, 2.0), "a")
    kept = controls.read_scores(tmp_path, "aligned")
    assert list(kept) == ["seed0-fold0", "seed0-fold1"] and kept["seed0-fold0"]["recipe"] == "a"
    changed = fold(0, 2.0)
    changed["rows"][0]["targets"][0] = 1
    with pytest.raises(SystemExit, match="others were tested"):
        controls.keep_scores(tmp_path, controls.Job("label", 0, 0), changed, "a")
    controls.summarize(tmp_path)
    assert (tmp_path / "summary.json").is_file()


def test_intervals_hold_persons_and_trainings(controls: ModuleType, tmp_path: Path) -> None:
    for seed in range(3):
        for number in range(2):
            controls.keep_scores(tmp_path, controls.Job("aligned", seed, number), fold(number, 0.3 + seed, seed), "a")
            controls.keep_scores(tmp_path, controls.Job("shuffled", seed, number), fold(number, 0.0, seed), "a")
    cohort = controls.json.loads((tmp_path / "cohort.json").read_text())
    arms = {arm: controls.read_scores(tmp_path, arm) for arm in controls.ARMS}
    three = controls.pool(arms["aligned"], cohort, "teacher", "C1")
    assert three.seeds == 3 and three.folds == (0, 1) and len(set(three.persons)) == 40
    described = controls.describe(three)
    assert described["auroc"] == pytest.approx(np.mean(described["by_seed"]), abs=1e-4)
    middle = controls.Pool(three.persons, three.targets, {(1, None): three.scores[1, None]}, three.folds)
    one = controls.describe(middle)
    assert np.diff(described["ci95"]) > np.diff(one["ci95"]), "trainings that differ widen it"
    difference = controls.compare(arms, cohort, ("aligned", "teacher"), ("shuffled", "teacher"), "C1")
    assert difference["ci95"][0] > 0 and difference["seeds"] == [3, 3] and difference["subjects"] == 40
    same = controls.compare(arms, cohort, ("shuffled", "teacher"), ("shuffled", "teacher"), "C1")
    assert same["delta"] == 0 and same["ci95"][0] < 0 < same["ci95"][1]


def test_what_every_fold_hears_is_a_mean_over_encoders_not_one_of_many(controls: ModuleType, tmp_path: Path) -> None:
    for number in range(4):
        done = fold(0, 0.7, seed=number)
        done["rows"][0]["task"] = "C1b"
        controls.keep_scores(tmp_path, controls.Job("aligned", 0, number), done, "a")
    cohort = controls.json.loads((tmp_path / "cohort.json").read_text())
    found = controls.pool(controls.read_scores(tmp_path, "aligned"), cohort, "teacher", "C1b")
    assert len(found.persons) == 40 and len(found.scores) == 4 and found.seeds == 1
    areas = [controls.auroc(found.targets, scores) for scores in found.scores.values()]
    assert controls.describe(found)["auroc"] == pytest.approx(np.mean(areas))
    assert np.isfinite(controls.describe(found)["per_subject_ci95"]).all()
