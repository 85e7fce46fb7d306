"""How fast is the INT8 student, against what one would run otherwise? Every target beside its measured value.

    acula-edge demo
    python benchmarks/int8_latency.py
    python benchmarks/int8_latency.py --bundle RUN/export/base-cpu_x86 --mode full --models /tmp/rivals --json FILE

From waveform to scores, one window, one thread. Comparisons are pairs run in turn (A B A B) and quoted as ratios: the
candidate is the bundle's model.int8.onnx, unless said otherwise. OPERA's encoders have random weights of the published
shapes. The INT8 peak is a large MatMulInteger in the same run. A target that is missed is reported as missed.

The default takes minutes, most of them to make the rivals' ONNX files (--models keeps them). Quote figures from
``--mode full`` on an idle machine.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from latency_rivals import (
    features,
    noise,
    opera_ce_run,
    opera_ct_dynamic_run,
    peak_run,
    torch_run,
)
from rich.console import Console
from rich.table import Table

from acula_edge.benchmarking.disturbance import disturbance_warnings, measure_disturbance
from acula_edge.benchmarking.environment import describe_environment
from acula_edge.benchmarking.measure import PLANS, Plan, measure_latency, plan_for
from acula_edge.benchmarking.paired import measure_pairs
from acula_edge.bundle.folder import read_bundle
from acula_edge.bundle.layout import ENCODER_FILE, ENCODER_INT8_FILE, FRONTEND_FILE, MODEL_FILE, MODEL_INT8_FILE
from acula_edge.bundle.schema import Bundle
from acula_edge.encoders.students import make_student
from acula_edge.engines.ort import OrtEngine
from acula_edge.files import sha256_file, write_json
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.quantize.calibration import make_mels
from acula_edge.quantize.export import export_float
from acula_edge.quantize.graph import load_graph
from acula_edge.quantize.qdq import quantize_encoder
from acula_edge.quantize.workload import measure_work

SCHEMA = "acula-edge/int8-latency/1"
ROOT = Path(__file__).resolve().parents[1]
BUNDLE = ROOT / "runs" / "demo" / "export" / "base-cpu_x86"
BASE, TINY = "base", "tiny"
Json = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """A promise: `value` of `key` is at most or at least `limit`."""

    key: str
    what: str
    at_most: bool
    limit: float
    unit: str

    def judge(self, value: float, ci95: list[float] | None = None) -> Json:
        met = value <= self.limit if self.at_most else value >= self.limit
        return {**dataclasses.asdict(self), "value": value, "ci95": ci95, "met": met}


TARGETS = {
    target.key: target
    for target in (
        Target("end_to_end", "base, waveform to scores", True, 1.6, "ms"),
        Target("opera_gt_torch", "against OPERA-GT in PyTorch float", False, 300, "x"),
        Target("opera_ct_torch", "against OPERA-CT in PyTorch float", False, 100, "x"),
        Target("opera_ct_dynamic", "against OPERA-CT in ONNX Runtime, Optimum's dynamic INT8", False, 40, "x"),
        Target("opera_ce_float", "against OPERA-CE float in ONNX Runtime with features in Python", False, 3, "x"),
        Target("float_encoder", "INT8 encoder against the same encoder in float", False, 2, "x"),
        Target("peak_share", "INT8 encoder, share of this core's INT8 peak", False, 0.5, ""),
        Target("base_size", "base, model.int8.onnx", True, 2.0, "MB"),
        Target("tiny_size", "tiny, model.int8.onnx", True, 0.5, "MB"),
    )
}


def measure(bundle: Path, tiny: Path | None, models: Path, plan: Plan) -> Json:
    """All comparisons and sizes, and each target's verdict."""
    info = read_bundle(bundle)
    wave = noise(info.input.samples)[None]
    int8 = OrtEngine(bundle / MODEL_INT8_FILE)
    mel = OrtEngine(bundle / FRONTEND_FILE).run({"waveform": wave})["mel"]
    encoders = {name: OrtEngine(bundle / name) for name in (ENCODER_FILE, ENCODER_INT8_FILE)}
    work = measure_work(load_graph(bundle / ENCODER_INT8_FILE))
    int8_macs = sum(item.macs for item in work if item.int8)
    how, make_features = features()

    def candidate() -> object:
        return int8.run({"waveform": wave})

    def encoder(name: str) -> Callable[[], object]:
        return lambda: encoders[name].run({"mel": mel})

    rivals: dict[str, Callable[[], object]] = {}
    print("making the rivals", file=sys.stderr)
    rivals["opera_ce_float"] = opera_ce_run(models / "opera-ce", make_features)
    rivals["opera_ct_dynamic"], dynamic = opera_ct_dynamic_run(models / "opera-ct", make_features)
    peak, peak_macs = peak_run(models)
    comparisons = []

    def compare(key: str, reference: Callable[[], object], run: Callable[[], object]) -> Json:
        pairs = measure_pairs(reference, run, plan)
        row = {
            "key": key, **pairs.summary(),
            "reference_ms": pairs.reference_ms.tolist(), "candidate_ms": pairs.candidate_ms.tolist(),
        }  # fmt: skip
        comparisons.append(row)
        return row

    targets = []
    latency = measure_latency(candidate, plan).summary()
    targets.append(TARGETS["end_to_end"].judge(latency["p50_ms"]))
    for key in ("opera_gt_torch", "opera_ct_torch"):
        rivals[key] = torch_run(key.removesuffix("_torch").replace("_", "-"))
    for key in ("opera_gt_torch", "opera_ct_torch", "opera_ct_dynamic", "opera_ce_float"):
        row = compare(key, rivals.pop(key), candidate)
        targets.append(TARGETS[key].judge(row["speedup"], row["speedup_ci95"]))
    row = compare("float_encoder", encoder(ENCODER_FILE), encoder(ENCODER_INT8_FILE))
    targets.append(TARGETS["float_encoder"].judge(row["speedup"], row["speedup_ci95"]))
    row = compare("int8_peak", peak, encoder(ENCODER_INT8_FILE))
    share = int8_macs / peak_macs
    targets.append(
        TARGETS["peak_share"].judge(row["speedup"] * share, [limit * share for limit in row["speedup_ci95"]])
    )
    sizes = {BASE: (bundle / MODEL_INT8_FILE).stat().st_size, TINY: tiny_size(tiny, info)}
    targets += [TARGETS[f"{name}_size"].judge(size / 1e6) for name, size in sizes.items()]
    return {
        "bundle": {"name": info.name, "student": info.student, "sha256": sha256_file(bundle / MODEL_INT8_FILE)},
        "features": how,
        "optimum_model_bytes": dynamic.stat().st_size,
        "end_to_end": latency,
        "encoder_int8_macs": int8_macs,
        "encoder_gmacs_per_s": int8_macs / row["candidate_p50_ms"] / 1e6,
        "peak_gmacs_per_s": peak_macs / row["reference_p50_ms"] / 1e6,
        "sizes_bytes": sizes,
        "comparisons": comparisons,
        "targets": targets,
    }


def tiny_size(tiny: Path | None, info: Bundle) -> int:
    """Bytes of the tiny student's INT8 model; without a bundle one is made, of random weights."""
    if tiny is not None:
        read_bundle(tiny)
        return (tiny / MODEL_INT8_FILE).stat().st_size
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        torch.manual_seed(0)
        student = make_student(
            TINY, frontend=FrontendSpec.from_dict(info.frontend or {}), embedding_dim=info.embedding_dim
        )
        samples = info.input.samples
        export_float(student, [], samples, folder)
        windows = noise(4 * samples).reshape(4, samples)
        quantize_encoder(folder, info.profile, make_mels(folder / FRONTEND_FILE, windows))
        return (folder / MODEL_INT8_FILE).stat().st_size


def show(report: Json) -> None:
    """Every target beside its measured value."""
    table = Table(title="INT8 student on one thread: targets and what this machine gives")
    for column in ("what", "target", "measured", "95 % interval", ""):
        table.add_column(column)
    for row in report["targets"]:
        limit = f"{'at most' if row['at_most'] else 'at least'} {row['limit']:g} {row['unit']}"
        interval = "" if row["ci95"] is None else "{:.3g} to {:.3g}".format(*row["ci95"])
        table.add_row(
            row["what"], limit, f"{row['value']:.3g} {row['unit']}", interval, "met" if row["met"] else "not met"
        )
    console = Console()
    console.print(table)
    console.print(
        f"features of OPERA-CE and OPERA-CT in ONNX Runtime: {report['features']}; "
        f"INT8 peak {report['peak_gmacs_per_s']:.0f} GMAC/s, encoder {report['encoder_gmacs_per_s']:.0f} GMAC/s"
    )


def main() -> None:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=BUNDLE, help="of the base student (default: the demo's)")
    parser.add_argument("--tiny", type=Path, help="bundle of the tiny student; default: made with random weights")
    parser.add_argument("--models", type=Path, help="where the rivals' ONNX files are kept; default: made every time")
    parser.add_argument("--mode", choices=sorted(PLANS), default="smoke", help="how long to measure (default: smoke)")
    parser.add_argument("--json", metavar="FILE", help="write the figures, with every block's, here")
    options = parser.parse_args()
    if not (options.bundle / MODEL_FILE).is_file():
        raise SystemExit(f"there is no bundle at {options.bundle}: run `acula-edge demo --out runs/demo`, or --bundle")
    torch.set_num_threads(1)
    plan = plan_for(options.mode)
    disturbance = measure_disturbance()
    with tempfile.TemporaryDirectory() as folder:
        models = options.models or Path(folder)
        models.mkdir(parents=True, exist_ok=True)
        figures = measure(options.bundle, options.tiny, models, plan)
    show(figures)
    for warning in disturbance_warnings(disturbance):
        print(warning, file=sys.stderr)
    if any(row["key"] == "peak_share" and row["value"] > 1 for row in figures["targets"]):
        print("more than the INT8 peak cannot be: this machine was too busy to measure it", file=sys.stderr)
    if options.json:
        report = {
            "schema": SCHEMA,
            "plan": {"mode": options.mode, **dataclasses.asdict(plan)},
            "environment": describe_environment(),
            "disturbance": disturbance,
            "threads": 1,
            **figures,
        }
        write_json(options.json, report)


if __name__ == "__main__":
    # NumPy's linear algebra reads this when it is loaded, so it has to be set before.
    if os.environ.get("OMP_NUM_THREADS") != "1":
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "OMP_NUM_THREADS": "1"})
    main()
