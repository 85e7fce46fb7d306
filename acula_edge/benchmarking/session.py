"""One benchmark from beginning to end: idle power, every artifact, pairs in turn, and what became of the machine."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.benchmarking.accuracy import accuracy_of, accuracy_of_model
from acula_edge.benchmarking.artifact import Artifact, measure_artifact
from acula_edge.benchmarking.disturbance import core_times, disturbance_warnings, measure_disturbance
from acula_edge.benchmarking.energy import Meter
from acula_edge.benchmarking.environment import describe_environment
from acula_edge.benchmarking.machine import HERE, Machine
from acula_edge.benchmarking.machine_state import read_state, state_warnings, summarize_states
from acula_edge.benchmarking.measure import Plan
from acula_edge.benchmarking.paired import measure_pairs
from acula_edge.bundle.layout import BENCHMARK_FILE, BENCHMARK_SAMPLES_FILE
from acula_edge.bundle.schema import Benchmark
from acula_edge.files import atomic_path, write_json
from acula_edge.progress import still, track


def run_session(
    artifacts: Sequence[Artifact],
    pairs: Sequence[tuple[Artifact, Artifact]],
    plan: Plan,
    mode: str,
    facts: dict[str, Any],
    verification: dict[str, Any] | None,
    folder: Path | None,
    machine: Machine = HERE,
) -> dict[str, Any]:
    """Measure `artifacts`, then `pairs` (reference, candidate) in turn.

    Args:
        facts: entries of the result that say what is measured: ``bundle, window_s, input``.
        verification: ``verify.json`` of the same files; None without one.
        folder: for both files; None writes nothing.

    Returns:
        The content of ``benchmark.json``.
    """
    environment = describe_environment(machine)
    disturbance = measure_disturbance()
    meter = Meter.open(machine, plan.loop_s)
    before = core_times()
    states = [read_state(machine)]
    samples: dict[str, NDArray[Any]] = {}
    measurements, comparisons = [], []
    with still():
        for artifact in track(artifacts, "measuring latency", total=len(artifacts)):
            row, latency = measure_artifact(artifact, plan, facts["window_s"], meter, machine)
            row["accuracy"] = accuracy_of_model(verification, artifact.model)
            row["samples_key"] = f"latency/{artifact.name}"
            samples[row["samples_key"]] = latency.samples_ms.astype(np.float32)
            samples[f"loop/{artifact.name}"] = latency.loop_of_sample
            measurements.append(row)
            states.append(read_state(machine))
        for reference, candidate in track(pairs, "comparing in turn", total=len(pairs)):
            name = f"{candidate.name} against {reference.name}"
            measured = measure_pairs(reference.run, candidate.run, plan, name)
            key = f"pairs/{name}"
            samples[f"{key}/reference"], samples[f"{key}/candidate"] = measured.reference_ms, measured.candidate_ms
            comparisons.append(
                {
                    "reference": reference.name,
                    "candidate": candidate.name,
                    "stage": candidate.stage,
                    "threads": candidate.threads,
                    **measured.summary(),
                    "accuracy": accuracy_of(verification, reference.model, candidate.model),
                    "samples_key": key,
                }
            )
            states.append(read_state(machine))
    after = core_times()
    state = summarize_states(states)
    result = {
        "schema": Benchmark.SCHEMA,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "mode": mode,
        "plan": asdict(plan),
        **facts,
        "environment": environment,
        "disturbance": disturbance,
        "stolen_core_s": after.stolen_s - before.stolen_s if before and after else None,
        "power": meter.describe(),
        "state": state,
        "warnings": [
            *disturbance_warnings(disturbance, environment["cpu"]["governor"]),
            *_jetson_warnings(environment["jetson"]),
            *state_warnings(state),
        ],
        "samples_file": None if folder is None else BENCHMARK_SAMPLES_FILE,
        "measurements": measurements,
        "comparisons": comparisons,
    }
    if folder is not None:
        with atomic_path(folder / BENCHMARK_SAMPLES_FILE) as temporary:
            np.savez_compressed(temporary, **samples)  # type: ignore[arg-type]
        write_json(folder / BENCHMARK_FILE, result)
    return result


def write_copy(result: dict[str, Any], folder: Path, target: Path) -> None:
    """Write `result` as `target`, its raw samples beside it, named after it: ``pi5.json, pi5_samples.npz``.

    Args:
        folder: where the result's own files lie.
    """
    name = f"{target.stem}_samples.npz"
    if result["samples_file"] is not None:
        with atomic_path(target.with_name(name)) as temporary:
            shutil.copyfile(folder / result["samples_file"], temporary)
    write_json(target, {**result, "samples_file": None if result["samples_file"] is None else name})


def _jetson_warnings(jetson: dict[str, Any] | None) -> list[str]:
    if jetson is None or jetson["jetson_clocks"] is not False:
        return []
    return [
        "the clocks of this Jetson follow its load: sudo jetson_clocks holds them, for figures that can be compared"
    ]
