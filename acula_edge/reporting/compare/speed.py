"""Speed-ups: within one machine, from pairs that ran in turn, and only where the accuracy of both is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from acula_edge.reporting.compare.entries import Entry, Measurement


@dataclass(frozen=True)
class SpeedUp:
    """A pair that may be stated."""

    pair: dict[str, Any]
    reference: Measurement
    candidate: Measurement


def speed_ups(entry: Entry) -> tuple[list[SpeedUp], list[str]]:
    """Pairs that may be stated, and for the others why not, in words."""
    stated, withheld = [], []
    for pair in entry.benchmark.get("comparisons") or []:
        name = f"{pair.get('candidate')} against {pair.get('reference')}"
        reference, candidate = entry.find(str(pair.get("reference"))), entry.find(str(pair.get("candidate")))
        if reference is None or candidate is None or pair.get("speedup") is None:
            withheld.append(f"{name}: one of the two was not measured by itself")
            continue
        unknown = [item for item in (candidate, reference) if not item.accuracy.tasks]
        if unknown:
            names = " and ".join(f"{item.artifact} ({item.accuracy.reason})" for item in unknown)
            withheld.append(f"{name}: the accuracy is not known of {names}")
        else:
            stated.append(SpeedUp(pair, reference, candidate))
    return stated, withheld
