"""The space of the alignment and the matrix that leads there from any embedding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from acula_edge.align.task import _projection, affine_layers
from acula_edge.align.text_space import FILE, load_text_space, make_text_space, run_layers, save_text_space
from acula_edge.align.train import aligned_space
from acula_edge.distillation.teaching import fit_reduction
from acula_edge.errors import ArtifactError, InputError
from acula_edge.probe.statistics.roc import weighted_auroc
from acula_edge.recipe import AlignConfig, VerifyConfig
from acula_edge.zero_shot.projection import (
    HEAD,
    ON_REPORTS,
    anchor,
    center,
    explained,
    fit_linear_map,
    locate_prompts,
    map_to,
    point,
)
from acula_edge.zero_shot.prompts import Prompts
from acula_edge.zero_shot.scoring import judge_prompts, score_prompts
from tests.zero_shot.conftest import World


def auroc(world: World, weight: np.ndarray, embeddings: np.ndarray, anchors) -> float:
    """C1 on test persons with one sentence per class."""
    prompts = Prompts("mine", {"C1": [["no murmur"], ["murmur"]]})
    vectors = {"C1": np.stack([world.say(-1), world.say(1)])}
    projected = embeddings @ weight
    pointed = point(prompts, vectors, anchors.space, world.reports(), projected, world.recordings, 0.1)
    (scored,), missing = score_prompts({"float_student": projected}, {"float_student": pointed}, 0.1, world.recordings)
    assert missing == []
    return float(
        weighted_auroc(scored.targets, scored.scores["float_student"][:, None], np.ones((1, len(scored.targets))))[0, 0]
    )


def test_a_whitened_space_is_the_target_of_the_alignment(world: World) -> None:
    reports = world.reports()
    space = world.space()
    expected = reports.target.apply(reports.vectors, reports.datasets)
    projected = space.project_text(reports.vectors, reports.datasets)
    # The target of a data set has unit deviation; the space has one scale, and only its cosines are asked for.
    for name, scale in reports.target.scales.items():
        own = np.array(reports.datasets) == name
        np.testing.assert_allclose(projected[own] * scale, expected[own], atol=1e-4)


def test_a_space_is_saved_and_read_as_it_was(world: World, tmp_path: Path) -> None:
    space = world.space()
    save_text_space(tmp_path, space)
    read = load_text_space(tmp_path)
    assert read is not None and read.target == "whitened"
    np.testing.assert_allclose(read.project_audio(world.sound), space.project_audio(world.sound), atol=1e-4)
    names = [recording.dataset for recording in world.recordings]
    np.testing.assert_allclose(read.project_text(world.text, names), space.project_text(world.text, names), atol=1e-4)
    assert load_text_space(tmp_path / "nowhere") is None
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:-9])
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_text_space(tmp_path)


def test_heads_of_a_projected_alignment_are_kept_as_they_were(world: World) -> None:
    torch.manual_seed(0)
    reports = world.reports()

    class Trained:
        config = AlignConfig(text_target="projected")
        audio_head = _projection(world.sound.shape[1], 6).eval()
        text_head = _projection(world.text.shape[1], 6).eval()

    space = aligned_space(Trained(), reports)  # type: ignore[arg-type]
    assert space is not None and (len(space.audio), len(space.text)) == (2, 2)
    with torch.no_grad():
        audio = Trained.audio_head(torch.from_numpy(world.sound).float()).numpy()
        mean, deviation = reports.spread
        scaled = ((reports.vectors - mean) / deviation).astype(np.float32)
        text = Trained.text_head(torch.from_numpy(scaled)).numpy()
    np.testing.assert_allclose(space.project_audio(world.sound), audio, atol=1e-5)
    names = np.array(reports.datasets)
    for name in ("circor", "kauh"):
        text[names == name] -= text[(names == name) & reports.training].mean(axis=0)
    np.testing.assert_allclose(space.project_text(reports.vectors, reports.datasets), text, atol=1e-4)


def test_an_alignment_without_reports_has_no_space(world: World) -> None:
    class Trained:
        audio_head = None

    assert aligned_space(Trained(), world.reports()) is None  # type: ignore[arg-type]


def test_a_linear_head_is_kept_without_its_dropout() -> None:
    head = nn.Sequential(nn.Dropout(0.2), nn.Linear(5, 3)).eval()
    rows = torch.randn(4, 5)
    np.testing.assert_allclose(run_layers(affine_layers(head), rows.numpy()), head(rows).detach().numpy(), atol=1e-6)


def test_vectors_of_another_language_model_and_unknown_data_sets_are_refused(world: World) -> None:
    space = world.space()
    with pytest.raises(InputError, match="do not fit the space"):
        space.project_text(world.text[:, :-1], ["circor"] * len(world.text))
    with pytest.raises(InputError, match="no report of icbhi"):
        space.project_text(world.text[:1], ["icbhi"])


def test_the_map_of_a_student_composes_its_reduction_with_the_head(world: World) -> None:
    """A perfect student's embedding is the teacher's, linearly reduced: the ridge must find the composition."""
    anchors = world.anchors()
    assert anchors.how == HEAD
    training = [number for number, r in enumerate(world.recordings) if r.split == "train"]
    student = fit_reduction(world.sound[training], world.sound.shape[1]).apply(world.sound)
    weight = map_to(anchors, student, world.recordings)
    test = [number for number, r in enumerate(world.recordings) if r.split == "test"]
    direct = center(anchors.projected, world.recordings)[test]
    mapped = center(student @ weight, world.recordings)[test]
    cosines = (direct * mapped).sum(1) / np.linalg.norm(direct, axis=1) / np.linalg.norm(mapped, axis=1)
    assert cosines.min() > 0.98
    assert (explained(anchors, student @ weight, world.recordings) or 0) > 0.95


def test_a_map_without_noise_is_exact() -> None:
    draw = np.random.default_rng(0)
    rows, truth = draw.normal(size=(60, 7)), draw.normal(size=(7, 3))
    found = fit_linear_map(rows, rows @ truth + 5, [str(number // 2) for number in range(60)])
    np.testing.assert_allclose(found, truth, rtol=0.2, atol=0.2)
    constant = np.c_[rows, np.ones(60)]
    assert np.isfinite(fit_linear_map(constant, rows @ truth, [str(number) for number in range(60)])).all()
    with pytest.raises(InputError, match="two persons"):
        fit_linear_map(rows, rows @ truth, ["one"] * 60)


def test_the_map_does_not_depend_on_which_recordings_are_tested(world: World) -> None:
    spoiled = world.sound.copy()
    held_out = [number for number, r in enumerate(world.recordings) if r.split != "train"]
    spoiled[held_out] = np.random.default_rng(0).normal(size=(len(held_out), spoiled.shape[1]))
    anchors = world.anchors()
    np.testing.assert_array_equal(
        map_to(anchors, world.sound, world.recordings), map_to(anchors, spoiled, world.recordings)
    )


def test_prompts_find_the_finding_that_they_name(world: World) -> None:
    anchors = world.anchors()
    weight = map_to(anchors, world.sound, world.recordings)
    assert auroc(world, weight, world.sound, anchors) > 0.95


def test_without_a_kept_head_a_ridge_on_training_reports_takes_its_place(world: World) -> None:
    anchors = anchor(world.sound, None, world.reports())
    assert anchors.how == ON_REPORTS
    weight = map_to(anchors, world.sound, world.recordings)
    assert auroc(world, weight, world.sound, anchors) > 0.95


def test_shuffled_reports_answer_by_chance(world: World) -> None:
    values = []
    for seed in range(12):
        order = np.random.default_rng(seed).permutation(len(world.reports().rows))
        training = world.reports().training
        source = np.arange(len(order))
        source[training] = np.random.default_rng(seed).permutation(source[training])
        anchors = anchor(world.sound, None, world.reports(source))
        weight = map_to(anchors, world.sound, world.recordings)
        values.append(auroc(world, weight, world.sound, anchors))
    assert 0.3 < np.mean(values) < 0.7
    assert min(values) < 0.5


def test_prompts_are_placed_among_the_reports_that_they_are_like(world: World) -> None:
    """Their wording, which no report has, must not turn them away."""
    reports = world.reports()
    read, names = reports.of_training
    own = np.array(names) == "circor"
    targets = world.space().project_text(read, names)[own]
    wording = 2 * np.random.default_rng(1).normal(size=world.text.shape[1])
    wording -= world.words.T @ (world.words @ wording)
    vectors = np.stack([world.say(-1), world.say(1)]) + wording
    placed = locate_prompts(vectors, read[own], targets, 0.1)
    found = world.findings[reports.rows[reports.training]][own][:, 0]
    expected = targets[found > 0].mean(axis=0) - targets[found < 0].mean(axis=0)
    contrast = placed[1] - placed[0]
    assert expected @ contrast / np.linalg.norm(expected) / np.linalg.norm(contrast) > 0.9
    odds = np.exp(np.stack([cosines(read[own], vector) for vector in vectors], axis=1) / 0.1)
    weights = odds / odds.sum(axis=1, keepdims=True) * odds.max(axis=1, keepdims=True)
    by_hand = [sum(w * t for w, t in zip(column, targets, strict=True)) / column.sum() for column in weights.T]
    np.testing.assert_allclose(placed, by_hand, rtol=1e-8)


def cosines(rows: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Of rows with a vector, both from the mean row."""
    mean = rows.mean(axis=0)
    return np.array(
        [(row - mean) @ (vector - mean) / np.linalg.norm(row - mean) / np.linalg.norm(vector - mean) for row in rows]
    )


def test_a_constant_offset_of_a_data_set_changes_nothing(world: World) -> None:
    anchors = world.anchors()
    moved = world.sound + 7.0
    other = anchor(moved, world.space(), world.reports())
    np.testing.assert_allclose(
        center(other.projected, world.recordings), center(anchors.projected, world.recordings), atol=1e-9
    )


def test_a_data_set_that_was_not_trained_on_has_no_prompts(world: World) -> None:
    prompts = Prompts("mine", {"C1": [["a"], ["b"]], "T10": [["a"], ["b"]], "P1": [["a"], ["b"]]})
    vectors = {task: np.stack([world.say(-1), world.say(1)]) for task in prompts.sentences}
    anchors = world.anchors()
    pointed = point(prompts, vectors, anchors.space, world.reports(), anchors.projected, world.recordings, 0.1)
    assert [task.id for task in pointed] == ["C1", "T10"]


def test_identical_models_are_judged_identical(world: World) -> None:
    anchors = world.anchors()
    prompts = Prompts("mine", {"C1": [["a"], ["b"]]})
    vectors = {"C1": np.stack([world.say(-1), world.say(1)])}
    pointed = point(prompts, vectors, anchors.space, world.reports(), anchors.projected, world.recordings, 0.1)
    models = ("float_student", "int8")
    scored, _ = score_prompts(
        dict.fromkeys(models, anchors.projected), dict.fromkeys(models, pointed), 0.1, world.recordings
    )
    (entry,) = judge_prompts(scored, VerifyConfig(bootstrap=50))
    assert entry["int8_vs_student"]["verdict"] == "identical"
    assert entry["flips"] == 0 and entry["int8"]["threshold"] == 0.5
    assert entry["float_teacher"] is None and "retrained_probe" not in entry
    assert entry["protocol"].startswith("no probe")


def test_a_class_without_test_recordings_is_named(world: World) -> None:
    anchors = world.anchors()
    pointed = point(
        Prompts("mine", {"C1": [["a"], ["b"]]}),
        {"C1": np.stack([world.say(-1), world.say(1)])},
        anchors.space,
        world.reports(),
        anchors.projected,
        world.recordings,
        0.1,
    )
    healthy = [
        r if r.split != "test" else r.with_split("val" if r.metadata.get("murmur") == "Present" else "test")
        for r in world.recordings
    ]
    scored, missing = score_prompts({"float_teacher": anchors.projected}, {"float_teacher": pointed}, 0.1, healthy)
    assert scored == []
    assert missing == [{"id": "C1", "reason": "no recordings with murmur present in the test split"}]


def test_make_text_space_centers_every_data_set(world: World) -> None:
    space = world.space()
    reports = world.reports()
    projected = space.project_text(*reports.of_training)
    names = np.array(reports.of_training[1])
    for name in ("circor", "kauh"):
        np.testing.assert_allclose(projected[names == name].mean(axis=0), 0, atol=1e-9)
    again = make_text_space("whitened", space.text, space.audio, *reports.of_training)
    assert again.means.keys() == space.means.keys()
