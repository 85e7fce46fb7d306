"""The comparison as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from acula_edge.reporting.compare.entries import Entry, Measurement
from acula_edge.reporting.compare.speed import speed_ups

SCHEMA = "acula-edge/comparison/1"

_KEYS = (
    "artifact", "stage", "precision", "provider", "threads", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "n", "rtf",
    "cold_start_ms", "peak_rss_mb", "energy_mj", "energy_gross_mj", "power_mw", "clock_mhz", "size_bytes", "sha256",
)  # fmt: skip
_PAIR_KEYS = ("reference", "candidate", "stage", "speedup", "speedup_ci95", "verdict")


def comparison_facts(entries: Sequence[Entry]) -> dict[str, Any]:
    """``schema`` and ``entries``, each with its machine, measurements, speed-ups and warnings; null: not measured.

    ``measurements`` carry ``accuracy``: ``tasks, mean_auroc, source, reason``; ``speed_ups`` hold only pairs of which
    both accuracies are known, ``withheld`` the others with the reason.
    """
    return {"schema": SCHEMA, "entries": [_facts(entry) for entry in entries]}


def _facts(entry: Entry) -> dict[str, Any]:
    state = entry.benchmark.get("state") or {}
    stated, withheld = speed_ups(entry)
    return {
        "letter": entry.letter,
        "source": entry.source,
        "machine": entry.machine,
        "bundle": entry.benchmark.get("bundle"),
        "created": entry.benchmark.get("created"),
        "mode": entry.benchmark.get("mode"),
        "window_s": entry.benchmark.get("window_s"),
        "throttled": state.get("throttled"),
        "processor_c": state.get("processor_c"),
        "idle_mw": (entry.benchmark.get("power") or {}).get("idle_mw"),
        "warnings": list(entry.benchmark.get("warnings") or []),
        "samples": not entry.why_no_samples,
        "measurements": [_measurement(item) for item in entry.measurements],
        "speed_ups": [
            {
                key: item.pair.get(key)
                for key in ("reference", "candidate", "stage", "speedup", "speedup_ci95", "verdict")
            }
            | {
                "reference_mean_auroc": item.reference.accuracy.mean_auroc,
                "candidate_mean_auroc": item.candidate.accuracy.mean_auroc,
            }
            for item in stated
        ],
        "withheld": withheld,
    }


def _measurement(item: Measurement) -> dict[str, Any]:
    accuracy = item.accuracy
    return {key: item.row.get(key) for key in _KEYS} | {
        "accuracy": {
            "tasks": list(accuracy.tasks),
            "mean_auroc": accuracy.mean_auroc,
            "source": accuracy.source or None,
            "reason": accuracy.reason or None,
        }
    }
