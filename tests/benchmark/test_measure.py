"""Loops, percentiles and pairs, on a clock that the test turns."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from acula_edge.benchmarking import measure, paired
from acula_edge.benchmarking.measure import Latency, Plan, measure_latency, plan_for
from acula_edge.benchmarking.paired import Pairs, measure_pairs
from acula_edge.errors import InputError


class Clock:
    """Time that passes only while something runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 0.0
        monkeypatch.setattr(measure.time, "perf_counter", lambda: self.now_s)
        monkeypatch.setattr(measure.time, "perf_counter_ns", lambda: round(self.now_s * 1e9))

    def task(self, *latencies_ms: float):
        runs = []

        def run() -> None:
            latency_ms = latencies_ms[len(runs) % len(latencies_ms)]
            runs.append(latency_ms)
            self.now_s += latency_ms / 1e3

        run.runs = runs
        return run


PLAN = Plan(loops=3, loop_s=1.0, warmup_runs=10, warmup_s=0.5, pairs=4, block_s=0.1)


def test_loops_last_at_least_as_long_as_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Clock(monkeypatch).task(100.0)
    latency = measure_latency(task, PLAN)
    assert [loop.size for loop in latency.loops_ms] == [10, 10, 10]
    assert len(task.runs) == 10 + 30
    np.testing.assert_allclose(latency.samples_ms, 100.0)


def test_warm_up_meets_both_runs_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = Clock(monkeypatch).task(10.0)
    measure.warm_up(fast, PLAN)
    assert len(fast.runs) == 50
    slow = Clock(monkeypatch).task(1000.0)
    measure.warm_up(slow, PLAN)
    assert len(slow.runs) == 10


def test_a_loop_shorter_than_one_run_still_holds_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert measure.time_for(Clock(monkeypatch).task(5000.0), 1.0).tolist() == [5000.0]


def test_p50_is_the_median_of_loops_and_tails_are_pooled() -> None:
    latency = Latency((np.full(10, 1.0), np.full(1000, 9.0), np.full(10, 2.0)))
    summary = latency.summary()
    assert summary["p50_ms"] == 2.0
    assert summary["loop_p50_ms"] == [1.0, 9.0, 2.0]
    assert summary["p90_ms"] == summary["p99_ms"] == 9.0
    assert (summary["n"], summary["loops"]) == (1020, 3)
    assert latency.loop_of_sample.tolist() == [0] * 10 + [1] * 1000 + [2] * 10


def test_garbage_collection_rests_while_measuring_and_returns() -> None:
    seen = []
    measure_latency(lambda: seen.append(gc.isenabled()), Plan(1, 0.0, 1, 0.0, 1, 0.0))
    assert seen[-1] is False
    assert gc.isenabled()


def test_published_plans_are_those_of_the_design() -> None:
    for mode, loop_s in (("quick", 2.0), ("full", 10.0)):
        plan = plan_for(mode)
        assert (plan.loops, plan.loop_s) == (5, loop_s)
        assert plan.warmup_runs >= 10 and plan.warmup_s >= 2
    with pytest.raises(InputError, match="mode"):
        plan_for("quik")


def test_pairs_alternate_and_a_drifting_machine_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    order = []
    slowness = [1.0]

    def task(name: str, latency_ms: float):
        def run() -> None:
            if not order or order[-1] != name:
                order.append(name)
            slowness[0] *= 1.001
            clock.now_s += latency_ms * slowness[0] / 1e3

        return run

    pairs = measure_pairs(task("A", 30.0), task("B", 10.0), Plan(1, 0.0, 1, 0.0, 4, 0.1))
    assert order == ["A", "B"] * 5
    summary = pairs.summary()
    assert summary["speedup"] == pytest.approx(3.0, rel=0.02)
    assert summary["pairs"] == 4
    assert summary["reference_p50_ms"] / summary["candidate_p50_ms"] == pytest.approx(3.0, rel=0.02)


@pytest.mark.parametrize(("factor", "verdict"), [(2.0, "faster"), (0.5, "slower"), (1.0, "no difference shown")])
def test_verdict_follows_the_interval(factor: float, verdict: str) -> None:
    draw = np.random.default_rng(1)
    candidate = draw.normal(10, 0.5, 20)
    reference = factor * draw.normal(10, 0.5, 20)
    summary = Pairs(reference, candidate).summary()
    low, high = summary["speedup_ci95"]
    assert low <= summary["speedup"] <= high
    assert summary["verdict"] == verdict
    assert Pairs(reference, candidate).summary() == summary


def test_paired_module_has_no_clock_of_its_own() -> None:
    assert paired.time_for is measure.time_for
