"""The quality gate: whether an INT8 artifact may be shipped, by limits that were written down before measuring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from acula_edge.recipe import GateConfig

_ROUNDING = 1e-9


def check_gate(verify: Mapping[str, Any], config: GateConfig) -> dict[str, Any]:
    """Compare the INT8 model with its own float student, by the limits.

    Args:
        verify: content of ``verify.json`` (``tasks``, ``summary`` and ``parity`` are read).
        config: the limits.

    Returns:
        ``passed``; ``criteria``: name -> {limit, value, passed, where}, ``passed`` null where the criterion does not
        apply (no AUROC task, a refusal switched off); ``reasons``: sentences, empty when passed; ``decided_by``:
        the criteria that refused, or all that applied. Without a single evaluated comparison the gate refuses.
    """
    compared = [task for task in verify["tasks"] if task["int8_vs_student"] is not None]
    ranked = [task for task in compared if task["metric"] == "auroc"]
    drops = {task["id"]: -task["int8_vs_student"]["delta"] for task in ranked}
    mean = verify["summary"]["mean_delta"]["int8_vs_student"]["delta"]
    cosine = (verify["parity"].get("int8_vs_student") or {}).get("cosine_mean")
    worst = max(drops, key=lambda name: drops[name]) if drops else None
    verdicts = {
        verdict: [task["id"] for task in compared if task["int8_vs_student"]["verdict"] == verdict]
        for verdict in ("inferior", "inconclusive")
    }
    criteria: dict[str, dict[str, Any]] = {
        "evaluated": _criterion(max(config.min_tasks, 1), len(compared), len(compared) >= max(config.min_tasks, 1)),
        "require_tasks": _required(config.require_tasks, [task["id"] for task in compared], verify["summary"]),
        "max_mean_drop": _upper(config.max_mean_drop, None if mean is None else -mean),
        "max_task_drop": _upper(config.max_task_drop, None if worst is None else drops[worst], worst),
        "min_cosine": _criterion(
            config.min_cosine, cosine, cosine is not None and cosine >= config.min_cosine - _ROUNDING
        ),
        "refuse_inferior": _verdicts(config.refuse_inferior, verdicts["inferior"]),
        "refuse_inconclusive": _verdicts(config.refuse_inconclusive, verdicts["inconclusive"]),
    }
    failed = [name for name, criterion in criteria.items() if criterion["passed"] is False]
    return {
        "passed": not failed,
        "criteria": criteria,
        "reasons": [_reason(name, criteria[name]) for name in failed],
        "decided_by": failed or [name for name, criterion in criteria.items() if criterion["passed"]],
    }


def _criterion(limit: Any, value: Any, passed: bool | None, where: str | None = None) -> dict[str, Any]:
    return {"limit": limit, "value": value, "passed": passed, "where": where}


def _upper(limit: float, value: float | None, where: str | None = None) -> dict[str, Any]:
    return _criterion(limit, value, None if value is None else value <= limit + _ROUNDING, where)


def _verdicts(refuse: bool, tasks: list[str]) -> dict[str, Any]:
    return _criterion(0, len(tasks), not tasks if refuse else None, ", ".join(tasks) or None)


def _required(required: list[str], evaluated: list[str], summary: Mapping[str, Any]) -> dict[str, Any]:
    """`where` says of every required task that is not evaluated why it is not."""
    why = {missing["id"]: missing["reason"] for missing in summary.get("tasks_missing", ())}
    absent = [f"{name} ({why.get(name, 'not among the tasks')})" for name in required if name not in evaluated]
    return _criterion(
        required, len(required) - len(absent), not absent if required else None, "; ".join(absent) or None
    )


def _reason(name: str, criterion: Mapping[str, Any]) -> str:
    limit, value, where = criterion["limit"], criterion["value"], criterion["where"]
    if name == "evaluated":
        if not value:
            return "no task compares the INT8 model with its float student"
        return f"{value} tasks compare the INT8 model with its float student, {limit} needed"
    if name == "require_tasks":
        return f"required tasks are not evaluated: {where}"
    if name == "max_mean_drop":
        return f"mean AUROC falls by {value:.4f}, {limit:g} allowed"
    if name == "max_task_drop":
        return f"AUROC of task {where} falls by {value:.4f}, {limit:g} allowed"
    if name == "min_cosine":
        found = "is unknown" if value is None else f"is {value:.4f}"
        return f"mean cosine between INT8 and float embeddings {found}, at least {limit:g} needed"
    verdict = "inferior" if name == "refuse_inferior" else "inconclusive"
    return f"the INT8 model is {verdict} on {where}"
