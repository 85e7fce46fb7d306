"""Forest plots of a bundle's tasks."""

from __future__ import annotations

from collections.abc import Sequence

from acula_edge.bundle.schema import Comparison, TaskEvaluation, Verify
from acula_edge.reporting.charts import NARROW, WIDE
from acula_edge.reporting.charts.forest import Axis, Group, Point, draw_forest
from acula_edge.reporting.document import Block, Chart
from acula_edge.reporting.evidence import row_of
from acula_edge.reporting.numbers import (
    count,
    fixed,
    interval,
    listing,
    signed,
    signed_interval,
    significant,
    with_interval,
)
from acula_edge.reporting.sections.vocabulary import (
    MODEL_LEGEND,
    MODEL_NAMES,
    MODEL_SHAPES,
    MODEL_STYLES,
    MODELS,
    tone_of,
    verdict_of,
)

_VERDICT_SHAPES = {"non-inferior": "circle", "identical": "circle", "inconclusive": "square", "inferior": "diamond"}


def delta_forest(tasks: Sequence[TaskEvaluation], verify: Verify, name: str) -> list[Block]:
    """AUROC of INT8 minus that of its float student, with the margin as a band."""
    compared = [(task, task.int8_vs_student) for task in tasks if task.metric == "auroc" and task.int8_vs_student]
    if not compared:
        return []
    groups = [_delta_group(task, pair) for task, pair in compared]
    mean = verify.summary.mean_delta.int8_vs_student
    if len(compared) > 1 and mean.delta is not None:
        low, high = mean.ci95 or (None, None)
        text = with_interval(signed(mean.delta), signed_interval(mean.ci95))
        band = groups[0].band if len({group.band for group in groups}) == 1 else None
        groups.append(Group("Mean over tasks", "", [Point(mean.delta, low, high, text, "ink", "diamond")], band))
    margin = _margins([pair.margin for _, pair in compared])
    words = [f"{task.id} {signed(pair.delta)}" for task, pair in compared]
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


def change_in_error_forest(tasks: Sequence[TaskEvaluation], name: str) -> list[Block]:
    """Change of the mean absolute error, as a share of the float student's."""
    compared = [
        (task, task.int8_vs_student, task.float_student.value)
        for task in tasks
        if task.metric == "mae" and task.int8_vs_student and task.float_student and task.float_student.value
    ]
    if not compared:
        return []
    groups, margins = [], []
    for task, comparison, base in compared:
        low, high = (100 * bound / base for bound in comparison.ci95) if comparison.ci95 else (None, None)
        change = 100 * comparison.delta / base
        verdict = verdict_of(comparison)
        bounds = None if low is None or high is None else (low, high)
        text = with_interval(f"{signed(change, 1)} %", signed_interval(bounds, 1))
        point = Point(change, low, high, text, tone_of(verdict), _VERDICT_SHAPES.get(verdict, "circle"))
        limit = 100 * comparison.margin / base
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


def value_forest(tasks: Sequence[TaskEvaluation], name: str) -> list[Block]:
    """AUROC of every model."""
    ranked = [task for task in tasks if task.metric == "auroc" and any(row_of(task, model) for model in MODELS)]
    if not ranked:
        return []
    groups, words = [], []
    for task in ranked:
        points = []
        for model in MODELS:
            row = row_of(task, model)
            if row is None:
                continue
            low, high = row.ci95 or (None, None)
            text = with_interval(f"{MODEL_NAMES[model]} {fixed(row.value)}", interval(row.ci95))
            points.append(Point(row.value, low, high, text, MODEL_STYLES[model], MODEL_SHAPES[model]))
        groups.append(Group(_label(task), _note(task), points))
        words.append(f"{task.id} INT8 {fixed(task.int8.value if task.int8 else None)}")
    axis = Axis(label="AUROC; the dark line at 0.5 is chance", reference=0.5, limits=(0.0, 1.0))
    description = f"AUROC with 95 % intervals over persons: {listing(words)}."
    chart = _chart(f"{name}-value", "AUROC of each model", description, groups, axis)
    shown = {style for task in ranked for model, style in MODEL_STYLES.items() if row_of(task, model)}
    legend = [entry for entry in MODEL_LEGEND if entry[0].split()[0] in shown]
    return [Chart(chart.title, chart.description, chart.wide, chart.narrow, legend)]


def _delta_group(task: TaskEvaluation, comparison: Comparison) -> Group:
    verdict = verdict_of(comparison)
    low, high = comparison.ci95 or (None, None)
    text = with_interval(signed(comparison.delta), signed_interval(comparison.ci95))
    point = Point(comparison.delta, low, high, text, tone_of(verdict), _VERDICT_SHAPES.get(verdict, "circle"))
    band = (-comparison.margin, comparison.margin)
    return Group(_label(task), f"{_note(task)}, {verdict}", [point], band)


def _margins(margins: Sequence[float]) -> str:
    low, high = (significant(edge, 2) for edge in (min(margins), max(margins)))
    return low if low == high else f"{low} to {high}"


def _label(task: TaskEvaluation) -> str:
    return f"{task.id} {task.name}"


def _note(task: TaskEvaluation) -> str:
    named = "phantom" in str(task.name).lower()
    kind = "phantom, " if task.set == "phantom" and not named else ""
    return f"{kind}{count(task.n_subjects, 'person')}"


def _chart(name: str, title: str, description: str, groups: Sequence[Group], axis: Axis) -> Chart:
    wide, narrow = (draw_forest(name, title, description, groups, axis, width) for width in (WIDE, NARROW))
    return Chart(title, description, wide, narrow)
