"""The bundle: one folder that a device needs, made whole in a temporary place beside it and then renamed there.

``bundle.json`` is written last. A failed export, a full disk included, leaves the former bundle as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from acula_edge import __version__
from acula_edge.audio.quality_limits import describe_quality
from acula_edge.engines.bundle_files import BUNDLE_SCHEMA, write_bundle_file
from acula_edge.engines.bundle_files import seal as seal
from acula_edge.engines.prompt_vectors import PromptVectors, save_prompt_vectors
from acula_edge.files import atomic_folder, write_json
from acula_edge.progress import notify
from acula_edge.provenance import provenance
from acula_edge.quantize.audit import write_audit
from acula_edge.quantize.calibration import load_definition, pick_judges, pick_windows
from acula_edge.quantize.calibration_windows import CalibrationWindows, Spectrograms, Waves
from acula_edge.quantize.export import FRONTEND_FILE, MODEL_FILE, Encoder, FloatExport, export_float
from acula_edge.quantize.extra_frontends import write_extra_frontends
from acula_edge.quantize.golden import write_selftest
from acula_edge.quantize.graph import OPSET
from acula_edge.quantize.heads import TaskHead, column_ranges
from acula_edge.quantize.hub_files import write_hub_files
from acula_edge.quantize.profiles import profiles
from acula_edge.quantize.qdq import MODEL_INT8_FILE, QUANTIZE_FILE, quantize_encoder
from acula_edge.quantize.speed import Measure, guard_speed
from acula_edge.quantize.tuning import Tuning
from acula_edge.recipe import DataConfig, QuantizeConfig, RuntimeConfig
from acula_edge.smoothing import describe_smoothing

DISCLAIMER = (
    "Research software. Not a medical device: not evaluated for diagnosis, screening or monitoring, "
    "and not to be used for clinical decisions."
)

# Windows on which PyTorch and ONNX are compared.
PARITY_WINDOWS = 16


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
    origin: dict[str, Any]


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
    """Export, quantize, audit and describe; everything that a device needs ends up in `folder`.

    Args:
        folder: the bundle; a former one there is replaced once the new one is complete.
        encoder: the trained student (or encoder).
        heads: on its embedding, in the order of the score columns.
        data: the window, its hop and trimming.
        quantize: profile, method and calibration.
        store: recordings to calibrate on; None writes the float model only.
        frontend: see :func:`acula_edge.quantize.export.export_float`.
        prompts: zero-shot prompts beside this encoder's embeddings; None for none.
        measure: compares two encoders' speed on this machine; None leaves it unmeasured.
        runtime: limits of quality and smoothing, for the device; None for the defaults.

    Raises:
        InputError: something does not fit, or the disk is full; nothing was half written.
    """
    folder = Path(folder)
    spec = encoder.frontend
    picked = judges = None
    if store is not None:
        definition = load_definition(quantize.calibration)
        wanted = quantize.calibration_windows
        picked = pick_windows(store, definition, data, spec.sample_rate_hz, wanted, "fit")
        judges = pick_judges(store, definition, data, spec.sample_rate_hz, wanted)
    with atomic_folder(folder) as stage:
        exported = export_float(
            encoder,
            heads,
            spec.samples(data.window_s),
            stage,
            frontend=frontend,
            windows=None if picked is None else np.stack(picked[:PARITY_WINDOWS]),
        )
        parity: dict[str, Any] = {"onnx_vs_torch": exported.parity}
        models = {"float": MODEL_FILE}
        quantized: dict[str, Any] | None = None
        if picked is not None:
            quantized = _quantize(stage, quantize, picked, judges, measure)
            parity["int8_vs_onnx"] = quantized["parity"]
            models["int8"] = MODEL_INT8_FILE
        architecture = description.student or description.encoder
        write_hub_files(stage, encoder, architecture, None if quantized is None else profiles[quantize.profile])
        audit = write_audit(stage, quantize.profile, models.get("int8", MODEL_FILE))
        write_selftest(stage, _describe_input(spec.sample_rate_hz, exported.samples, data), models)
        frontends = write_extra_frontends(stage, spec, exported.samples, quantize)
        if prompts is not None:
            save_prompt_vectors(stage, prompts)
        facts = _facts(folder.name, encoder, heads, description, data, quantize, exported, parity, quantized)
        facts["frontends"] = frontends
        settings = RuntimeConfig() if runtime is None else runtime
        facts["quality"] = describe_quality(settings.quality)
        facts["smoothing"] = describe_smoothing(settings.smoothing)
        facts["zero_shot"] = None if prompts is None else prompts.describe()
        write_bundle_file(stage, facts)
    if not audit["passed"]:
        errors = [finding for finding in audit["findings"] if finding["severity"] == "error"]
        notify("the audit for %s found %d errors, see %s", quantize.profile, len(errors), folder / "audit.json")
    return folder


def _quantize(
    stage: Path,
    settings: QuantizeConfig,
    picked: CalibrationWindows,
    judges: CalibrationWindows | None,
    measure: Measure | None,
) -> dict[str, Any]:
    """Make the INT8 files as quality and speed ask for; returns the content of ``quantize.json``."""
    mels = Spectrograms(stage / FRONTEND_FILE, picked)
    judging = None if judges is None else list(Spectrograms(stage / FRONTEND_FILE, judges))

    def make(left_float: Mapping[str, str]) -> dict[str, Any]:
        return quantize_encoder(
            stage,
            settings.profile,
            mels,
            method=settings.method,
            keep_float=settings.keep_float,
            left_float=left_float,
            calibration={**picked.describe(), "judges": None if judges is None else judges.describe()},
            parity_mels=judging,
            tuning=Tuning(
                bias_correction=settings.bias_correction,
                sensitivity=settings.sensitivity,
                min_cosine=settings.min_cosine if settings.mixed_precision == "auto" else None,
            ),
        )

    quantized, speed = guard_speed(stage, settings.profile, make({}), make, measure)
    if speed["recommended"] == "float":
        notify("recommended: the float model. %s", speed["reason"])
    facts = {**quantized, "speed": speed}
    write_json(stage / QUANTIZE_FILE, facts)
    return facts


def _describe_input(sample_rate_hz: int, samples: int, data: DataConfig) -> dict[str, Any]:
    return {
        "name": "waveform",
        "sample_rate_hz": sample_rate_hz,
        "samples": samples,
        "window_s": data.window_s,
        "hop_s": data.hop_s,
        "trim_top_db": data.trim_top_db,
        "dtype": "float32",
        "range": [-1.0, 1.0],
    }


def _facts(
    name: str,
    encoder: Encoder,
    heads: Sequence[TaskHead],
    description: Description,
    data: DataConfig,
    quantize: QuantizeConfig,
    exported: FloatExport,
    parity: dict[str, Any],
    quantized: dict[str, Any] | None,
) -> dict[str, Any]:
    tasks = [
        {**head.describe(), "start": start, "stop": stop}
        for head, (start, stop) in zip(heads, column_ranges(heads), strict=True)
    ]
    kept = ("method", "calibration", "ops", "int8_mac_share", "size_ratio")
    speed = {} if quantized is None else quantized["speed"]
    return {
        "schema": BUNDLE_SCHEMA,
        "name": name,
        "created_by": {"name": "acula-edge", "version": __version__},
        "student": description.student,
        "encoder": description.encoder,
        "profile": quantize.profile,
        "disclaimer": DISCLAIMER,
        "input": _describe_input(encoder.frontend.sample_rate_hz, exported.samples, data),
        "frontend": encoder.frontend.to_dict(),
        "mel": {"name": "mel", "frames": exported.frames, "bands": exported.bands},
        "embedding_dim": exported.embedding_dim,
        "tasks": tasks,
        "parameters": exported.parameters,
        "opset": OPSET,
        "quantization": None if quantized is None else {key: quantized[key] for key in kept},
        "recommended": speed.get("recommended", "float"),
        "recommended_because": speed.get("reason", "no INT8 model was made"),
        "parity": parity,
        "provenance": {**provenance(), **description.origin},
    }
