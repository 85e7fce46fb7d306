"""Peak memory of INT8 calibration, by the number of windows: ranges come from histograms, so it should hardly grow.

    python benchmarks/calibration_memory.py BUNDLE --json benchmarks/results/calibration_memory.json

Every count runs in a process of its own: windows of 8 s of noise are resampled, turned into spectrograms by the
bundle's front end and shown to its encoder, as in an export, one at a time.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from acula_edge.bundle.folder import read_bundle
from acula_edge.bundle.layout import ENCODER_FILE, FRONTEND_FILE
from acula_edge.data.manifest import Recording
from acula_edge.files import write_json
from acula_edge.quantize.calibration import CalibrationDefinition, pick_windows
from acula_edge.quantize.calibration_windows import Spectrograms
from acula_edge.quantize.equalization import find_pairs
from acula_edge.quantize.graph import load_graph
from acula_edge.quantize.ranges import float_values, survey
from acula_edge.recipe import DataConfig

LIMIT_MB = 1000.0
STORED_HZ = 16000


class Noise:
    """A store of recordings that are made when they are read, all of training persons."""

    def __init__(self, count: int, duration_s: float) -> None:
        self.sample_rate_hz = STORED_HZ
        self._samples = round(duration_s * STORED_HZ)
        self.recordings = [
            Recording(f"{index}", "", f"person-{index}", "noise", STORED_HZ, duration_s, split="train")
            for index in range(count)
        ]

    def __len__(self) -> int:
        return len(self.recordings)

    def __getitem__(self, index: int) -> np.ndarray:
        generator = np.random.default_rng(index)
        return (generator.uniform(0.01, 0.9) * generator.uniform(-1, 1, self._samples)).astype(np.float32)


def calibrate(bundle: Path, count: int, method: str) -> dict[str, float | int | str]:
    """Calibrate on `count` windows in this process, and say what it took."""
    source = read_bundle(bundle).input
    data = DataConfig(window_s=source.window_s, hop_s=source.hop_s, trim_top_db=source.trim_top_db)
    definition = CalibrationDefinition("noise", windows=count)
    windows = pick_windows(Noise(count, source.window_s), definition, data, source.sample_rate_hz)
    model = load_graph(bundle / ENCODER_FILE)
    rescaled = [name for pair in find_pairs(model) for name in pair.values]
    found = survey(model, Spectrograms(bundle / FRONTEND_FILE, windows), float_values(model), rescaled)
    found.ranges(method)
    return {"windows": found.windows, "method": method, "peak_rss_mb": peak_rss_mb()}


def peak_rss_mb() -> float:
    """Of this process. Linux's getrusage would count the parent as it was before exec."""
    status = Path("/proc/self/status")
    if status.is_file():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, help="a bundle with encoder.onnx and frontend.onnx")
    parser.add_argument("--windows", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--method", default="mse")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.here:
        print(json.dumps(calibrate(chosen.bundle, chosen.windows[0], chosen.method)))
        return 0
    rows = []
    for count in chosen.windows:
        command = [sys.executable, __file__, str(chosen.bundle), "--windows", str(count), "--method", chosen.method]
        printed = subprocess.run([*command, "--here"], check=True, capture_output=True, text=True).stdout
        rows.append(json.loads(printed.splitlines()[-1]))
        print(f"{count} windows, {chosen.method}: peak {rows[-1]['peak_rss_mb']:.0f} MB", flush=True)
    result = {
        "schema": "acula-edge/calibration-memory/1",
        "limit_mb": LIMIT_MB,
        "passed": all(row["peak_rss_mb"] < LIMIT_MB for row in rows),
        "runs": rows,
    }
    if chosen.json is not None:
        write_json(chosen.json, result)
    return 0 if result["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
