"""Two callables in turn, A B A B, so that a machine that warms up or is disturbed does so for both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.benchmarking.measure import Plan, collection_paused, time_for, warm_up
from acula_edge.progress import track

_RESAMPLES = 2000


@dataclass(frozen=True)
class Pairs:
    """Median latency of each block.

    Attributes:
        reference_ms, candidate_ms: [pairs], pair i ran one right after the other.
    """

    reference_ms: NDArray[np.float64]
    candidate_ms: NDArray[np.float64]

    def summary(self) -> dict[str, Any]:
        """``speedup`` is reference time over candidate time: above 1 the candidate is faster.

        The median over pairs, and a 95 % bootstrap interval of it over pairs (percentile, fixed seed). ``verdict``
        is ``faster`` or ``slower`` where the interval leaves out 1, else ``no difference shown``.
        """
        ratios = self.reference_ms / self.candidate_ms
        draws = np.random.default_rng(0).integers(0, ratios.size, size=(_RESAMPLES, ratios.size))
        low, high = (float(value) for value in np.quantile(np.median(ratios[draws], axis=1), (0.025, 0.975)))
        verdict = "faster" if low > 1 else "slower" if high < 1 else "no difference shown"
        return {
            "speedup": float(np.median(ratios)),
            "speedup_ci95": [low, high],
            "verdict": verdict,
            "pairs": int(ratios.size),
            "reference_p50_ms": float(np.median(self.reference_ms)),
            "candidate_p50_ms": float(np.median(self.candidate_ms)),
        }


def measure_pairs(
    reference: Callable[[], object], candidate: Callable[[], object], plan: Plan, name: str = ""
) -> Pairs:
    """Warm both up, then run the plan's blocks of each in turn; progress is shown under `name`."""
    warm_up(reference, plan)
    warm_up(candidate, plan)
    medians: tuple[list[float], list[float]] = ([], [])
    with collection_paused():
        for _ in track(range(plan.pairs), name, total=plan.pairs) if name else range(plan.pairs):
            for run, side in zip((reference, candidate), medians, strict=True):
                run()  # its code and weights return to the caches that the other one has just used
                side.append(float(np.median(time_for(run, plan.block_s))))
    return Pairs(np.asarray(medians[0]), np.asarray(medians[1]))
