"""Latency of one callable: warm-up, loops, percentiles (DESIGN section 6)."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acula_edge.errors import InputError, did_you_mean
from acula_edge.progress import track


@dataclass(frozen=True)
class Plan:
    """How long a measurement lasts.

    Attributes:
        loops, loop_s: loops and the least duration of each.
        warmup_runs, warmup_s: both are met before anything is recorded.
        pairs, block_s: of a paired comparison: blocks per side, and the least duration of each.
    """

    loops: int
    loop_s: float
    warmup_runs: int
    warmup_s: float
    pairs: int
    block_s: float


PLANS = {
    "smoke": Plan(loops=2, loop_s=0.2, warmup_runs=3, warmup_s=0.1, pairs=6, block_s=0.05),
    "quick": Plan(loops=5, loop_s=2.0, warmup_runs=10, warmup_s=2.0, pairs=20, block_s=0.15),
    "full": Plan(loops=5, loop_s=10.0, warmup_runs=10, warmup_s=2.0, pairs=40, block_s=0.5),
}


def plan_for(mode: str) -> Plan:
    """The plan of a mode.

    Raises:
        InputError: no such mode.
    """
    if mode not in PLANS:
        raise InputError("unknown benchmark mode", given=mode, allowed=PLANS, remedy=did_you_mean(mode, PLANS))
    return PLANS[mode]


@dataclass(frozen=True)
class Latency:
    """Raw samples of one measurement.

    Attributes:
        loops_ms: one array of samples per loop, in the order in which they ran.
    """

    loops_ms: tuple[NDArray[np.float64], ...]

    @property
    def samples_ms(self) -> NDArray[np.float64]:
        """All loops' samples. Shape: [n]."""
        return np.concatenate(self.loops_ms)

    @property
    def loop_of_sample(self) -> NDArray[np.int16]:
        """Which loop each of :attr:`samples_ms` belongs to. Shape: [n]."""
        counts = [loop.size for loop in self.loops_ms]
        return np.repeat(np.arange(len(counts), dtype=np.int16), counts)

    def summary(self) -> dict[str, float | int | list[float]]:
        """``p50_ms`` is the median of the loops' medians; the other percentiles come from all samples together."""
        medians = [float(np.median(loop)) for loop in self.loops_ms]
        pooled = self.samples_ms
        p90, p95, p99 = (float(value) for value in np.percentile(pooled, (90, 95, 99)))
        return {
            "p50_ms": float(np.median(medians)),
            "p90_ms": p90,
            "p95_ms": p95,
            "p99_ms": p99,
            "min_ms": float(pooled.min()),
            "loop_p50_ms": medians,
            "n": int(pooled.size),
            "loops": len(medians),
        }


def warm_up(run: Callable[[], object], plan: Plan) -> None:
    """Run until both the plan's number of runs and its time are reached."""
    runs = 0
    deadline = time.perf_counter() + plan.warmup_s
    while runs < plan.warmup_runs or time.perf_counter() < deadline:
        run()
        runs += 1


def time_for(run: Callable[[], object], duration_s: float) -> NDArray[np.float64]:
    """Milliseconds of each run, for at least `duration_s` and at least one run. Shape: [n]."""
    samples_ns = []
    deadline_ns = time.perf_counter_ns() + round(duration_s * 1e9)
    now_ns = time.perf_counter_ns()
    while True:
        run()
        before_ns, now_ns = now_ns, time.perf_counter_ns()
        samples_ns.append(now_ns - before_ns)
        if now_ns >= deadline_ns:
            return np.asarray(samples_ns, dtype=np.float64) / 1e6


def measure_latency(run: Callable[[], object], plan: Plan, name: str = "") -> Latency:
    """Warm up, then run the plan's loops, without garbage collection in between; progress is shown under `name`."""
    warm_up(run, plan)
    with collection_paused():
        loops = track(range(plan.loops), name, total=plan.loops) if name else range(plan.loops)
        return Latency(tuple(time_for(run, plan.loop_s) for _ in loops))


@contextmanager
def collection_paused() -> Iterator[None]:
    """No garbage collection inside; one before."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
