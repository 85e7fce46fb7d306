"""Another INT8 encoder in a finished bundle: same graph, other numbers. The float model stays, bit for bit."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from acula_edge.engines.bundle_files import read_bundle, seal, write_bundle_file
from acula_edge.errors import InputError
from acula_edge.files import atomic_folder, changed_folder, read_json, write_json
from acula_edge.quantize.audit import write_audit
from acula_edge.quantize.export import ENCODER_FILE, FRONTEND_FILE, MODEL_FILE, merge_files
from acula_edge.quantize.golden import write_selftest
from acula_edge.quantize.graph import load_graph, save_graph
from acula_edge.quantize.insertion import embed
from acula_edge.quantize.parity import compare_rows
from acula_edge.quantize.qdq import ENCODER_INT8_FILE, MODEL_INT8_FILE, QUANTIZE_FILE
from acula_edge.quantize.speed import Measure, guard_speed

# What is measured on the models of a bundle, and so belongs to the former one.
MEASURED = ("verify", "zero_shot_scores", "benchmark", "engine")


def replace_int8(folder: Path, encoder: onnx.ModelProto, mels: Sequence[NDArray[np.float32]], whose: str) -> None:
    """Put `encoder` in the place of ``encoder.int8.onnx``, with all that follows from it.

    Args:
        folder: a bundle with an INT8 model; as it was until the new one is complete.
        encoder: a QDQ graph for the same profile.
        mels: spectrograms [1, F, M] on which INT8 is compared with float.
        whose: what they are of, in words.
    """
    info = read_bundle(folder)
    facts = read_json(folder / QUANTIZE_FILE)
    with atomic_folder(folder) as stage:
        for name in info["files"]:
            if not name.startswith(MEASURED):
                shutil.copyfile(folder / name, stage / name)
        save_graph(encoder, stage / ENCODER_INT8_FILE)
        merge_files(stage / FRONTEND_FILE, stage / ENCODER_INT8_FILE, stage / MODEL_INT8_FILE)
        reference = embed(load_graph(stage / ENCODER_FILE), mels)
        facts["parity"] = {**compare_rows(reference, embed(encoder, mels)), "windows": whose}
        write_json(stage / QUANTIZE_FILE, facts)
        write_audit(stage, info["profile"], MODEL_INT8_FILE)
        write_selftest(stage, info["input"], {"float": MODEL_FILE, "int8": MODEL_INT8_FILE})
        info["parity"]["int8_vs_onnx"] = facts["parity"]
        write_bundle_file(stage, info)


def measure_again(folder: Path, profile: str, measure: Measure) -> None:
    """Time the INT8 encoder that lies there now; it has the nodes of the former one, so nothing is planned anew.

    ``bundle.json`` recommends by this timing; the one before stays in ``quantize.json``, as ``speed.before``.
    """
    facts = read_json(folder / QUANTIZE_FILE)
    _, speed = guard_speed(folder, profile, facts, _keep_plan, measure)
    if not speed["measured"]:
        return
    with changed_folder(folder) as stage:
        write_json(stage / QUANTIZE_FILE, {**facts, "speed": {**speed, "before": facts["speed"]}})
        seal(stage, recommended=speed["recommended"], recommended_because=speed["reason"])


def _keep_plan(left_float: Mapping[str, str]) -> dict[str, Any]:
    raise InputError("a fine-tuned graph keeps its layers", given=left_float)


def annotate(folder: Path, **facts: Any) -> None:
    """Add to what ``quantize.json`` says of how the INT8 model came about."""
    with changed_folder(folder) as stage:
        write_json(stage / QUANTIZE_FILE, {**read_json(folder / QUANTIZE_FILE), **facts})
        seal(stage)
