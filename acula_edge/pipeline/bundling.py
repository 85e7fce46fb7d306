"""From a run's student (or encoder) to a bundle: heads fitted on its float embeddings, then export and quantization."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

from acula_edge.benchmark.encoders import compare_encoders
from acula_edge.data.prepare import at_rate, prepare
from acula_edge.encoders import load_encoder
from acula_edge.evidence.criteria import AFTER_TRAINING, collect_criteria, fix_criteria
from acula_edge.evidence.datasets import SUBJECTS_NOTE, describe_datasets
from acula_edge.evidence.sealing import write_evidence
from acula_edge.files import sha256_file
from acula_edge.pipeline.evaluation import encoder_embeddings, select_tasks, teacher_embeddings
from acula_edge.pipeline.fine_tuning import refine
from acula_edge.pipeline.zero_shot import prompts_for_bundle
from acula_edge.probe.heads import fit_heads
from acula_edge.quantize.bundle import Description, write_bundle
from acula_edge.quantize.replacement import measure_again
from acula_edge.quantize.speed import Measure
from acula_edge.recipe import BenchmarkConfig, Recipe
from acula_edge.run import Run


def build_bundle(run: Run, student: str | None, profile: str, *, int8: bool, gate: bool = True) -> Path:
    """Write the bundle of one student (None: of the encoder itself) for one profile; returns its folder.

    Args:
        gate: see :func:`acula_edge.pipeline.fine_tuning.refine`.
    """
    recipe = run.recipe
    store = prepare(recipe, run)
    source = run.encoder_dir if student is None else run.student_dir(student)
    network = load_encoder(source).deployable()
    embeddings = encoder_embeddings(network, at_rate(store, run, network.frontend.sample_rate_hz), recipe)
    tasks = select_tasks([*recipe.verify.tasks, *recipe.verify.gate.require_tasks], store)
    heads = fit_heads(embeddings, store.recordings, tasks, recipe.seed)
    prompts = None
    if recipe.zero_shot.prompts is not None:
        prompts = prompts_for_bundle(run, store, teacher_embeddings(run, store), embeddings)
    origin = {
        "recipe": recipe.name,
        "recipe_sha256": run.kept_recipe.fingerprint(),
        "overrides": list(run.overrides),
        "weights_sha256": sha256_file(source / "model.safetensors"),
        "encoder_sha256": sha256_file(run.encoder_dir / "model.safetensors"),
    }
    measure = _measure(recipe.benchmark) if recipe.quantize.speed_guard else None
    bundle = write_bundle(
        run.bundle_dir(student, profile),
        network,
        heads,
        Description(student=student, encoder=recipe.encoder.name, origin=origin),
        data=recipe.data,
        quantize=dataclasses.replace(
            recipe.quantize,
            profile=profile,  # type: ignore[arg-type]
            min_cosine=_min_cosine(recipe),
        ),
        store=store if int8 else None,
        prompts=prompts,
        measure=measure,
        runtime=recipe.runtime,
    )
    if int8 and refine(run, bundle, student, store, embeddings, heads, tasks, gate=gate) and measure is not None:
        measure_again(bundle, profile, measure)
    fixed = fix_criteria(run.path, run.kept_recipe, AFTER_TRAINING)
    data = {"datasets": describe_datasets(run), "subjects": SUBJECTS_NOTE}
    write_evidence(bundle, data, fixed, collect_criteria(recipe))
    return bundle


def _min_cosine(recipe: Recipe) -> float | None:
    """The target of mixed precision; a gate that asks for nothing, or for the impossible, sets none."""
    asked = recipe.verify.gate.min_cosine
    return recipe.quantize.min_cosine or (asked if 0 < asked < 1 else None)


def _measure(settings: BenchmarkConfig) -> Measure:
    return partial(compare_encoders, mode=settings.mode, threads=settings.threads)
