"""All 18 tasks on miniature releases of the ten data sets, from the folders to verify.json.

The ear is a spectrum in bands instead of a trained encoder, so that what is tested is everything around it.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acula_edge.data.miniature import MiniatureConfig, write_miniature
from acula_edge.data.prepare import list_recordings, prepare
from acula_edge.data.store import WaveStore
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.pipeline import evaluation
from acula_edge.probe.heads import fit_probes
from acula_edge.probe.tasks import resolve_tasks, tasks
from acula_edge.probe.verify import verify_embeddings
from acula_edge.recipe import DataConfig, GateConfig, Recipe, Source, SplitConfig, VerifyConfig, load_recipe
from acula_edge.run import Run

EIGHTEEN = [task.id for task in resolve_tasks(["published"], [])]
RATE_HZ = 8000
BANDS = 24


@pytest.fixture(scope="module")
def sources() -> dict[str, Source]:
    """The data sets of the shipped recipe."""
    return load_recipe("eighteen").data.sources


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory, sources: dict[str, Source]) -> Path:
    root = tmp_path_factory.mktemp("releases")
    for name in sources:
        write_miniature(name, root / name, MiniatureConfig(subjects=40, duration_s=1.0))
    return root


def make_run(folder: Path, releases: Path, sources: dict[str, Source], rule: str = "clean") -> Run:
    data = DataConfig(sources=sources, root=str(releases), split=SplitConfig(rule=rule))  # type: ignore[arg-type]
    frontend = dataclasses.replace(FrontendSpec(), sample_rate_hz=RATE_HZ, fmax_hz=RATE_HZ / 2)
    return Run.create(folder, Recipe(data=data, frontend=frontend))


def listen(store: WaveStore) -> np.ndarray:
    """Mean and spread of the log power in bands, [R, 2 * BANDS]."""
    rows = []
    for index in range(len(store)):
        wave = store[index]
        frames = np.lib.stride_tricks.sliding_window_view(np.pad(wave, (0, 256)), 256)[::128]
        power = np.log(np.abs(np.fft.rfft(frames * np.hanning(256)))[:, 1:] ** 2 + 1e-8)
        bands = np.stack([part.mean(axis=1) for part in np.array_split(power, BANDS, axis=1)], axis=1)
        rows.append(np.concatenate([bands.mean(axis=0), bands.std(axis=0)]))
    return np.array(rows, np.float32)


@dataclasses.dataclass
class Heard:
    """Recordings with what three models hear of them."""

    recordings: list[Any]
    embeddings: dict[str, np.ndarray]


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory, releases: Path, sources: dict[str, Source]) -> Heard:
    run = make_run(tmp_path_factory.mktemp("clean"), releases, sources)
    store = prepare(run.recipe, run)
    student = listen(store)
    step = student.std(axis=0) / 16
    rng = np.random.default_rng(0)
    embeddings = {
        "float_teacher": student + 0.1 * student.std(axis=0) * rng.standard_normal(student.shape).astype(np.float32),
        "float_student": student,
        "int8": np.round(student / step) * step,
    }
    return Heard(store.recordings, embeddings)


def verify(heard: Heard, names: list[str], **settings: Any) -> dict[str, Any]:
    config = VerifyConfig(bootstrap=100, **settings)
    chosen = resolve_tasks(names, heard.recordings)
    probes = {model: fit_probes(rows, heard.recordings, chosen, 0) for model, rows in heard.embeddings.items()}
    return verify_embeddings(heard.embeddings, probes, heard.recordings, chosen, config)


@pytest.fixture(scope="module")
def report(heard: Heard) -> dict[str, Any]:
    return verify(heard, ["published"])


def test_18_of_18_tasks_are_evaluated_for_three_models_and_named_as_phantom(report: dict[str, Any]) -> None:
    assert report["summary"]["tasks_evaluated"] == EIGHTEEN and report["summary"]["tasks_missing"] == []
    for task in report["tasks"]:
        assert task["set"] == "phantom"
        for model in ("float_teacher", "float_student", "int8"):
            assert np.isfinite(task[model]["value"])
        assert task["int8_vs_student"]["verdict"] in ("non-inferior", "inconclusive", "inferior", "identical")
    assert report["summary"]["means_by_set"]["real"]["tasks"] == 0


def test_labels_can_be_heard(report: dict[str, Any]) -> None:
    """A reader that mixed up labels or splits would be at chance; the bands are a modest ear."""
    ranked = [task["float_student"]["value"] for task in report["tasks"] if task["metric"] == "auroc"]
    assert len(ranked) == 11 and np.mean(ranked) > 0.7
    # One second of breath says little of a volume; a vowel's pitch and breathiness, and a rate of breathing, do.
    better = {t["id"] for t in report["tasks"] if t["metric"] == "mae" and t["float_student"]["value"] < t["baseline"]}
    assert {"T16", "T17", "T18", "T19"} <= better


def test_the_published_protocol_gives_a_figure_for_each(report: dict[str, Any]) -> None:
    for task in report["tasks"]:
        figures = task["published_probe"]
        assert figures["reason"] is None, (task["id"], figures["reason"])
        figure = figures["float_student"]
        assert np.isfinite(figure["value"]) and figure["std"] >= 0
        if task["metric"] == "auroc":
            assert len(figure["per_seed"]) == len(figure["best_epochs"]) == 5
            epochs = tasks[task["id"]].published_probe
            assert epochs is not None and max(figure["best_epochs"]) <= epochs.epochs
        else:
            assert len(figure["per_subject"]) == task["n_subjects"]


def test_persons_who_are_tested_are_never_learned_from(heard: Heard) -> None:
    sides: dict[str, set[str]] = {}
    for recording in heard.recordings:
        sides.setdefault(recording.subject, set()).add(recording.split)
    assert all(len(found - {"unused"}) == 1 for found in sides.values())
    for dataset in ("mmlung", "nosemic"):
        assert {r.split for r in heard.recordings if r.dataset == dataset} == {"test"}


def test_absent_data_are_named_and_never_passed(
    heard: Heard, releases: Path, sources: dict[str, Source], tmp_path: Path
) -> None:
    here = [index for index, recording in enumerate(heard.recordings) if recording.dataset not in ("kauh", "mmlung")]
    less = Heard([heard.recordings[i] for i in here], {model: rows[here] for model, rows in heard.embeddings.items()})
    report = verify(less, ["published"], gate=GateConfig(require_tasks=["T10"]), published_probe=False)
    missing = {item["id"]: item["reason"] for item in report["summary"]["tasks_missing"]}
    assert list(missing) == ["T10", *(f"T{n}" for n in range(13, 19))]
    assert all(reason.startswith("data not found: this run holds no recordings of ") for reason in missing.values())
    assert "10.17632/jwyy9np4gv" in missing["T10"].replace("Data ", "10.17632/") and "--data kauh=DIR" in missing["T10"]
    assert not report["gate"]["passed"]
    assert any("T10 (data not found" in reason for reason in report["gate"]["reasons"])


def test_a_data_set_that_is_not_required_may_be_absent(
    releases: Path, sources: dict[str, Source], tmp_path: Path
) -> None:
    only = tmp_path / "some"
    only.mkdir()
    (only / "icbhi").symlink_to(releases / "icbhi")
    listed = list_recordings(make_run(tmp_path / "run", only, sources).recipe.data, Run(tmp_path / "run"))
    assert {recording.dataset for recording in listed.recordings} == {"icbhi"}
    assert all(recording.synthetic for recording in listed.recordings)


def test_published_partitions_are_followed_and_their_leaks_counted(
    releases: Path, sources: dict[str, Source], tmp_path: Path
) -> None:
    run = make_run(tmp_path / "run", releases, sources, rule="published")
    listed = list_recordings(run.recipe.data, run)
    assert set(listed.facts["partition"]) == set(sources)
    leaking = {leak["dataset"] for leak in listed.facts["leaks"] if leak["persons"]}
    assert {"icbhi", "kauh"} <= leaking and not leaking & {"ukcovid", "coughvid", "respiratory_tr", "mmlung", "nosemic"}
    again = list_recordings(run.recipe.data, run)  # from the run's cache
    assert again.facts == listed.facts and [r.split for r in again.recordings] == [r.split for r in listed.recordings]
    coswara = [recording for recording in again.recordings if recording.dataset == "coswara"]
    assert any(recording.split_for("T8") != recording.split_for("T9") for recording in coswara)
    for recording in coswara:
        if "test" in (recording.split_for("T8"), recording.split_for("T9")):
            assert recording.split == "test"


def test_the_command_line_names_the_groups_of_tasks(heard: Heard) -> None:
    class Store:
        recordings = heard.recordings

    chosen = evaluation.select_tasks(["published"], Store())  # type: ignore[arg-type]
    assert [task.id for task in chosen] == EIGHTEEN
    assert [task.id for task in evaluation.select_tasks(["all"], Store())] == EIGHTEEN  # type: ignore[arg-type]
