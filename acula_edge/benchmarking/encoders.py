"""Two forms of one encoder against each other on this machine: what the export's speed guard asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from acula_edge.benchmarking.artifact import onnx_artifact
from acula_edge.benchmarking.environment import describe_cpu
from acula_edge.benchmarking.measure import plan_for
from acula_edge.benchmarking.paired import measure_pairs


def compare_encoders(reference: Path, candidate: Path, *, mode: str, threads: int) -> dict[str, Any]:
    """Run two ONNX files in turn on the same noise.

    Returns:
        What :meth:`acula_edge.benchmarking.paired.Pairs.summary` says, with ``mode``, ``threads``, ``provider`` and
        ``cpu``.
    """
    artifacts = [onnx_artifact(path, threads=threads, stage="encoder") for path in (reference, candidate)]
    pairs = measure_pairs(artifacts[0].run, artifacts[1].run, plan_for(mode))
    return {
        **pairs.summary(),
        "mode": mode,
        "threads": threads,
        "provider": artifacts[1].provider,
        "cpu": describe_cpu()["model"],
    }
