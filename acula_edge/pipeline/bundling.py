"""From a run's student (or encoder) to a bundle: heads fitted on its float embeddings, export, quantization, proof."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
from msgspec import UNSET
from torch import nn

from acula_edge import __version__
from acula_edge.audio.quality_limits import describe_quality
from acula_edge.benchmarking.encoders import compare_encoders
from acula_edge.bundle.acceptance import begin_acceptance
from acula_edge.bundle.card import recommended_file
from acula_edge.bundle.criteria import AFTER_TRAINING, collect_criteria, fix_criteria
from acula_edge.bundle.datasets import SUBJECTS_NOTE, describe_datasets
from acula_edge.bundle.golden import write_selftest
from acula_edge.bundle.layout import FRONTEND_FILE, MODEL_FILE, MODEL_INT8_FILE
from acula_edge.bundle.prompt_vectors import PromptVectors, save_prompt_vectors
from acula_edge.bundle.schema import (
    Audit,
    Bundle,
    Input,
    Mel,
    Parities,
    Program,
    Provenance,
    QuantizationSummary,
    Quantize,
    ScoredTask,
    Verify,
)
from acula_edge.bundle.writer import BundleWriter, new_bundle
from acula_edge.data.prepare import at_rate, prepare
from acula_edge.data.store import WaveStore
from acula_edge.encoders import load_encoder
from acula_edge.files import sha256_file
from acula_edge.pipeline.evaluation import (
    encoder_embeddings,
    evaluate_bundle,
    select_tasks,
    teacher_embeddings,
)
from acula_edge.pipeline.fine_tuning import Refinement
from acula_edge.pipeline.timing import add_benchmark
from acula_edge.pipeline.zero_shot import prompts_for_bundle
from acula_edge.probe.heads import fit_heads
from acula_edge.progress import notify
from acula_edge.provenance import provenance
from acula_edge.quantize.audit import audit_model
from acula_edge.quantize.calibration import load_definition, pick_judges, pick_windows
from acula_edge.quantize.calibration_windows import CalibrationWindows, Spectrograms, Waves
from acula_edge.quantize.export import Encoder, FloatExport, export_float
from acula_edge.quantize.extra_frontends import write_extra_frontends
from acula_edge.quantize.graph import OPSET
from acula_edge.quantize.heads import TaskHead, column_ranges
from acula_edge.quantize.hub_files import write_hub_files
from acula_edge.quantize.profiles import profiles
from acula_edge.quantize.qdq import quantize_encoder
from acula_edge.quantize.speed import Measure, guard_speed
from acula_edge.quantize.tuning import Tuning
from acula_edge.recipe import BenchmarkConfig, DataConfig, QuantizeConfig, Recipe, RuntimeConfig
from acula_edge.run import Run
from acula_edge.smoothing import describe_smoothing

DISCLAIMER = (
    "Research software. Not a medical device: not evaluated for diagnosis, screening or monitoring, "
    "and not to be used for clinical decisions."
)

# Windows on which PyTorch and ONNX are compared.
PARITY_WINDOWS = 16

Refine = Callable[[Path, Quantize], Quantize]
"""Folder with a float and an INT8 model, how the latter came about -> the same of the INT8 model that is there now."""


@dataclass(frozen=True)
class Exported:
    """What an export left.

    Attributes:
        bundle: its folder.
        quantized: None for a bundle without INT8.
        verification: of the bundle.
    """

    bundle: Path
    quantized: Quantize | None
    verification: Verify


def export_bundle(run: Run, student: str | None, profile: str, *, int8: bool, gate: bool = True) -> Exported:
    """Write, verify and measure the bundle of one student (None: of the encoder itself) for one profile.

    It is there whole and sealed, with its evidence, or not at all; a former one stays until then.

    Args:
        gate: see :meth:`acula_edge.pipeline.fine_tuning.Refinement.__call__`.
    """
    store = prepare(run.recipe, run)
    with new_bundle(run.bundle_dir(student, profile)) as writer:
        quantized = _fill_from_run(writer, run, store, student, profile, int8=int8, gate=gate)
        assert writer.info is not None
        evaluation = evaluate_bundle(run, store, writer.folder, writer.info)
        evaluation.add_to(writer)
        add_benchmark(writer, run)
    return Exported(writer.final, quantized, evaluation.verify)


def build_bundle(run: Run, student: str | None, profile: str, *, int8: bool, gate: bool = True) -> Path:
    """As :func:`export_bundle`, neither verified nor measured."""
    with new_bundle(run.bundle_dir(student, profile)) as writer:
        _fill_from_run(writer, run, prepare(run.recipe, run), student, profile, int8=int8, gate=gate)
    return writer.final


def _fill_from_run(
    writer: BundleWriter,
    run: Run,
    store: WaveStore,
    student: str | None,
    profile: str,
    *,
    int8: bool,
    gate: bool = True,
) -> Quantize | None:
    """The models of a run and all that is known of them before they are verified; returns how INT8 came about."""
    recipe = run.recipe
    source = run.encoder_dir if student is None else run.student_dir(student)
    network = load_encoder(source).deployable()
    embeddings = encoder_embeddings(network, at_rate(store, run, network.frontend.sample_rate_hz), recipe)
    tasks = select_tasks([*recipe.verify.tasks, *recipe.verify.gate.require_tasks], store)
    heads = fit_heads(embeddings, store.recordings, tasks, recipe.seed)
    prompts = None
    if recipe.zero_shot.prompts is not None:
        prompts = prompts_for_bundle(run, store, teacher_embeddings(run, store), embeddings)
    origin = Provenance(
        recipe=recipe.name,
        recipe_sha256=run.kept_recipe.fingerprint(),
        overrides=list(run.overrides),
        weights_sha256=sha256_file(source / "model.safetensors"),
        encoder_sha256=sha256_file(run.encoder_dir / "model.safetensors"),
        datasets=describe_datasets(run),
        subjects=SUBJECTS_NOTE,
    )
    measure = _measure(recipe.benchmark) if recipe.quantize.speed_guard else None
    quantized = fill_bundle(
        writer,
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
        refine=Refinement(
            run, student, store, embeddings, heads, tasks, network.frontend.sample_rate_hz, gate, measure
        ),
    )
    fixed = fix_criteria(run.path, run.kept_recipe, AFTER_TRAINING)
    assert writer.info is not None
    writer.acceptance = begin_acceptance(fixed, collect_criteria(recipe), recommended_file(writer.info))
    return quantized


@dataclass(frozen=True)
class Description:
    """What a bundle says of its origin.

    Attributes:
        student: registered name of the student; None when the encoder itself is exported.
        encoder: registered name of the encoder that it was taught by.
        origin: further facts for ``provenance``, such as the run's recipe hash.
    """

    student: str | None
    encoder: str
    origin: Provenance


def write_bundle(
    folder: str | Path,
    encoder: Encoder,
    heads: Sequence[TaskHead],
    description: Description,
    *,
    data: DataConfig,
    quantize: QuantizeConfig,
    store: Waves | None = None,
    frontend: nn.Module | None = None,
    prompts: PromptVectors | None = None,
    measure: Measure | None = None,
    runtime: RuntimeConfig | None = None,
) -> Path:
    """A bundle of a network that belongs to no run: as :func:`fill_bundle`, without criteria and evidence."""
    folder = Path(folder)
    with new_bundle(folder) as writer:
        fill_bundle(
            writer, encoder, heads, description, data=data, quantize=quantize, store=store, frontend=frontend,
            prompts=prompts, measure=measure, runtime=runtime,
        )  # fmt: skip
    return folder


def fill_bundle(
    writer: BundleWriter,
    encoder: Encoder,
    heads: Sequence[TaskHead],
    description: Description,
    *,
    data: DataConfig,
    quantize: QuantizeConfig,
    store: Waves | None = None,
    frontend: nn.Module | None = None,
    prompts: PromptVectors | None = None,
    measure: Measure | None = None,
    runtime: RuntimeConfig | None = None,
    refine: Refine | None = None,
) -> Quantize | None:
    """Export, quantize, audit and describe: everything that a device needs.

    Args:
        encoder: the trained student (or encoder).
        heads: on its embedding, in the order of the score columns.
        data: the window, its hop and trimming.
        quantize: profile, method and calibration.
        store: recordings to calibrate on; None writes the float model only.
        frontend: see :func:`acula_edge.quantize.export.export_float`.
        prompts: zero-shot prompts beside this encoder's embeddings; None for none.
        measure: compares two encoders' speed on this machine; None leaves it unmeasured.
        runtime: limits of quality and smoothing, for the device; None for the defaults.
        refine: what is done to an INT8 model before anything is said of it; None for nothing.

    Returns:
        How the INT8 model came about; None where there is none.

    Raises:
        InputError: something does not fit.
    """
    stage, spec = writer.folder, encoder.frontend
    picked = judges = None
    if store is not None:
        definition = load_definition(quantize.calibration)
        wanted = quantize.calibration_windows
        picked = pick_windows(store, definition, data, spec.sample_rate_hz, wanted, "fit")
        judges = pick_judges(store, definition, data, spec.sample_rate_hz, wanted)
    windows = None if picked is None else np.stack(picked[:PARITY_WINDOWS])
    exported = export_float(encoder, heads, spec.samples(data.window_s), stage, frontend=frontend, windows=windows)
    quantized: Quantize | None = None
    models = {"float": MODEL_FILE}
    if picked is not None:
        quantized = _quantize(stage, quantize, picked, judges, measure)
        quantized = quantized if refine is None else refine(stage, quantized)
        writer.write(quantized)
        models["int8"] = MODEL_INT8_FILE
    writer.info = _describe(writer.final.name, encoder, heads, description, data, quantize, exported, quantized)
    profile = None if quantized is None else profiles[quantize.profile]
    write_hub_files(stage, encoder, description.student or description.encoder, profile)
    audit = msgspec.convert(audit_model(stage / models.get("int8", MODEL_FILE), quantize.profile), Audit)
    writer.write(audit)
    write_selftest(stage, writer.info.input, models)
    if prompts is not None:
        save_prompt_vectors(stage, prompts)
    settings = RuntimeConfig() if runtime is None else runtime
    writer.info = msgspec.structs.replace(
        writer.info,
        frontends=write_extra_frontends(stage, spec, exported.samples, quantize),
        quality=describe_quality(settings.quality),
        smoothing=describe_smoothing(settings.smoothing),
        zero_shot=None if prompts is None else prompts.describe(),
    )
    if not audit.passed:
        errors = sum(finding.severity == "error" for finding in audit.findings)
        notify("the audit for %s found %d errors, see %s", quantize.profile, errors, writer.final / "audit.json")
    return quantized


def _quantize(
    stage: Path,
    settings: QuantizeConfig,
    picked: CalibrationWindows,
    judges: CalibrationWindows | None,
    measure: Measure | None,
) -> Quantize:
    """Make the INT8 files as quality and speed ask for."""
    mels = Spectrograms(stage / FRONTEND_FILE, picked)
    judging = None if judges is None else list(Spectrograms(stage / FRONTEND_FILE, judges))

    def make(left_float: Mapping[str, str]) -> Quantize:
        return quantize_encoder(
            stage,
            settings.profile,
            mels,
            method=settings.method,
            keep_float=settings.keep_float,
            left_float=left_float,
            calibration=picked.describe(None if judges is None else judges.describe()),
            parity_mels=judging,
            tuning=Tuning(
                bias_correction=settings.bias_correction,
                sensitivity=settings.sensitivity,
                min_cosine=settings.min_cosine if settings.mixed_precision == "auto" else None,
            ),
        )

    quantized = guard_speed(stage, settings.profile, make({}), make, measure)
    assert quantized.speed is not UNSET
    if quantized.speed.recommended == "float":
        notify("recommended: the float model. %s", quantized.speed.reason)
    return quantized


def _describe(
    name: str,
    encoder: Encoder,
    heads: Sequence[TaskHead],
    description: Description,
    data: DataConfig,
    quantize: QuantizeConfig,
    exported: FloatExport,
    quantized: Quantize | None,
) -> Bundle:
    speed = None if quantized is None or quantized.speed is UNSET else quantized.speed
    made = msgspec.convert(provenance(), Provenance)
    known = {
        field: value
        for field, value in msgspec.structs.asdict(description.origin).items()
        if value not in ("", None, {}, UNSET)
    }
    return Bundle(
        name=name,
        created_by=Program("acula-edge", __version__),
        student=description.student,
        encoder=description.encoder,
        profile=quantize.profile,
        disclaimer=DISCLAIMER,
        input=Input(encoder.frontend.sample_rate_hz, exported.samples, data.window_s, data.hop_s, data.trim_top_db),
        frontend=encoder.frontend.to_dict(),
        mel=Mel("mel", exported.frames, exported.bands),
        embedding_dim=exported.embedding_dim,
        tasks=[
            ScoredTask(**head.describe(), start=start, stop=stop)
            for head, (start, stop) in zip(heads, column_ranges(heads), strict=True)
        ],
        parameters=exported.parameters,
        opset=OPSET,
        quantization=None
        if quantized is None
        else QuantizationSummary(
            quantized.method, quantized.calibration, quantized.ops, quantized.int8_mac_share, quantized.size_ratio
        ),
        recommended="float" if speed is None else speed.recommended,
        recommended_because="no INT8 model was made" if speed is None else speed.reason,
        parity=Parities(onnx_vs_torch=exported.parity, int8_vs_onnx=UNSET if quantized is None else quantized.parity),
        provenance=msgspec.structs.replace(made, **known),
    )


def _min_cosine(recipe: Recipe) -> float | None:
    """The target of mixed precision; a gate that asks for nothing, or for the impossible, sets none."""
    asked = recipe.verify.gate.min_cosine
    return recipe.quantize.min_cosine or (asked if 0 < asked < 1 else None)


def _measure(settings: BenchmarkConfig) -> Measure:
    return partial(compare_encoders, mode=settings.mode, threads=settings.threads)
