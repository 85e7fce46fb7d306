"""The criteria that were fixed before the run, and beside each what was found: ``acceptance.json`` of a bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from acula_edge.files import read_json, write_json

ACCEPTANCE_SCHEMA = "acula-edge/acceptance/1"
ACCEPTANCE_FILE = "acceptance.json"

# Criteria of the gate as verify.json names them, where that is not their name in the recipe.
_GATE_NAMES = {"min_tasks": "evaluated"}
_LIMITS = ("max_mean_drop", "max_task_drop", "min_cosine")
_MARGINS = {"int8_vs_student": "verify.margin_auroc_student", "int8_vs_teacher": "verify.margin_auroc_teacher"}


def write_acceptance(bundle: Path, fixed: Mapping[str, Any], now: Mapping[str, Any], recommended: str) -> None:
    """Write ``acceptance.json``.

    Args:
        fixed: content of the run's ``criteria.json``.
        now: the criteria that the recipe holds at export; what differs from those that were fixed is listed.
        recommended: file of the model whose latency counts.
    """
    kept = {name: fixed[name] for name in ("fixed", "fixed_at", "criteria", "criteria_sha256")}
    before = fixed["criteria"]
    changed = [
        {"name": name, "fixed": before.get(name), "later": now.get(name), "at": "export"}
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    facts = {"schema": ACCEPTANCE_SCHEMA, **kept, "changed": changed, "model": recommended}
    write_json(bundle / ACCEPTANCE_FILE, facts)
    refresh_acceptance(bundle)


def refresh_acceptance(bundle: Path) -> None:
    """Judge what ``verify.json`` and ``benchmark.json`` hold now; a bundle without ``acceptance.json`` is left alone.

    ``results`` has ``name, limit, value, met, where`` each; ``met`` is null where a criterion asks nothing, or what it
    asks was not measured. ``accepted`` is whether all that apply are met, null where nothing was measured.
    """
    path = bundle / ACCEPTANCE_FILE
    if not path.is_file():
        return
    facts = read_json(path, schema=ACCEPTANCE_SCHEMA)
    verify = read_json(bundle / "verify.json") if (bundle / "verify.json").is_file() else None
    benchmark = read_json(bundle / "benchmark.json") if (bundle / "benchmark.json").is_file() else None
    at_export = [change for change in facts["changed"] if change["at"] == "export"]
    facts = {**facts, "changed": [*at_export, *_changed_at_verify(facts["criteria"], verify)]}
    results = [*_gate(facts["criteria"], verify), *_verdicts(facts["criteria"], verify)]
    results.append(_latency(facts["criteria"]["benchmark.max_p95_ms"], benchmark, facts["model"]))
    decided = [result["met"] for result in results if result["met"] is not None and result["decides"]]
    accepted = all(decided) and not facts["changed"] if decided else None
    write_json(path, {**facts, "results": results, "accepted": accepted})


def _gate(criteria: Mapping[str, Any], verify: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    judged = (verify or {}).get("gate", {}).get("criteria", {})
    for name, limit in criteria.items():
        if name.startswith("verify.gate."):
            short = name.removeprefix("verify.gate.")
            found = judged.get(_GATE_NAMES.get(short, short), {})
            yield _result(name, limit, found.get("value"), found.get("passed"), found.get("where"), decides=True)


def _changed_at_verify(criteria: Mapping[str, Any], verify: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    """Limits that ``verify.json`` says it was judged by, and that are not those that were fixed."""
    if verify is None:
        return
    method, judged = verify["method"], verify["gate"].get("criteria", {})
    used = {name: method.get(name.removeprefix("verify.")) for name in criteria if name.startswith("verify.margin_")}
    used["verify.alpha"] = method.get("alpha_one_sided")
    used |= {f"verify.gate.{name}": judged.get(name, {}).get("limit") for name in _LIMITS}
    for name, limit in used.items():
        if limit is not None and limit != criteria[name]:
            yield {"name": name, "fixed": criteria[name], "later": limit, "at": "verify"}


def _verdicts(criteria: Mapping[str, Any], verify: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    """Non-inferiority per task, adjusted over tasks (Holm): shown, and decided on by the gate alone."""
    adjusted = (verify or {}).get("summary", {}).get("verdicts_holm", {})
    for task in (verify or {}).get("tasks", ()):
        for pair, margin in _MARGINS.items():
            compared = task.get(pair)
            if compared is None:
                continue
            name = margin if task["metric"] == "auroc" else "verify.margin_mae_relative"
            verdict = adjusted.get(pair, {}).get(task["id"], compared)["verdict"]
            met = {"non-inferior": True, "identical": True, "inferior": False}.get(verdict)
            where = f"{task['id']}, {pair.replace('_', ' ')}: {verdict}"
            yield _result(name, criteria[name], compared["delta"], met, where, decides=False)


def _latency(limit: float | None, benchmark: Mapping[str, Any] | None, model: str) -> dict[str, Any]:
    rows = [
        row
        for row in (benchmark or {}).get("measurements", ())
        if row["artifact"] == model and row["stage"] == "end_to_end"
    ]
    value = rows[0]["p95_ms"] if rows else None
    met = None if limit is None or value is None else value <= limit
    cpu = (benchmark or {}).get("environment", {}).get("cpu", {}).get("model")
    return _result("benchmark.max_p95_ms", limit, value, met, f"{model} on {cpu}" if rows else None, decides=True)


def _result(name: str, limit: Any, value: Any, met: bool | None, where: str | None, *, decides: bool) -> dict[str, Any]:
    return {"name": name, "limit": limit, "value": value, "met": met, "where": where, "decides": decides}
