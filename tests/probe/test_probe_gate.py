"""The gate refuses for each of its reasons and for no other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from acula_edge.probe.gate import check_gate
from acula_edge.recipe import GateConfig


def verify(
    deltas: dict[str, float], verdicts: dict[str, str] | None = None, cosine: float | None = 0.99
) -> dict[str, Any]:
    rows = [
        {
            "id": name,
            "metric": "mae" if name == "P4" else "auroc",
            "int8_vs_student": {"delta": delta, "verdict": (verdicts or {}).get(name, "non-inferior")},
        }
        for name, delta in deltas.items()
    ]
    ranked = [delta for name, delta in deltas.items() if name != "P4"]
    mean = sum(ranked) / len(ranked) if ranked else None
    return {
        "tasks": rows,
        "summary": {"mean_delta": {"int8_vs_student": {"delta": mean}}},
        "parity": {} if cosine is None else {"int8_vs_student": {"cosine_mean": cosine}},
    }


def test_passes_within_every_limit() -> None:
    gate = check_gate(verify({"C1": -0.01, "T10": 0.02, "P4": 5.0}), GateConfig())
    assert gate["passed"] and gate["reasons"] == []
    assert gate["decided_by"] == ["evaluated", "max_mean_drop", "max_task_drop", "min_cosine", "refuse_inferior"]
    assert gate["criteria"]["max_task_drop"] == {"limit": 0.03, "value": 0.01, "passed": True, "where": "C1"}
    assert gate["criteria"]["refuse_inconclusive"]["passed"] is None
    json.dumps(gate, allow_nan=False)


def test_a_limit_met_exactly_passes() -> None:
    assert check_gate(verify({"C1": -0.01}), GateConfig(max_mean_drop=0.01, min_cosine=0.99))["passed"]


@pytest.mark.parametrize(
    ("report", "config", "criterion", "reason"),
    [
        (
            verify({"C1": -0.02, "T10": -0.01}),
            GateConfig(),
            "max_mean_drop",
            "mean AUROC falls by 0.0150, 0.01 allowed",
        ),
        (verify({"C1": 0.05, "T10": -0.04}), GateConfig(), "max_task_drop", "AUROC of task T10 falls by 0.0400"),
        (verify({"C1": 0.0}, cosine=0.9), GateConfig(), "min_cosine", "is 0.9000, at least 0.97"),
        (verify({"C1": 0.0}, cosine=None), GateConfig(), "min_cosine", "is unknown"),
        (verify({"P4": 0.1}, {"P4": "inferior"}), GateConfig(), "refuse_inferior", "inferior on P4"),
        (
            verify({"C1": 0.0, "T10": 0.0}, {"T10": "inconclusive"}),
            GateConfig(refuse_inconclusive=True),
            "refuse_inconclusive",
            "inconclusive on T10",
        ),
        (verify({}), GateConfig(), "evaluated", "no task compares"),
    ],
)
def test_each_refusal(report: dict[str, Any], config: GateConfig, criterion: str, reason: str) -> None:
    gate = check_gate(report, config)
    assert not gate["passed"] and gate["decided_by"] == [criterion]
    assert len(gate["reasons"]) == 1 and reason in gate["reasons"][0]


def test_regression_alone_is_judged_by_verdict_and_cosine() -> None:
    gate = check_gate(verify({"P4": 0.1}, {"P4": "inconclusive"}), GateConfig())
    assert gate["passed"] and gate["criteria"]["max_mean_drop"]["passed"] is None


def test_inferior_may_be_let_through_on_request() -> None:
    assert check_gate(verify({"C1": 0.0}, {"C1": "inferior"}), GateConfig(refuse_inferior=False))["passed"]
