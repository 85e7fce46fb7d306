"""Forest plots of a bundle's tasks."""

from __future__ import annotations

from collections.abc import Sequence

from acula_edge.report.charts import NARROW, WIDE
from acula_edge.report.charts.forest import Axis, Group, Point, draw_forest
from acula_edge.report.document import Block, Chart
from acula_edge.report.evidence import Json
from acula_edge.report.numbers import (
    count,
    fixed,
    interval,
    listing,
    signed,
    signed_interval,
    significant,
    with_interval,
)
from acula_edge.report.sections.vocabulary import (
    INT8,
    MODEL_LEGEND,
    MODEL_NAMES,
    MODEL_SHAPES,
    MODEL_STYLES,
    MODELS,
    STUDENT,
    task_kind,
    tone_of,
    verdict_of,
)

_VERDICT_SHAPES = {"non-inferior": "circle", "identical": "circle", "inconclusive": "square", "inferior": "diamond"}


def delta_forest(tasks: Sequence[Json], verify: Json, name: str) -> list[Block]:
    """AUROC of INT8 minus that of its float student, with the margin as a band."""
    compared = [task for task in tasks if task.get("metric") == "auroc" and _was_compared(task)]
    if not compared:
        return []
    groups = [_delta_group(task, task["int8_vs_student"]) for task in compared]
    mean = ((verify.get("summary") or {}).get("mean_delta") or {}).get("int8_vs_student") or {}
    if len(compared) > 1 and mean.get("delta") is not None:
        low, high = mean.get("ci95") or (None, None)
        text = with_interval(signed(mean["delta"]), signed_interval(mean.get("ci95")))
        band = groups[0].band if len({group.band for group in groups}) == 1 else None
        groups.append(Group("Mean over tasks", "", [Point(mean["delta"], low, high, text, "ink", "diamond")], band))
    margin = _margins([task["int8_vs_student"]["margin"] for task in compared])
    words = [f"{task['id']} {signed(task['int8_vs_student']['delta'])}" for task in compared]
    description = (
        f"Difference of AUROC by task: {listing(words)}. Margin {margin}. Whiskers are 95 % intervals over persons."
    )
    axis = Axis(
        label=f"AUROC of INT8 − AUROC of its float student; the band is the margin of {margin}",
        left="INT8 worse",
        right="INT8 better",
        reference=0.0,
        signed=True,
    )
    return [_chart(f"{name}-delta", "INT8 against its own float student", description, groups, axis)]


def change_in_error_forest(tasks: Sequence[Json], name: str) -> list[Block]:
    """Change of the mean absolute error, as a share of the float student's."""
    compared = [
        task
        for task in tasks
        if task.get("metric") == "mae" and _was_compared(task) and (task.get(STUDENT) or {}).get("value")
    ]
    if not compared:
        return []
    groups, margins = [], []
    for task in compared:
        comparison, base = task["int8_vs_student"], task[STUDENT]["value"]
        low, high = (100 * bound / base for bound in comparison["ci95"]) if comparison.get("ci95") else (None, None)
        change = 100 * comparison["delta"] / base
        verdict = verdict_of(comparison)
        bounds = None if low is None or high is None else (low, high)
        text = with_interval(f"{signed(change, 1)} %", signed_interval(bounds, 1))
        point = Point(change, low, high, text, tone_of(verdict), _VERDICT_SHAPES.get(verdict, "circle"))
        limit = 100 * comparison["margin"] / base
        groups.append(Group(_label(task), f"{_note(task)}, {verdict}", [point], (-limit, limit)))
        margins.append(limit)
    margin = _margins(margins)
    words = [f"{group.label} {group.points[0].text}" for group in groups]
    axis = Axis(
        label=f"change of the mean absolute error, % of the float student's; the band is the margin of {margin} %",
        left="INT8 better",
        right="INT8 worse",
        reference=0.0,
        signed=True,
    )
    description = f"Change of the mean absolute error: {listing(words)}. Margin {margin} %."
    return [_chart(f"{name}-error", "INT8 against its own float student, regression", description, groups, axis)]


def value_forest(tasks: Sequence[Json], name: str) -> list[Block]:
    """AUROC of every model."""
    ranked = [
        task
        for task in tasks
        if task.get("metric") == "auroc" and any((task.get(model) or {}).get("value") is not None for model in MODELS)
    ]
    if not ranked:
        return []
    groups, words = [], []
    for task in ranked:
        points = []
        for model in MODELS:
            row = task.get(model)
            if not row or row.get("value") is None:
                continue
            low, high = row.get("ci95") or (None, None)
            text = with_interval(f"{MODEL_NAMES[model]} {fixed(row['value'])}", interval(row.get("ci95")))
            points.append(Point(row["value"], low, high, text, MODEL_STYLES[model], MODEL_SHAPES[model]))
        groups.append(Group(_label(task), _note(task), points))
        words.append(f"{task['id']} INT8 {fixed((task.get(INT8) or {}).get('value'))}")
    axis = Axis(label="AUROC; the dark line at 0.5 is chance", reference=0.5, limits=(0.0, 1.0))
    description = f"AUROC with 95 % intervals over persons: {listing(words)}."
    chart = _chart(f"{name}-value", "AUROC of each model", description, groups, axis)
    shown = {style for task in ranked for model, style in MODEL_STYLES.items() if task.get(model)}
    legend = [entry for entry in MODEL_LEGEND if entry[0].split()[0] in shown]
    return [Chart(chart.title, chart.description, chart.wide, chart.narrow, legend)]


def _delta_group(task: Json, comparison: Json) -> Group:
    verdict = verdict_of(comparison)
    low, high = comparison.get("ci95") or (None, None)
    text = with_interval(signed(comparison["delta"]), signed_interval(comparison.get("ci95")))
    point = Point(comparison["delta"], low, high, text, tone_of(verdict), _VERDICT_SHAPES.get(verdict, "circle"))
    band = (-comparison["margin"], comparison["margin"])
    return Group(_label(task), f"{_note(task)}, {verdict}", [point], band)


def _was_compared(task: Json) -> bool:
    return (task.get("int8_vs_student") or {}).get("delta") is not None


def _margins(margins: Sequence[float]) -> str:
    low, high = (significant(edge, 2) for edge in (min(margins), max(margins)))
    return low if low == high else f"{low} to {high}"


def _label(task: Json) -> str:
    return f"{task.get('id')} {task.get('name')}"


def _note(task: Json) -> str:
    named = "phantom" in str(task.get("name")).lower()
    kind = "phantom, " if task_kind(task) == "phantom" and not named else ""
    return f"{kind}{count(task.get('n_subjects'), 'person')}"


def _chart(name: str, title: str, description: str, groups: Sequence[Group], axis: Axis) -> Chart:
    wide, narrow = (draw_forest(name, title, description, groups, axis, width) for width in (WIDE, NARROW))
    return Chart(title, description, wide, narrow)
