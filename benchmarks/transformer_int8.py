"""How close is a transformer encoder's INT8 to its float, with and without smoothing? On recordings it never saw.

    acula-edge train opera-ct --data circor=DIR --data kauh=DIR --out runs/ct
    python benchmarks/transformer_int8.py runs/ct runs/gt --json FILE

For every run's encoder, embeddings of windows of test persons in float are compared with those of

* plain: static INT8, min-max ranges, weights per channel, no smoothing;
* smoothed: one exponent for all layers, and the exponents chosen per layer (SmoothQuant, arXiv 2211.10438);
* dynamic: ONNX Runtime's dynamic INT8 of the same graph, as Optimum's command makes it.

The form that ``acula-edge export`` would choose, by the windows that calibrate, is marked. A run that is not trained to
its end gives the weights of its last state. Some minutes per encoder.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from acula_edge.audio.resample import resample
from acula_edge.audio.segment import recording_windows
from acula_edge.bundle.layout import ENCODER_FILE, FRONTEND_FILE
from acula_edge.data.prepare import at_rate, prepare
from acula_edge.encoders import load_encoder
from acula_edge.encoders.base import AudioEncoder, make_encoder
from acula_edge.engines.ort import OrtEngine
from acula_edge.files import write_json
from acula_edge.quantize.calibration import load_definition, make_mels, pick_windows
from acula_edge.quantize.channel_groups import describe, find_groups
from acula_edge.quantize.export import export_float
from acula_edge.quantize.forms import Measuring, list_forms
from acula_edge.quantize.graph import load_graph
from acula_edge.quantize.parity import compare_rows
from acula_edge.quantize.placement import place
from acula_edge.quantize.profiles import profiles
from acula_edge.quantize.qdq import embed, insert_qdq
from acula_edge.run import Run

SCHEMA = "acula-edge/transformer-int8/1"
Array = NDArray[np.float32]
Json = dict[str, Any]


def open_encoder(run: Run) -> tuple[AudioEncoder, int]:
    """The run's encoder, from its last state where it is not finished, and how many steps it has trained."""
    rows = run.metrics("align")
    if run.encoder_dir.is_dir():
        return load_encoder(run.encoder_dir).deployable(), int(rows[-1]["step"])
    (state,) = sorted((run.checkpoints_dir / "align").glob("state-*.pt"))
    epoch, step = (int(part) for part in state.stem.split("-")[1:])
    task = torch.load(state, map_location="cpu", weights_only=True)["task"]
    encoder = make_encoder(run.recipe.encoder.name, frontend=run.recipe.frontend, options=run.recipe.encoder.options)
    prefix = "encoder."
    encoder.load_state_dict({k.removeprefix(prefix): v for k, v in task.items() if k.startswith(prefix)})
    return encoder.deployable(), epoch * (rows[0]["step"] if rows else 0) + step


def held_out_windows(store: Any, recipe: Any, rate_hz: int, count: int) -> Array:
    """One window from each of `count` recordings of test persons. Shape: [count, T]."""
    generator = np.random.default_rng(0)
    held_out = [index for index, recording in enumerate(store.recordings) if recording.split == "test"]
    picked = []
    for index in generator.permutation(held_out)[:count]:
        wave = resample(np.asarray(store[int(index)], np.float32), store.sample_rate_hz, rate_hz)
        windows = recording_windows(wave, rate_hz, recipe.data.window_s, recipe.data.hop_s, recipe.data.trim_top_db)
        picked.append(np.asarray(windows[int(generator.integers(len(windows)))], np.float32))
    return np.stack(picked)


def measure(run: Run, folder: Path, profile_name: str, calibration: int, held_out: int) -> Json:
    """All INT8 forms of one run's encoder."""
    encoder, steps = open_encoder(run)
    rate_hz, profile = encoder.frontend.sample_rate_hz, profiles[profile_name]
    store = at_rate(prepare(run.recipe, run), run, rate_hz)
    picked = pick_windows(store, load_definition("default"), run.recipe.data, rate_hz, calibration)
    heard = held_out_windows(store, run.recipe, rate_hz, held_out)
    export_float(encoder, [], encoder.frontend.samples(run.recipe.data.window_s), folder)
    # Half of the windows calibrate, the other half choose.
    mels = make_mels(folder / FRONTEND_FILE, picked.windows)
    fit, judge, test = mels[::2], mels[1::2], make_mels(folder / FRONTEND_FILE, heard)
    model = load_graph(folder / ENCODER_FILE)
    reference, judged = embed(model, test), embed(model, judge)
    placement = place(model, profile)
    groups = find_groups(model, placement.quantized)
    rows = []
    for name, graph in _static(model, profile_name, fit, groups, placement):
        choosing = compare_rows(judged, embed(graph, judge)).sqnr_db
        rows.append({"name": name, "choosing_sqnr_db": choosing, **_compare(reference, embed(graph, test))})
        print(rows[-1], flush=True)
    best = max(rows, key=lambda row: row["choosing_sqnr_db"])
    dynamic = _dynamic(folder)
    found = np.concatenate([dynamic.run({"mel": mel})["embedding"] for mel in test])
    rows.append({"name": "dynamic", "choosing_sqnr_db": None, **_compare(reference, found)})
    return {
        "encoder": run.recipe.encoder.name,
        "steps": steps,
        "window_s": run.recipe.data.window_s,
        "datasets": sorted(run.recipe.data.sources),
        "calibration_windows": len(fit),
        "test_windows": len(test),
        "layers": {"quantized": len(placement.quantized), **describe(groups)},
        "forms": [{**row, "chosen": row is best} for row in rows],
    }


def _static(
    model: onnx.ModelProto, profile: str, fit: Sequence[Array], groups: Any, placement: Any
) -> Iterator[tuple[str, onnx.ModelProto]]:
    chosen = profiles[profile]
    measuring = Measuring(fit, fit, "minmax", chosen, placement.quantized)
    for form in list_forms(model, measuring, [], groups):
        exponent = form.facts["smoothing"]
        name = "plain" if exponent is None else f"smoothed, {exponent}"
        yield name, insert_qdq(form.network, chosen, placement, form.ranges)


def _dynamic(folder: Path) -> OrtEngine:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = folder / "dynamic.onnx"
    quantize_dynamic(str(folder / ENCODER_FILE), str(path), weight_type=QuantType.QInt8)
    return OrtEngine(path)


def _compare(reference: Array, found: Array) -> Json:
    values = compare_rows(reference, found)
    products = (reference * found).sum(axis=1)
    cosines = products / (np.linalg.norm(reference, axis=1) * np.linalg.norm(found, axis=1))
    return {**values, "cosine_median": float(np.median(cosines))}


def show(report: Json) -> None:
    """A row per form."""
    table = Table(title="INT8 embeddings against float ones, windows of test persons")
    for column in ("encoder", "INT8", "cosine p1", "median", "centered", "SQNR"):
        table.add_column(column)
    for encoder in report["encoders"]:
        for form in encoder["forms"]:
            table.add_row(
                f"{encoder['encoder']}, {encoder['steps']} steps",
                form["name"] + (" (chosen)" if form["chosen"] else ""),
                *(f"{form[key]:.5f}" for key in ("cosine_p1", "cosine_median", "cosine_centered_mean")),
                f"{form['sqnr_db']:.1f} dB",
            )
    Console().print(table)


def main() -> None:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="runs whose encoder is a transformer")
    parser.add_argument("--profile", default="cpu_x86", choices=profiles.names())
    parser.add_argument("--calibration", type=int, default=64, help="windows of training persons (default: 64)")
    parser.add_argument("--windows", type=int, default=100, help="windows of test persons (default: 100)")
    parser.add_argument("--json", metavar="FILE", help="write the figures here")
    options = parser.parse_args()
    encoders = []
    for path in options.runs:
        with tempfile.TemporaryDirectory() as folder:
            run = Run.open(path)
            encoders.append(measure(run, Path(folder), options.profile, options.calibration, options.windows))
    report = {"schema": SCHEMA, "profile": dataclasses.asdict(profiles[options.profile]), "encoders": encoders}
    show(report)
    if options.json:
        write_json(options.json, report)


if __name__ == "__main__":
    main()
