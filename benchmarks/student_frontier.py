"""Which student? AUROC after the same distillation against latency and size of its INT8 file, beside OPERA-CE.

    python benchmarks/student_frontier.py --run runs/clean --out runs/trials --epochs 8
    python benchmarks/student_frontier.py --run runs/clean --out runs/trials --latency      # on a quiet machine

Every candidate learns the same teacher by the same schedule and goes through the product's export and INT8; timings
are fastest runs, taken in turn, waveform to embedding, against OPERA-CE's float file. OPERA-CE itself is aligned by the
run's recipe from random initialization (its public weights need a download), for ``OPERA_CE_EPOCHS`` epochs, and its
network can be taught like a student (``opera-ce-taught``). Writes ``benchmarks/results/student_frontier.json`` and
``.svg``: aggregates only.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from distillation_trial import Trial, add_options, run_all
from trial_summary import MARGIN, compare, scores_of, shown, summarize_scores, tasks_of

from acula_edge.benchmarking.environment import describe_environment
from acula_edge.benchmarking.inputs import input_arrays
from acula_edge.benchmarking.measure import time_for
from acula_edge.encoders.students import StudentKind, from_timm, repvgg, separable, students
from acula_edge.engines.ort import OrtEngine
from acula_edge.files import write_json
from acula_edge.quantize.footprint import estimate_footprint
from acula_edge.quantize.graph import load_graph

RESULTS = Path(__file__).resolve().parent / "results"
SCHEMA = "acula-edge/student-frontier/1"
# Of the recipe's 48: a third of the optimizer steps of the teacher that the students learn from.
OPERA_CE_EPOCHS = 16
TURNS, BLOCK_S = 40, 0.01
NOTES = (
    f"OPERA-CE from random initialization, {OPERA_CE_EPOCHS} epochs of the run's alignment recipe; students by the "
    "same number of epochs of distillation each (training.epochs). Times: fastest runs on one thread; a shared machine "
    "disturbs longer runs more. Phantom tasks: probes on recordings that no student has learned from."
)


def _kind(backbone: Callable[[], Any], patch: int = 1) -> StudentKind:
    return StudentKind("candidate", "", backbone, patch)


REFERENCE = "opera-ce"

BASE = students["base"]
TRIALS = (
    Trial("base", "RepVGG 80-160-256, 2x2 patches", BASE),
    Trial("base-narrow", "RepVGG 64-128-192, 2x2 patches", _kind(repvgg((64, 128, 192), (2, 3, 2), 32, 2), 2)),
    Trial("base-patch4", "RepVGG 96-192, 4x4 patches", _kind(repvgg((96, 192), (3, 3), 64, 4), 4)),
    Trial("base-32-bands", "base, 32 bands", BASE, frontend={"n_mels": 32}),
    Trial("base-hop-256", "base, hop of 256 samples", BASE, frontend={"hop_length": 256}),
    Trial(
        "tiny-separable",
        "depthwise 64-128-192, 2x2 patches",
        _kind(separable([(64, 2, 1), (128, 4, 2), (192, 2, 2)], 32, 2), 2),
    ),
    Trial("tiny-dense", "RepVGG 32-64-96, 2x2 patches", _kind(repvgg((32, 64, 96), (1, 2, 1), 16, 2), 2)),
    Trial("tiny-dense-wide", "RepVGG 48-96-128, 2x2 patches", _kind(repvgg((48, 96, 128), (1, 2, 1), 24, 2), 2)),
    Trial("large-32", "RepVGG 128-256-512, 2x2 patches", _kind(repvgg((128, 256, 512), (2, 4, 1), 64, 2), 2)),
    Trial("mobilenetv2-035", "MobileNetV2 x0.35", _kind(from_timm("mobilenetv2_035"))),
    Trial("mobilenetv2-050", "MobileNetV2 x0.5", _kind(from_timm("mobilenetv2_050"))),
    Trial("mobileone-s0", "MobileOne-S0", _kind(from_timm("mobileone_s0"))),
    Trial("mobilenetv4-small", "MobileNetV4-conv-small", _kind(from_timm("mobilenetv4_conv_small"))),
    Trial("resnet10t", "ResNet-10-T", _kind(from_timm("resnet10t"))),
    Trial("repvgg-a0", "RepVGG-A0", _kind(from_timm("repvgg_a0"))),
    Trial("efficientnet-lite0", "EfficientNet-lite0", _kind(from_timm("efficientnet_lite0"))),
    Trial("opera-ce-taught", "OPERA-CE's network, taught", _kind(from_timm("efficientnet_b0"))),
    Trial(REFERENCE, "OPERA-CE, aligned itself", BASE, aligned="opera-ce", align={"epochs": OPERA_CE_EPOCHS}),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument(
        "--latency", action="store_true", help="measure the trials that are done, again where they were"
    )
    options = parser.parse_args()
    options.summarize |= options.latency
    done = run_all(TRIALS, options)
    if REFERENCE not in done:
        raise SystemExit(f"there is nothing to compare with before the trial {REFERENCE} is done")
    if options.latency:
        measure(options.out, done)
    result = summarize(options.out, done)
    write_json(RESULTS / "student_frontier.json", result)
    draw(result, RESULTS / "student_frontier.svg")
    show(result)


def measure(out: Path, done: list[str]) -> None:
    """Time every trial's INT8 file against its own float one and against OPERA-CE in float; one thread."""
    reference = _callable(out / REFERENCE / "bundle" / "model.onnx")
    for name in done:
        bundle = out / name / "bundle"
        if (out / name / "latency.json").is_file():
            continue
        int8 = _callable(bundle / "model.int8.onnx")
        pairs = {
            "against_own_float": (_callable(bundle / "model.onnx"), int8),
            "encoder_against_own_float": (
                _callable(bundle / "encoder.onnx"),
                _callable(bundle / "encoder.int8.onnx"),
            ),
            "against_opera_ce_float": (reference, int8),
        }
        measured = {key: race(*pair) for key, pair in pairs.items()}
        cpu = describe_environment()["cpu"]
        kept = {"cpu": {key: cpu[key] for key in ("model", "int8_dot_product")}, "threads": 1, **measured}
        write_json(out / name / "latency.json", kept)
        print(f"{name:20s} {kept['against_opera_ce_float']['speedup']:.2f} times OPERA-CE in float", flush=True)


def race(reference: Callable[[], object], candidate: Callable[[], object]) -> dict[str, float]:
    """Fastest run of each, in turn, and how many times as fast the candidate is.

    The fastest, not the median: on a machine that is shared, a run that lasts longer is interrupted more often, which
    medians of pairs do not make up for (they gave ratios several times too large here).
    """
    fastest = [np.inf, np.inf]
    for _ in range(TURNS):
        for side, run in enumerate((reference, candidate)):
            run()  # its code and weights return to the caches
            fastest[side] = min(fastest[side], float(time_for(run, BLOCK_S).min()))
    return {"speedup": fastest[0] / fastest[1], "reference_ms": fastest[0], "candidate_ms": fastest[1], "turns": TURNS}


def _callable(file: Path) -> Callable[[], object]:
    engine = OrtEngine(file, threads=1)
    inputs = input_arrays(engine)
    return lambda: engine.run(inputs)


def summarize(out: Path, done: list[str]) -> dict[str, Any]:
    """Everything that is known of the trials that are done."""
    teacher, rival = scores_of(out, "teacher"), scores_of(out, REFERENCE)
    candidates = []
    for name in done:
        scores = scores_of(out, name)
        facts = json.loads((out / name / "result.json").read_text())
        facts["training"] |= json.loads((out / name / "readout.json").read_text())
        latency = out / name / "latency.json"
        footprint = estimate_footprint(load_graph(out / name / "bundle" / "encoder.int8.onnx"))
        candidates.append(
            {
                **facts,
                "footprint": vars(footprint),
                "tasks": summarize_scores(scores),
                "float_less_teacher": compare(scores, teacher, ("float", "float"), tasks_of(scores)),
                "int8_less_teacher": compare(scores, teacher, ("int8", "float"), tasks_of(scores)),
                "int8_less_opera_ce_int8": compare(scores, rival, ("int8", "int8"), tasks_of(scores)),
                "latency": json.loads(latency.read_text()) if latency.is_file() else None,
            }
        )
    timed = [row["latency"]["against_opera_ce_float"] for row in candidates if row["latency"]]
    fastest = min((pair["reference_ms"] for pair in timed), default=None)
    for row, pair in zip((row for row in candidates if row["latency"]), timed, strict=True):
        # The same files were timed in other pairs as well.
        pair["reference_ms"] = fastest
        pair["candidate_ms"] = min(pair["candidate_ms"], row["latency"]["against_own_float"]["candidate_ms"])
        pair["speedup"] = fastest / pair["candidate_ms"]
    return {
        "schema": SCHEMA,
        "margin": MARGIN,
        "notes": NOTES,
        "teacher": summarize_scores(teacher),
        "candidates": candidates,
    }


def show(result: dict[str, Any]) -> None:
    """Print the table: size, work, RAM of INT8 values, likeness to the teacher (cosine, neighbors), AUROC, speed."""
    for row in result["candidates"]:
        c1, t10 = (row["tasks"][task]["test"]["int8"] for task in ("C1", "T10"))
        pair = row["latency"]["against_opera_ce_float"]["speedup"] if row["latency"] else float("nan")
        own = row["latency"]["encoder_against_own_float"]["speedup"] if row["latency"] else float("nan")
        ram = (row["footprint"]["ram_int8_bytes"] or 0) / 1024
        cosine, neighbors = (row["training"][key] or float("nan") for key in ("val_cosine", "val_neighbors"))
        print(
            f"{row['name']:20s} {row['parameters'] / 1e3:6.0f} k  {row['macs'] / 1e6:6.1f} M  "
            f"{row['encoder_int8_bytes'] / 1e6:5.2f} MB  {ram:5.0f} KiB  cosine {cosine:.3f}, {neighbors:.3f}  "
            f"C1 {shown(c1)}  T10 {shown(t10)}  {pair:5.2f} x OPERA-CE  {own:5.2f} x own float"
        )


def draw(result: dict[str, Any], path: Path) -> None:
    """C1 of the INT8 files against time, relative to OPERA-CE in float; the area of a point is its file's size."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "acula-edge"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    timed = [row for row in result["candidates"] if row["latency"] is not None]
    timed.sort(key=lambda row: row["latency"]["against_opera_ce_float"]["candidate_ms"])
    for number, row in enumerate(timed):
        time = 1 / row["latency"]["against_opera_ce_float"]["speedup"]
        entry = row["tasks"]["C1"]["test"]["int8"]
        color = "#c0392b" if row["name"].startswith("opera-ce") else "#1b6ca8"
        axes.plot([time, time], entry["ci95"], color=color, linewidth=1, alpha=0.35)
        axes.scatter(time, entry["auroc"], s=40 * row["encoder_int8_bytes"] / 1e6 + 12, color=color, zorder=3)
        axes.annotate(
            row["name"], (time, entry["auroc"]), (6, -11 if number % 2 else 5), textcoords="offset points", fontsize=8
        )
    rival = next(row for row in result["candidates"] if row["name"] == REFERENCE)["tasks"]["C1"]["test"]
    for model, style in (("float", "--"), ("int8", ":")):
        axes.axhline(
            rival[model]["auroc"],
            color="#c0392b",
            linestyle=style,
            linewidth=1,
            label=f"OPERA-CE {model}, {OPERA_CE_EPOCHS} epochs",
        )
    axes.axhline(
        result["teacher"]["C1"]["test"]["float"]["auroc"], color="#8a8a8a", linestyle="-.", linewidth=1, label="teacher"
    )
    axes.set_xscale("log")
    axes.set_xlabel("time of the INT8 file, waveform to embedding, OPERA-CE in float = 1")
    axes.set_ylabel(f"AUROC of C1, {rival['int8']['subjects']} test persons, 95 % intervals over persons")
    axes.legend(loc="lower right", fontsize=8)
    axes.grid(alpha=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
