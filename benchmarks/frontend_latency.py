"""What does the front end cost on this machine, and what would the obvious forms of it cost?

    python benchmarks/frontend_latency.py
    python benchmarks/frontend_latency.py --mode quick --json frontend.json

Compares, for one clip on one thread, the graph front end that is exported with every model, in ONNX Runtime, with

* stacked: its form for frames that do not overlap by half, which every front end had before: frames stacked as columns,
  then one transform of their whole length;
* native: the same spectrogram from the sound at 4 kHz, nothing resampled (16 kHz front end only);
* stream: the streaming form, chunk by chunk, and the level of the whole;
* plain: the usual way to put a spectrogram into a graph, a Conv1d whose kernels are the windowed sines and cosines;
* numpy: the reference form, transform by transform as librosa does it, in double precision.

Each comparison is a series of pairs run in turn (A B A B). The largest difference from the reference, on noise, stands
beside every time. The default takes a few seconds and shows that it works; quote figures from ``--mode full`` on an
idle machine.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn.functional import conv1d

from acula_edge.benchmarking.disturbance import disturbance_warnings, measure_disturbance
from acula_edge.benchmarking.environment import describe_environment
from acula_edge.benchmarking.measure import PLANS, Plan, plan_for
from acula_edge.benchmarking.paired import measure_pairs
from acula_edge.engines.ort import OrtEngine
from acula_edge.files import write_json
from acula_edge.frontend.filterbank import mel_filterbank
from acula_edge.frontend.native import native_spec
from acula_edge.frontend.reference import log_mel
from acula_edge.frontend.spec import OPERA, FrontendSpec
from acula_edge.frontend.torch import graph_frontend
from acula_edge.frontend.torch.graph_mel import mel_bands
from acula_edge.frontend.torch.levels import log_mel_level
from acula_edge.frontend.torch.spectra import StackedSpectrum
from acula_edge.frontend.torch.stream import Level, StreamMelPower

Array = NDArray[np.float32]

# Name, specification, samples: the published front end, and the auscultation recipe's.
SPECS: tuple[tuple[str, FrontendSpec, int], ...] = (
    ("16 kHz, 1024/512", OPERA, 130880),
    ("4 kHz, 256/128", FrontendSpec(4000, 256, 128, 64, 25, 2000), 32640),
)


class PlainLogMel(nn.Module):
    """The front end with its transform as one strided convolution. Shape: wave [B, T] -> [B, F, M]."""

    def __init__(self, spec: FrontendSpec) -> None:
        super().__init__()
        self.spec = spec
        n = np.arange(spec.n_fft)
        waves = np.exp(-2j * np.pi * np.outer(np.arange(spec.n_fft // 2 + 1), n) / spec.n_fft)
        waves = waves * (0.5 - 0.5 * np.cos(2 * np.pi * n / spec.n_fft))
        self.kernels = nn.Buffer(torch.from_numpy(np.concatenate([waves.real, waves.imag])[:, None]).float())
        self.filters = nn.Buffer(torch.from_numpy(mel_filterbank(spec)).float())

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        """Shape: wave [B, T] -> [B, F, M]."""
        real, imag = conv1d(
            wave[:, None], self.kernels, stride=self.spec.hop_length, padding=self.spec.n_fft // 2
        ).chunk(2, dim=1)
        power = real * real + imag * imag
        return log_mel_level(power.transpose(1, 2) @ self.filters, self.spec)


class StackedLogMel(nn.Module):
    """The graph form for frames of any overlap. Shape: wave [1, T] -> [1, F, M]."""

    def __init__(self, spec: FrontendSpec, samples: int) -> None:
        super().__init__()
        self.spec = spec
        self.spectrum = StackedSpectrum(spec, samples)
        self.bands = mel_bands(spec, self.spectrum)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        """Shape: wave [1, T] -> [1, F, M]."""
        return log_mel_level(self.bands(self.spectrum(wave)).transpose(0, 1)[None], self.spec)


def export(
    module: nn.Module, example: tuple[torch.Tensor, ...], names: tuple[list[str], list[str]], path: Path
) -> OrtEngine:
    """A module in ONNX Runtime on one thread."""
    program = torch.onnx.export(
        module.eval(),
        example,
        dynamo=True,
        opset_version=18,
        input_names=names[0],
        output_names=names[1],
        verbose=False,
    )
    assert program is not None
    program.save(path)
    return OrtEngine(path, threads=1)


def engine(module: nn.Module, samples: int, path: Path) -> Callable[[Array], Array]:
    """A front end in ONNX Runtime on one thread: [T] -> [F, M]."""
    session = export(module, (torch.zeros(1, samples),), (["waveform"], ["mel"]), path)
    return lambda wave: session.run({"waveform": wave[None]})["mel"][0]


def stream_engine(spec: FrontendSpec, samples: int, folder: Path, hops: int = 32) -> Callable[[Array], Array]:
    """The streaming halves over a whole clip: [T] -> [F, M]."""
    hop, frames = spec.hop_length, spec.frames(samples)
    example = (torch.zeros(1, hops * hop), torch.zeros(1, hop))
    names = (["chunk", "tail"], ["power", "next_tail"])
    stream = export(StreamMelPower(spec, hops), example, names, folder / "stream.onnx")
    power = torch.zeros(1, frames, spec.n_mels)
    level = export(Level(spec), (power,), (["power"], ["mel"]), folder / "level.onnx")

    def run(wave: Array) -> Array:
        chunks = np.pad(wave, (0, -(-frames // hops) * hops * hop - len(wave))).reshape(-1, 1, hops * hop)
        tail, powers = np.zeros((1, hop), np.float32), []
        for chunk in chunks:
            output = stream.run({"chunk": chunk, "tail": tail})
            powers.append(output["power"])
            tail = output["next_tail"]
        return level.run({"power": np.concatenate(powers, axis=1)[:, :frames]})["mel"][0]

    return run


def compare(name: str, spec: FrontendSpec, samples: int, plan: Plan, folder: Path) -> list[dict[str, Any]]:
    """One row for each form that the graph is compared with."""
    wave = (0.1 * np.random.default_rng(0).standard_normal(samples)).astype(np.float32)
    graph = engine(graph_frontend(spec, samples), samples, folder / "graph.onnx")
    others: dict[str, Callable[[Array], Array]] = {
        "stacked": engine(StackedLogMel(spec, samples), samples, folder / "stacked.onnx"),
        "stream": stream_engine(spec, samples, folder),
        "plain": engine(PlainLogMel(spec), samples, folder / "plain.onnx"),
        "numpy": lambda wave: log_mel(wave, spec),
    }
    if spec.sample_rate_hz > 4000:
        native = native_spec(spec, 4000)
        slow = wave[:: spec.sample_rate_hz // 4000]
        listen = engine(graph_frontend(native, len(slow)), len(slow), folder / "native.onnx")
        others["native"] = lambda _: listen(slow)
    expected = log_mel(wave, spec)
    rows = []
    for form, run in others.items():
        wanted = log_mel(slow, native) if form == "native" else expected
        pairs = measure_pairs(lambda run=run: run(wave), lambda: graph(wave), plan)
        rows.append(
            {
                "frontend": name,
                "spec": spec.to_dict(),
                "samples": samples,
                "candidate": "graph",
                "reference": form,
                **pairs.summary(),
                "candidate_max_error": float(np.abs(graph(wave) - expected).max()),
                "reference_max_error": float(np.abs(run(wave) - wanted).max()),
                "reference_ms": pairs.reference_ms.tolist(),
                "candidate_ms": pairs.candidate_ms.tolist(),
            }
        )
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    """Print the rows as a table."""
    table = Table(title="front end, one clip of 8.2 s, one thread, ms (median of blocks; largest error)")
    for column in ("front end", "graph", "against", "its time", "graph is faster by", "95 % interval"):
        table.add_column(column)
    for row in rows:
        low, high = row["speedup_ci95"]
        table.add_row(
            row["frontend"],
            f"{row['candidate_p50_ms']:.3f} ({row['candidate_max_error']:.0e})",
            row["reference"],
            f"{row['reference_p50_ms']:.3f} ({row['reference_max_error']:.0e})",
            f"{row['speedup']:.2f}",
            f"{low:.2f} to {high:.2f}",
        )
    Console().print(table)


def main() -> None:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=sorted(PLANS), default="smoke", help="how long to measure (default: smoke)")
    parser.add_argument("--json", metavar="FILE", help="write the figures, with every block's, here")
    options = parser.parse_args()
    plan = plan_for(options.mode)
    disturbance = measure_disturbance()
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for case in SPECS for row in compare(*case, plan, Path(folder))]
    show(rows)
    for warning in disturbance_warnings(disturbance):
        print(warning, file=sys.stderr)
    if options.json:
        report = {
            "schema": "acula-edge/frontend-latency/2",
            "plan": {"mode": options.mode, **dataclasses.asdict(plan)},
            "environment": describe_environment(),
            "disturbance": disturbance,
            "threads": 1,
            "comparisons": rows,
        }
        write_json(options.json, report)


if __name__ == "__main__":
    # NumPy's linear algebra reads this when it is loaded, so it has to be set before.
    if os.environ.get("OMP_NUM_THREADS") != "1":
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "OMP_NUM_THREADS": "1"})
    main()
