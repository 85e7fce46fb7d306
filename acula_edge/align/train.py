"""From a recipe to an aligned encoder in a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from acula_edge.align.pairs import Pairs
from acula_edge.align.self_supervised import self_supervised
from acula_edge.align.task import AlignmentTask
from acula_edge.align.text_target import fact_groups, fit_text_target
from acula_edge.data.manifest import Recording
from acula_edge.data.prepare import prepare
from acula_edge.data.reports import write_corpus, write_reports
from acula_edge.data.store import WaveStore
from acula_edge.encoders.base import AudioEncoder, make_encoder
from acula_edge.encoders.checkpoints import load_public_head
from acula_edge.errors import InputError, ManifestError
from acula_edge.files import atomic_folder, sha256_file
from acula_edge.language import check_language_model, embed_recordings
from acula_edge.processes import is_main, start, wait_for_all
from acula_edge.progress import notify
from acula_edge.recipe import Recipe, frontend_of
from acula_edge.run import Run
from acula_edge.training import Optimization, fit, forget, refresh_statistics, resolve_device
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
    store = prepare(recipe, run)
    facts: dict[str, Any] = {"objectives": config.objectives, "self_supervised": config.self_supervised}
    folder = run.checkpoints_dir / "align"
    if config.objectives or config.self_supervised:
        train, val, spectrum = read_pairs(run, store)
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
            refresh_statistics(encoder, task.clean_batches())
    if is_main():
        save_encoder(encoder, run.encoder_dir)
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
    if config.objectives and not run.text_dir.is_dir():
        check_language_model(recipe.language)


def load_public_heads(task: AlignmentTask, checkpoint: str) -> None:
    """Start the self-supervised head from the public weights, where it is the one that they were trained with."""
    for name, head in task.heads().items():
        part = head.published if name == task.encoder.self_supervised else None
        if part is not None and load_public_head(part, task.encoder, checkpoint):
            notify("the head of %s starts from the public weights as well", name)


def save_encoder(encoder: Any, folder: Path) -> None:
    """Write config.json and model.safetensors, whole or not at all."""
    with atomic_folder(folder) as temporary:
        encoder.cpu().eval().save_pretrained(temporary)


def read_pairs(run: Run, store: WaveStore) -> tuple[Pairs, Pairs, list[float]]:
    """Reports of training and validation recordings, as targets. Test recordings are never read.

    Returns:
        Training pairs, validation pairs, and the spectrum of the text target.
    """
    recipe = run.recipe
    rows = [index for index, r in enumerate(store.recordings) if r.split in ("train", "val")]
    recordings = [store.recordings[index] for index in rows]
    training = np.array([r.split == "train" for r in recordings])
    if training.sum() < 8:
        raise ManifestError(
            "there are too few training recordings to align on", given=int(training.sum()), allowed="at least 8"
        )
    vectors = _report_vectors(run, recordings, recipe)
    names = [r.dataset for r in recordings]
    numbers = {name: index for index, name in enumerate(sorted(set(names)))}
    dataset = np.array([numbers[name] for name in names])
    unseen = {name for name, is_train in zip(names, training, strict=True) if not is_train} - {
        name for name, is_train in zip(names, training, strict=True) if is_train
    }
    if unseen:
        raise InputError(f"no training recordings of {', '.join(sorted(unseen))}; only validation ones")
    target = fit_text_target(
        vectors[training],
        [name for name, is_train in zip(names, training, strict=True) if is_train],
        recipe.align.text_components,
        recipe.align.text_shrinkage,
    )
    reduced = target.apply(vectors, names)
    groups = fact_groups(reduced, names)
    subject = np.unique([r.subject for r in recordings], return_inverse=True)[1]
    if recipe.align.text_target == "projected":
        mean, deviation = vectors[training].mean(0), vectors[training].std(0) + 1e-6
        text = ((vectors - mean) / deviation).astype(np.float32)
    else:
        text = reduced
    source = np.arange(len(rows))
    if recipe.reports.shuffle:
        source = _shuffled_within(names, training, recipe.reports.seed)
        notify("reports are shuffled among the recordings of each data set (negative control)")
    positions = np.array(rows)

    def pairs(mask: np.ndarray) -> Pairs:
        return Pairs(positions[mask], text[source[mask]], dataset[mask], groups[source[mask]], subject[mask])

    return pairs(training), pairs(~training), [round(float(value), 4) for value in target.spectrum]


def _report_vectors(run: Run, recordings: list[Recording], recipe: Recipe) -> np.ndarray:
    """One vector per recording: the mean over its phrasings."""
    reports = [write_reports(recording, recipe.reports) for recording in recordings]
    if is_main():
        write_corpus(recordings, recipe.reports, run.text_dir / "reports.jsonl")
    return embed_recordings(reports, recipe.language, run.text_dir, resolve_device(recipe.align.device))


def _shuffled_within(names: list[str], training: np.ndarray, seed: int) -> np.ndarray:
    """A permutation of the training rows within each data set; validation rows stay."""
    source = np.arange(len(names))
    generator = np.random.default_rng(seed)
    for name in sorted(set(names)):
        rows = np.array([i for i, (n, t) in enumerate(zip(names, training, strict=True)) if n == name and t])
        source[rows] = generator.permutation(rows)
    return source
