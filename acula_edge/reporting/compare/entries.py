"""What is compared: one entry for each benchmark, with its machine, its raw samples and the accuracy of its files."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.command_line import command_line
from acula_edge.errors import ArtifactError, InputError
from acula_edge.reporting.compare.accuracy import Accuracy, accuracy_of_row, verified_files
from acula_edge.reporting.evidence import read_numbers
from acula_edge.untrusted.npz import read_npz

Json = dict[str, Any]

SCHEMA = "acula-edge/benchmark/1"
_RESULT = "benchmark.json"
_STAGES = ("end_to_end", "encoder", "frontend")


@dataclass(frozen=True)
class Measurement:
    """One row of a benchmark.

    Attributes:
        row: as in the JSON file.
        accuracy: of the same file.
        samples_ms: raw samples; None where they are not at hand. Shape: [n].
    """

    row: Json
    accuracy: Accuracy
    samples_ms: NDArray[np.float32] | None

    @property
    def artifact(self) -> str:
        """File name, or the name of what was called."""
        return str(self.row["artifact"])

    @property
    def stage(self) -> str:
        """``frontend``, ``encoder`` or ``end_to_end``."""
        return str(self.row["stage"])


@dataclass(frozen=True)
class Entry:
    """One benchmark on one machine.

    Attributes:
        letter: by which the page names it.
        source: name of the file.
        benchmark: its content.
        why_no_samples: "" where raw samples are at hand.
    """

    letter: str
    source: str
    benchmark: Json
    measurements: Sequence[Measurement]
    why_no_samples: str

    @property
    def environment(self) -> Json:
        """Facts of the machine."""
        return dict(self.benchmark.get("environment") or {})

    @property
    def machine(self) -> str:
        """The board of an Arm machine, the processor of another."""
        environment = self.environment
        is_arm = str(environment.get("machine") or "").startswith(("aarch64", "arm"))
        board = (environment.get("jetson") or {}).get("board") or (environment.get("board") if is_arm else None)
        name = board or (environment.get("cpu") or {}).get("model") or environment.get("board") or "unknown machine"
        return str(name).removeprefix("NVIDIA ").replace(" Engineering Reference Developer Kit", "")

    @property
    def what(self) -> str:
        """The bundle's name, or how many files were measured."""
        return str(self.benchmark.get("bundle") or self.source)

    @property
    def label(self) -> str:
        """``A · Raspberry Pi 5``"""
        return f"{self.letter} · {self.machine}"

    @property
    def threads(self) -> int | None:
        """That ONNX Runtime was given; None where rows differ."""
        counts = {measurement.row.get("threads") for measurement in self.measurements}
        return counts.pop() if len(counts) == 1 else None

    def find(self, artifact: str) -> Measurement | None:
        """The measurement of an artifact."""
        return next((item for item in self.measurements if item.artifact == artifact), None)


def read_entries(paths: Sequence[str | Path]) -> list[Entry]:
    """Read benchmarks; accuracy that one of them brings along serves all that ran the same file.

    Args:
        paths: JSON files of ``acula-edge benchmark``, or bundles that hold one.

    Raises:
        InputError: there is none, or one twice.
        ArtifactError: not a benchmark, damaged, or of another schema.
    """
    files = [_result_file(Path(path)) for path in paths]
    if not files:
        raise InputError("there is nothing to compare", remedy="name JSON files of acula-edge benchmark, or bundles")
    resolved = [file.resolve() for file in files]
    twice = next((file for file in files if resolved.count(file.resolve()) > 1), None)
    if twice is not None:
        raise InputError("the same benchmark was named twice", given=twice)
    if len(files) > len(string.ascii_uppercase):
        raise InputError("these are too many to be read on one page", given=len(files), allowed="at most 26")
    verified: dict[str, Accuracy] = {}
    for file in files:
        verified |= verified_files(file.parent)
    benchmarks = [_read_benchmark(file) for file in files]
    entries = zip(string.ascii_uppercase, files, benchmarks, strict=False)
    return [_entry(letter, file, benchmark, verified) for letter, file, benchmark in entries]


def _result_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    if not (path / _RESULT).is_file():
        raise ArtifactError(f"{path} has no {_RESULT} yet", remedy=command_line("acula-edge", "benchmark", path))
    return path / _RESULT


def _read_benchmark(file: Path) -> Json:
    benchmark = read_numbers(file, SCHEMA)
    rows = benchmark.get("measurements")
    sound = isinstance(rows, list) and all(
        isinstance(row, dict) and row.get("stage") in _STAGES and isinstance(row.get("p50_ms"), (int, float))
        for row in rows
    )
    if not sound:
        raise ArtifactError(
            f"{file} lists no measurements that can be read", remedy="measure again with acula-edge benchmark"
        )
    return benchmark


def _entry(letter: str, file: Path, benchmark: Json, verified: dict[str, Accuracy]) -> Entry:
    samples, reason = _read_samples(file, benchmark)
    measurements = [
        Measurement(row, accuracy_of_row(row, benchmark, verified), samples.get(str(row.get("samples_key"))))
        for row in benchmark["measurements"]
    ]
    measurements.sort(key=lambda item: _STAGES.index(item.stage))
    source = file.parent.resolve().name if file.name == _RESULT else file.name
    return Entry(letter, source, benchmark, measurements, reason)


def _read_samples(file: Path, benchmark: Json) -> tuple[dict[str, NDArray[np.float32]], str]:
    """Raw samples by their key, and why there are none."""
    name = benchmark.get("samples_file")
    if not name:
        return {}, "it was written without raw samples"
    path = file.parent / Path(str(name)).name
    if not path.is_file():
        return {}, f"{path.name} is not beside {file.name}"
    keys = [str(row.get("samples_key")) for row in benchmark["measurements"]]
    arrays = read_npz(path, "raw samples")
    return {key: arrays.numbers(key, 1) for key in keys if key in arrays}, ""
