"""Zero-shot and retrieval of one bundle against its run: prompts into the bundle, their scores into verify.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from acula_edge.align.reports import ReportVectors, read_reports
from acula_edge.align.text_space import load_text_space
from acula_edge.bundle.prompt_vectors import PromptTask, PromptVectors, load_prompt_vectors
from acula_edge.data.store import WaveStore
from acula_edge.language import embed_recordings
from acula_edge.probe.scores import INT8, STUDENT, TEACHER, TaskScores
from acula_edge.run import Run
from acula_edge.training import resolve_device
from acula_edge.zero_shot.projection import (
    ON_TEACHER,
    Anchors,
    anchor,
    center,
    explained,
    map_to,
    point,
    recenter,
)
from acula_edge.zero_shot.prompts import Prompts, load_prompts
from acula_edge.zero_shot.retrieval import measure_retrieval
from acula_edge.zero_shot.scoring import judge_prompts, score_prompts

SPLIT = "val"


def prompts_for_bundle(run: Run, store: WaveStore, teacher: np.ndarray, deployed: np.ndarray) -> PromptVectors | None:
    """The recipe's prompts as vectors for a model; None where the recipe names none.

    Args:
        teacher: [R, D] float teacher's embedding of every recording.
        deployed: [R, E] the same of the model that the bundle holds.
    """
    config = run.recipe.zero_shot
    if config.prompts is None:
        return None
    prompts = load_prompts(config.prompts)
    reports = read_reports(run, store)
    anchors = anchor(teacher, load_text_space(run.encoder_dir), reports)
    weight = map_to(anchors, deployed, store.recordings)
    pointed = _point(run, store, prompts, reports, anchors, np.asarray(deployed, np.float64) @ weight)
    return PromptVectors(prompts.name, prompts.sha256, config.temperature, weight, pointed)


def verify_zero_shot(
    run: Run,
    bundle: Path,
    store: WaveStore,
    embeddings: Mapping[str, np.ndarray],
    name: str | Path,
    only: Sequence[str] | None = None,
) -> tuple[dict[str, Any], list[TaskScores]]:
    """``verify.json``'s ``zero_shot``, and the scores behind it.

    The map and, where the prompts are those that the bundle carries, the vectors are the bundle's own: what is judged
    is what a device computes.

    Args:
        embeddings: model -> [R, D] of every recording.
        name: prompts, see :func:`acula_edge.zero_shot.prompts.load_prompts`.
        only: ids of the tasks to keep to; None for all that have prompts.
    """
    recipe, recordings = run.recipe, store.recordings
    prompts = load_prompts(name)
    reports = read_reports(run, store)
    anchors = anchor(embeddings[TEACHER], load_text_space(run.encoder_dir), reports)
    projected = {TEACHER: anchors.projected}
    deployed = [model for model in (STUDENT, INT8) if model in embeddings]
    carried = load_prompt_vectors(bundle, embeddings[deployed[0]].shape[1]) if deployed else None
    if deployed:
        reference = embeddings[deployed[0]]
        weight = map_to(anchors, reference, recordings) if carried is None else carried.weight.astype(np.float64)
        projected.update({model: np.asarray(embeddings[model], np.float64) @ weight for model in deployed})
    if carried is not None and carried.prompts_sha256 == prompts.sha256:
        pointed = list(carried.tasks)
        temperature = carried.temperature
    else:
        pointed = _point(run, store, prompts, reports, anchors, projected[deployed[0] if deployed else TEACHER])
        temperature = recipe.zero_shot.temperature
    known = {task.id for task in pointed}
    asked = [task for task in prompts.tasks if only is None or task.id in only]
    missing = [
        {"id": task.id, "reason": f"no training recordings of the data set {task.dataset}"}
        for task in asked
        if task.id not in known
    ]
    pointed = [task for task in pointed if any(task.id == other.id for other in asked)]
    beside = {TEACHER: recenter(pointed, anchors.projected, recordings), **dict.fromkeys(deployed, pointed)}
    scored, untested = score_prompts(projected, beside, temperature, recordings)
    result = {
        "prompts": prompts.name,
        "prompts_sha256": prompts.sha256,
        "in_bundle": carried is not None and carried.prompts_sha256 == prompts.sha256,
        "temperature": temperature,
        "language_model": recipe.language.model,
        "maps": {TEACHER: anchors.how, **dict.fromkeys(deployed, ON_TEACHER)},
        "explained": explained(anchors, projected[deployed[0]], recordings, SPLIT) if deployed else None,
        "tasks": judge_prompts(scored, recipe.verify),
        "tasks_missing": [*missing, *untested],
        "retrieval": _retrieval(run, store, reports, anchors, projected),
    }
    return result, scored


def _point(
    run: Run, store: WaveStore, prompts: Prompts, reports: ReportVectors, anchors: Anchors, projected: np.ndarray
) -> list[PromptTask]:
    """Read prompts with the run's language model and put them beside a model's recordings."""
    recipe = run.recipe
    classes = [sentences for task in prompts.sentences.values() for sentences in task]
    rows = embed_recordings(classes, recipe.language, run.text_dir / "prompts", resolve_device(recipe.align.device))
    ends = np.cumsum([len(task) for task in prompts.sentences.values()])[:-1]
    vectors = dict(zip(prompts.sentences, np.split(rows, ends), strict=True))
    return point(prompts, vectors, anchors.space, reports, projected, store.recordings, recipe.zero_shot.temperature)


def _retrieval(
    run: Run, store: WaveStore, reports: ReportVectors, anchors: Anchors, projected: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    recipe = run.recipe
    held_out = ~reports.training
    recordings = [r for r, chosen in zip(reports.recordings, held_out, strict=True) if chosen]
    position = reports.rows[held_out]
    scopes: list[dict[str, Any]] = []
    if recordings:
        # INT8 is centered where its float form is: the engine is swapped, nothing else.
        audio = {
            model: center(rows, store.recordings, projected.get(STUDENT) if model == INT8 else None)[position]
            for model, rows in projected.items()
        }
        datasets = [recording.dataset for recording in recordings]
        scopes = measure_retrieval(
            audio,
            anchors.space.project_text(reports.vectors[held_out], datasets),
            reports.facts[held_out],
            datasets,
            [recording.subject for recording in recordings],
            recipe.verify.bootstrap,
            recipe.verify.seed,
        )
    return {"split": SPLIT, "candidates": "distinct reports of the split", "scopes": scopes}
