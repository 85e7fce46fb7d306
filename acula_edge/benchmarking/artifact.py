"""One thing that is measured, and its row in ``benchmark.json``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from acula_edge.benchmarking.energy import Meter
from acula_edge.benchmarking.footprint import measure_footprint
from acula_edge.benchmarking.inputs import input_arrays
from acula_edge.benchmarking.machine import HERE, Machine
from acula_edge.benchmarking.machine_state import read_state
from acula_edge.benchmarking.measure import Latency, Plan, measure_latency
from acula_edge.engines.ort import OrtEngine
from acula_edge.errors import AculaEdgeError
from acula_edge.files import sha256_file
from acula_edge.progress import notify
from acula_edge.untrusted.onnx_file import inspect_onnx

_CALLER = "given by the caller as a callable"
_ENGINE = "an engine runs in this process only"


@dataclass(frozen=True)
class Artifact:
    """Something that runs.

    Attributes:
        name: file name, or the caller's name of a callable.
        stage: ``frontend``, ``encoder`` or ``end_to_end``.
        precision: ``float32`` or ``int8``; None if not known.
        provider: that did run, asserted; None for a callable.
        threads: that it was given.
        run: one inference.
        path: the ONNX file; None for a callable and for an engine.
        model: the row of ``verify.json`` that evaluates this very thing; None where none does.
        sha256: of the file; None where it is not known yet.
    """

    name: str
    stage: str
    precision: str | None
    provider: str | None
    threads: int
    run: Callable[[], object]
    path: Path | None = None
    model: str | None = None
    sha256: str | None = None

    @property
    def is_engine(self) -> bool:
        """Whether it is an engine of the bundle, and not an ONNX file or a caller's own function."""
        return self.path is None and self.provider is not None


def onnx_artifact(
    path: Path,
    *,
    threads: int,
    inputs: Mapping[str, NDArray[Any]] | None = None,
    stage: str | None = None,
    precision: str | None = None,
    model: str | None = None,
    name: str | None = None,
    sha256: str | None = None,
) -> Artifact:
    """An ONNX file with a fixed input; without `inputs`, noise in the shapes that the file declares."""
    engine = OrtEngine(path, threads=threads)
    feed = input_arrays(engine) if inputs is None else dict(inputs)
    return Artifact(
        name=name or path.name,
        stage=stage or guess_stage(engine),
        precision=precision or guess_precision(path),
        provider=engine.provider,
        threads=threads,
        run=lambda: engine.run(feed),
        path=path,
        model=model,
        sha256=sha256,
    )


def guess_stage(engine: OrtEngine) -> str:
    """Stage of an ONNX file, by the names of its inputs and outputs; whatever is unknown is ``end_to_end``."""
    if "mel" in engine.outputs:
        return "frontend"
    return "encoder" if "mel" in engine.inputs else "end_to_end"


def guess_precision(path: Path) -> str:
    """``int8`` when the file holds quantization operators, else ``float32``."""
    return "int8" if ("", "QuantizeLinear") in inspect_onnx(path).operators else "float32"


def measure_artifact(
    artifact: Artifact, plan: Plan, window_s: float | None, meter: Meter, machine: Machine = HERE
) -> tuple[dict[str, Any], Latency]:
    """Latency, clock and warmth, energy, cold start and memory of one artifact: its row, and the raw samples."""
    before = read_state(machine)
    latency = measure_latency(artifact.run, plan, artifact.name)
    after = read_state(machine)
    energy = meter.measure(artifact.run, plan.loop_s)
    row: dict[str, Any] = {
        "artifact": artifact.name,
        "provider": artifact.provider,
        "precision": artifact.precision,
        "threads": artifact.threads,
        "stage": artifact.stage,
        **latency.summary(),
        "cold_start_ms": None,
        "peak_rss_mb": None,
        "rtf": None,
        **energy.row(),
        "clock_mhz": after.clock_mhz,
        "processor_c": {"before": before.processor_c, "after": after.processor_c},
        "model": artifact.model,
        "size_bytes": None,
        "sha256": None,
        "not_measured": {},
    }
    if window_s is not None:
        row["rtf"] = row["p50_ms"] / (window_s * 1e3)
    if artifact.path is None:
        reason = _ENGINE if artifact.is_engine else _CALLER
        row["not_measured"] |= {"cold_start_ms": reason, "peak_rss_mb": reason}
    else:
        row |= measure_footprint(artifact.path, artifact.threads)
        row["size_bytes"] = artifact.path.stat().st_size
        row["sha256"] = artifact.sha256 or sha256_file(artifact.path)
        if row["peak_rss_mb"] is None:
            row["not_measured"]["peak_rss_mb"] = "this system has no /proc/self/status"
    if energy.reason is not None:
        row["not_measured"]["energy_mj"] = energy.reason
    if after.clock_mhz is None:
        row["not_measured"]["clock_mhz"] = "this system tells no clock"
    if after.processor_c is None:
        row["not_measured"]["processor_c"] = "this system has no temperature sensor"
    return row, latency


def engine_artifacts(bundle: Path, feed: Mapping[str, NDArray[Any]]) -> list[Artifact]:
    """The engines that belong here; those that do not are named, with the reason, and left out.

    ``verify.json`` does not evaluate an engine, so none carries an accuracy.

    Args:
        feed: of the whole model.
    """
    plans = sorted(bundle.glob("engine-*.plan"))
    artifacts = []
    for plan in plans:
        try:
            artifacts.append(_open_engine(plan, dict(feed)))
        except AculaEdgeError as error:
            notify("%s is not measured: %s", plan.name, error.problem + (f": {error.given}" if error.given else ""))
    return artifacts


def _open_engine(plan: Path, feed: dict[str, NDArray[Any]]) -> Artifact:
    from acula_edge.engines.tensorrt import check_engine, choose_backend, find_gpu
    from acula_edge.engines.tensorrt.inference import TensorRtEngine
    from acula_edge.engines.tensorrt.records import check_mark

    facts = check_engine(plan, find_gpu(), choose_backend("python").version())
    check_mark(plan, facts)
    engine = TensorRtEngine(plan)
    return Artifact(plan.name, "end_to_end", facts["precision"], engine.provider, 1, lambda: engine.run(feed))
