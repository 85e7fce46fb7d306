"""The criteria that were fixed before the run, and beside each what was found: ``acceptance.json`` of a bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from acula_edge.bundle.schema import Acceptance, Benchmark, Change, Result, Verify

# Criteria of the gate as verify.json names them, where that is not their name in the recipe.
_GATE_NAMES = {"min_tasks": "evaluated"}
_LIMITS = ("max_mean_drop", "max_task_drop", "min_cosine")


def begin_acceptance(fixed: Mapping[str, Any], now: Mapping[str, Any], model: str) -> Acceptance:
    """The criteria of a new bundle, with no results yet.

    Args:
        fixed: content of the run's ``criteria.json``.
        now: the criteria that the recipe holds at export; what differs from those that were fixed is listed.
        model: file of the model whose latency counts.
    """
    before = fixed["criteria"]
    changed = [
        Change(name, before.get(name), now.get(name), "export")
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    kept = {name: fixed[name] for name in ("fixed", "fixed_at", "criteria", "criteria_sha256")}
    return Acceptance(**kept, changed=changed, model=model)


def judge_acceptance(facts: Acceptance, verify: Verify | None, benchmark: Benchmark | None) -> Acceptance:
    """The same with what ``verify.json`` and ``benchmark.json`` hold now."""
    criteria = facts.criteria
    at_export = [change for change in facts.changed if change.at == "export"]
    changed = [*at_export, *_changed_at_verify(criteria, verify)]
    results = [*_gate(criteria, verify), *_verdicts(criteria, verify)]
    results.append(_latency(criteria["benchmark.max_p95_ms"], benchmark, facts.model))
    decided = [result.met for result in results if result.met is not None and result.decides]
    accepted = all(decided) and not changed if decided else None
    return msgspec.structs.replace(facts, changed=changed, results=results, accepted=accepted)


def _gate(criteria: Mapping[str, Any], verify: Verify | None) -> Iterator[Result]:
    judged = {} if verify is None else verify.gate.criteria
    for name, limit in criteria.items():
        if name.startswith("verify.gate."):
            short = name.removeprefix("verify.gate.")
            found = judged.get(_GATE_NAMES.get(short, short))
            if found is None:
                yield Result(name, limit, None, None, None, decides=True)
            else:
                yield Result(name, limit, found.value, found.passed, found.where, decides=True)


def _changed_at_verify(criteria: Mapping[str, Any], verify: Verify | None) -> Iterator[Change]:
    """Limits that ``verify.json`` says it was judged by, and that are not those that were fixed."""
    if verify is None:
        return
    used: dict[str, Any] = {
        "verify.margin_auroc_student": verify.method.margin_auroc_student,
        "verify.margin_auroc_teacher": verify.method.margin_auroc_teacher,
        "verify.margin_mae_relative": verify.method.margin_mae_relative,
        "verify.alpha": verify.method.alpha_one_sided,
    }
    judged = verify.gate.criteria
    used |= {f"verify.gate.{name}": judged[name].limit for name in _LIMITS if name in judged}
    for name, limit in used.items():
        if limit != criteria[name]:
            yield Change(name, criteria[name], limit, "verify")


def _verdicts(criteria: Mapping[str, Any], verify: Verify | None) -> Iterator[Result]:
    """Non-inferiority per task, adjusted over tasks (Holm): shown, and decided on by the gate alone."""
    if verify is None:
        return
    holm = verify.summary.verdicts_holm
    for task in verify.tasks:
        for pair, compared, adjusted, margin in (
            ("int8 vs student", task.int8_vs_student, holm.int8_vs_student, "verify.margin_auroc_student"),
            ("int8 vs teacher", task.int8_vs_teacher, holm.int8_vs_teacher, "verify.margin_auroc_teacher"),
        ):
            if compared is None:
                continue
            name = margin if task.metric == "auroc" else "verify.margin_mae_relative"
            verdict = adjusted[task.id].verdict if task.id in adjusted else compared.verdict
            met = {"non-inferior": True, "identical": True, "inferior": False}.get(verdict)
            yield Result(name, criteria[name], compared.delta, met, f"{task.id}, {pair}: {verdict}", decides=False)


def _latency(limit: float | None, benchmark: Benchmark | None, model: str) -> Result:
    rows = [] if benchmark is None else benchmark.measurements
    values = [row.p95_ms for row in rows if row.artifact == model and row.stage == "end_to_end"]
    value = values[0] if values else None
    met = None if limit is None or value is None else value <= limit
    where = None if benchmark is None or value is None else f"{model} on {benchmark.environment.cpu.model}"
    return Result("benchmark.max_p95_ms", limit, value, met, where, decides=True)
