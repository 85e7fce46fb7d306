"""From a recipe to an aligned encoder in a run folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from acula_edge.align.pairs import Pairs
from acula_edge.align.reports import ReportVectors, read_reports
from acula_edge.align.self_supervised import self_supervised
from acula_edge.align.task import AlignmentTask, affine_layers
from acula_edge.align.text_space import Layer, TextSpace, make_text_space, save_text_space
from acula_edge.align.text_target import fact_groups
from acula_edge.clinical_text.fact_vectors import FACTS
from acula_edge.data.manifest import Recording
from acula_edge.data.prepare import prepare_alignment
from acula_edge.data.store import WaveStore
from acula_edge.encoders.base import AudioEncoder, make_encoder
from acula_edge.encoders.checkpoints import load_public_head
from acula_edge.errors import RecipeError
from acula_edge.files import atomic_folder, sha256_file
from acula_edge.language import check_language_model
from acula_edge.probe.tasks import resolve_tasks
from acula_edge.processes import is_main, start, wait_for_all
from acula_edge.progress import notify
from acula_edge.recipe import Recipe, frontend_of
from acula_edge.run import Run
from acula_edge.training import Optimization, fit, forget, resolve_device
from acula_edge.training.step_log import step_log


def align(run: Run, *, resume: bool = False) -> None:
    """Prepare the data, read the reports, align the encoder and save it under ``RUN/encoder``.

    With no objective at all the encoder is saved as it starts: the control "random initialization". Of several
    processes the main one writes; all of them train.
    """
    recipe = run.recipe
    config = recipe.align
    start(cpu=resolve_device(config.device).type == "cpu")
    torch.manual_seed(recipe.seed)
    encoder = make_encoder(
        recipe.encoder.name,
        frontend=recipe.frontend,
        checkpoint=recipe.encoder.checkpoint,
        options=recipe.encoder.options,
    )
    check_beforehand(encoder, recipe, run)
    store = prepare_alignment(recipe, run)
    facts: dict[str, Any] = {"objectives": config.objectives, "self_supervised": config.self_supervised}
    folder = run.checkpoints_dir / "align"
    space: TextSpace | None = None
    if config.objectives or config.self_supervised:
        train, val, reports = read_pairs(run, store)
        spectrum = [round(float(value), 4) for value in reports.target.spectrum]
        facts.update(pairs_train=len(train), pairs_val=len(val), text_spectrum=spectrum)
        task = AlignmentTask(encoder, store, train, val, config, frontend_of(recipe).samples(recipe.data.window_s))
        if recipe.encoder.checkpoint is not None:
            load_public_heads(task, recipe.encoder.checkpoint)
        with step_log(run, "align", config.tensorboard) as log_step:
            facts.update(
                fit(
                    task,
                    Optimization.of(config, recipe.seed),
                    folder,
                    log=lambda **figures: run.log("align", **figures),
                    log_step=log_step,
                    resume=resume,
                    description="aligning",
                )
            )
        encoder = task.encoder
        if is_main():
            task.settle(None)
            space = aligned_space(task, reports)
    if is_main():
        save_encoder(encoder, run.encoder_dir, space)
        run.record("align", sha256=sha256_file(run.encoder_dir / "model.safetensors"), **facts)
        forget(folder)
    wait_for_all()


def check_beforehand(encoder: AudioEncoder, recipe: Recipe, run: Run) -> None:
    """Refuse what would fail only after hours of decoding: clips of a wrong length, a missing language model.

    Raises:
        InputError: as the encoder, its self-supervised objective or the language model say it.
    """
    config, spec = recipe.align, encoder.frontend
    frames = spec.frames(spec.samples(config.crop_s or recipe.data.window_s))
    encoder.check_frames(frames)
    encoder.check_frames(spec.frames(spec.samples(recipe.data.window_s)))
    with torch.random.fork_rng(devices=[]):  # weights that come later must not depend on this
        for name in config.self_supervised:
            self_supervised[name](encoder).draws(encoder, frames)
    if config.objectives and recipe.language.model != FACTS and not run.text_dir.is_dir():
        check_language_model(recipe.language)


def load_public_heads(task: AlignmentTask, checkpoint: str) -> None:
    """Start the self-supervised head from the public weights, where it is the one that they were trained with."""
    for name, head in task.heads().items():
        part = head.published if name == task.encoder.self_supervised else None
        if part is not None and load_public_head(part, task.encoder, checkpoint):
            notify("the head of %s starts from the public weights as well", name)


def save_encoder(encoder: Any, folder: Path, space: TextSpace | None = None) -> None:
    """Write config.json, model.safetensors and the space that the encoder was aligned to, whole or not at all."""
    with atomic_folder(folder) as temporary:
        encoder.cpu().eval().save_pretrained(temporary)
        if space is not None:
            save_text_space(temporary, space)


def read_pairs(run: Run, store: WaveStore) -> tuple[Pairs, Pairs, ReportVectors]:
    """Reports of training and validation recordings, as targets. Test recordings are never read.

    Returns:
        Training pairs, validation pairs, and the vectors that the targets were made of.
    """
    config = run.recipe.align
    reports = read_reports(run, store)
    names = reports.datasets
    numbers = {name: index for index, name in enumerate(sorted(set(names)))}
    dataset = np.array([numbers[name] for name in names])
    reduced = reports.target.apply(reports.vectors, names)
    groups = reports.facts if config.positives == "facts" else fact_groups(reduced, names)
    subject = np.unique([r.subject for r in reports.recordings], return_inverse=True)[1]
    text = reduced
    source = reports.source
    if config.text_target == "projected":
        mean, deviation = reports.spread
        text = ((reports.vectors - mean) / deviation).astype(np.float32)
    elif config.text_target == "labels":
        text = task_labels(run.recipe.verify.tasks, reports.recordings)

    def pairs(mask: np.ndarray) -> Pairs:
        told = source[mask]
        return Pairs(reports.rows[mask], text[told], dataset[mask], groups[told], subject[mask], reports.findings[mask])

    return pairs(reports.training), pairs(~reports.training), reports


def task_labels(names: Sequence[str], recordings: Sequence[Recording]) -> np.ndarray:
    """Labels of the binary ones among tasks, a column each: 0, 1, or NaN where a recording has none; float32 [N, T].

    Raises:
        RecipeError: none of the tasks is binary.
    """
    chosen = [task for task in resolve_tasks(names, recordings) if task.kind == "binary"]
    if not chosen:
        raise RecipeError("align.text_target=labels needs a binary task", given=", ".join(names) or "no task")
    values = [[task.value(recording) for task in chosen] for recording in recordings]
    return np.array([[np.nan if value is None else value for value in row] for row in values], dtype=np.float32)


def aligned_space(task: AlignmentTask, reports: ReportVectors) -> TextSpace | None:
    """The space that a trained task's heads map to; None where it aligned with no report."""
    if task.audio_head is None or task.config.text_target == "labels":
        return None
    if task.text_head is None:
        text: list[Layer] = [reports.whitening]
    else:
        (mean, deviation), ((weight, bias), *others) = reports.spread, affine_layers(task.text_head)
        scaled = weight / deviation[:, None]
        text = [(scaled, bias - mean @ scaled), *others]
    return make_text_space(task.config.text_target, text, affine_layers(task.audio_head), *reports.of_training)
