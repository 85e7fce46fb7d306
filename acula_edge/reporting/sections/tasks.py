"""As good as float? Values, intervals, verdicts and the gate, task by task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET

from acula_edge.bundle.schema import AdjustedVerdict, Comparison, Row, Summary, TaskEvaluation, ValueInterval, Verify
from acula_edge.reporting.document import Block, Bullets, Cell, Column, Facts, Heading, Notice, Table, Text
from acula_edge.reporting.evidence import Bundle, row_of
from acula_edge.reporting.numbers import (
    MISSING,
    capitalized,
    count,
    fixed,
    interval,
    listing,
    percent,
    probability,
    signed,
    signed_interval,
    significant,
)
from acula_edge.reporting.sections.forests import change_in_error_forest, delta_forest, value_forest
from acula_edge.reporting.sections.published_probe import published_blocks
from acula_edge.reporting.sections.subgroups import subgroup_blocks
from acula_edge.reporting.sections.vocabulary import (
    INT8,
    MODEL_NAMES,
    MODELS,
    tone_of,
    verdict_of,
)

_CRITERIA = {
    "evaluated": "Tasks that compare INT8 with its float student, at least",
    "require_tasks": "Required tasks that are evaluated",
    "max_mean_drop": "Mean loss of AUROC, at most",
    "max_task_drop": "Largest loss of AUROC on one task, at most",
    "min_cosine": "Mean cosine of INT8 and float embeddings, at least",
    "refuse_inferior": "Tasks with the verdict inferior, at most",
    "refuse_inconclusive": "Tasks with the verdict inconclusive, at most",
}


def task_blocks(bundle: Bundle, name: str) -> list[Block]:
    """Everything that ``verify.json`` says of one bundle.

    Args:
        name: makes ids of charts unique.
    """
    verify = bundle.verify
    if verify is None:
        return [Text("Not measured: this bundle has no verify.json. acula-edge verify writes it.")]
    tasks = verify.tasks
    blocks: list[Block] = []
    if not tasks:
        blocks.append(Notice("No task could be evaluated on this run's test persons."))
    elif all(task.set == "phantom" for task in tasks):
        blocks.append(Notice("All tasks below are phantom tasks: generated sounds with known labels, no patients."))
    if tasks:
        blocks.append(_value_table(tasks, verify))
        blocks.extend(delta_forest(tasks, verify, name))
        blocks.extend(change_in_error_forest(tasks, name))
        blocks.extend(value_forest(tasks, name))
        blocks.append(Text(_how(verify)))
        blocks.extend(_teacher_table(tasks))
        blocks.extend(_detail_table(tasks, verify))
        blocks.extend(published_blocks(tasks))
        blocks.extend(subgroup_blocks(tasks, verify))
    missing = verify.summary.tasks_missing
    if missing:
        blocks.append(Heading("Tasks not evaluated"))
        blocks.append(Bullets([f"{item.id}: {item.reason}" for item in missing]))
    blocks.extend(_gate(verify))
    if tasks:
        blocks.append(Heading("What the tasks ask"))
        blocks.append(Facts([_definition(task) for task in tasks]))
    return blocks


def _value_table(tasks: Sequence[TaskEvaluation], verify: Verify) -> Table:
    columns = [
        Column("Task"),
        Column("Test persons", numeric=True),
        *(Column(MODEL_NAMES[model].capitalize() if model != INT8 else "INT8", numeric=True) for model in MODELS),
        Column("INT8 − student", numeric=True),
        Column("Verdict"),
    ]
    holm = verify.summary.verdicts_holm.int8_vs_student
    rows = [
        [
            Cell(str(task.name), f"{task.id}, {task.set}, {_metric(task)}"),
            _persons(task),
            *(_value(task, row_of(task, model)) for model in MODELS),
            _delta(task, task.int8_vs_student),
            _verdict(task.int8_vs_student, holm.get(task.id)),
        ]
        for task in tasks
    ]
    rows.extend(_mean_rows(tasks, verify))
    return Table("Values on test persons with 95 % intervals over persons", columns, rows)


def _mean_rows(tasks: Sequence[TaskEvaluation], verify: Verify) -> list[list[Cell]]:
    ranked = [task for task in tasks if task.metric == "auroc"]
    if len(ranked) < 2:
        return []
    delta = verify.summary.mean_delta.int8_vs_student
    return [
        [
            Cell("Mean AUROC", f"over {len(ranked)} tasks"),
            Cell(""),
            *(Cell(fixed(getattr(verify.summary.means, model))) for model in MODELS),
            Cell(signed(delta.delta), signed_interval(delta.ci95)),
            Cell(""),
        ]
    ]


def _metric(task: TaskEvaluation) -> str:
    if task.metric == "auroc":
        return "AUROC"
    return f"MAE in {task.unit}" if task.unit else "MAE"


def _persons(task: TaskEvaluation) -> Cell:
    text = count(task.n_subjects)
    positive, negative = task.n_positive_subjects, task.n_negative_subjects
    if positive is UNSET or negative is UNSET:
        return Cell(text, count(task.n_test, "recording"))
    return Cell(text, f"{count(positive)} with, {count(negative)} without")


def _value(task: TaskEvaluation, row: ValueInterval | None) -> Cell:
    if row is None:
        return Cell(MISSING)
    digits = 3 if task.metric == "auroc" else 2
    return Cell(fixed(row.value, digits), interval(row.ci95, digits))


def _delta(task: TaskEvaluation, comparison: Comparison | None) -> Cell:
    if comparison is None:
        return Cell(MISSING)
    digits = 4 if task.metric == "auroc" else 3
    return Cell(signed(comparison.delta, digits), signed_interval(comparison.ci95, digits))


def _verdict(comparison: Comparison | None, adjusted: AdjustedVerdict | None = None) -> Cell:
    verdict = verdict_of(comparison)
    notes = []
    if comparison:
        notes.append(f"margin {significant(comparison.margin, 2)}")
        if comparison.p_noninferiority is not None and verdict != "identical":
            notes.append(f"p\u00a0{probability(comparison.p_noninferiority)}")
        if adjusted is not None and adjusted.verdict != verdict:
            p = f", p\u00a0{probability(adjusted.p_adjusted)}" if adjusted.p_adjusted is not None else ""
            notes.append(f"adjusted for several tasks: {adjusted.verdict}{p}")
        elif comparison.reason:
            notes.append(comparison.reason)
    return Cell(verdict, "; ".join(notes), tone_of(verdict))


def _how(verify: Verify) -> str:
    alpha = verify.method.alpha_one_sided
    return (
        "The same persons are compared in pairs, with task heads fitted once on the float student's training "
        "embeddings and fed both models' test embeddings (engine swap). Non-inferior: a loss as large as the margin "
        f"is refuted at the one-sided level {alpha:g}. Inferior: a loss smaller than the margin is refuted. "
        "Inconclusive: neither, because the persons are too few to tell; that is not a pass. The p value is that of a "
        "loss as large as the margin."
    )


def _teacher_table(tasks: Sequence[TaskEvaluation]) -> list[Block]:
    rows = [
        [
            Cell(str(task.name), str(task.id)),
            _delta(task, task.student_vs_teacher),
            _verdict(task.student_vs_teacher),
            _delta(task, task.int8_vs_teacher),
            _verdict(task.int8_vs_teacher),
        ]
        for task in tasks
        if task.float_teacher is not None
    ]
    if not rows:
        return [Text("The float teacher was not evaluated, so nothing is compared with it.")]
    columns = [
        Column("Task"),
        Column("Student − teacher", numeric=True),
        Column("Verdict on student"),
        Column("INT8 − teacher", numeric=True),
        Column("Verdict on INT8"),
    ]
    return [Table("Against the float teacher", columns, rows)]


def _detail_table(tasks: Sequence[TaskEvaluation], verify: Verify) -> list[Block]:
    columns = [
        Column("Task"),
        Column("Student at its threshold"),
        Column("INT8 at the same threshold"),
        Column("Decisions that differ", numeric=True),
        Column("AUROC per person, student → INT8", numeric=True),
        Column("Probe fitted again on INT8", numeric=True),
        Column("Calibration error, student → INT8", numeric=True),
    ]
    rows = []
    for task in tasks:
        probe = task.retrained_probe or None
        again = None if probe is None else probe.int8_vs_student
        rows.append(
            [
                Cell(str(task.name), str(task.id)),
                _rates(task.float_student),
                _rates(task.int8),
                Cell(count(task.flips), _share(task)),
                Cell(_per_person(task)),
                Cell(
                    _value(task, None if probe is None else probe.int8).text,
                    f"{_delta(task, again).text}, {verdict_of(again)}" if again else "",
                ),
                Cell(_calibration(task), "at even odds" if _calibration(task) != MISSING else ""),
            ]
        )
    note = " ".join(filter(None, [_flips(verify.summary), _calibration_note(tasks)]))
    return [Table("Beyond the first question", columns, rows, note)]


def _flips(summary: Summary) -> str:
    if summary.flips is None:
        return ""
    return (
        f"In all {count(summary.flips, 'decision')} of INT8 at the student's thresholds differ "
        f"({percent(summary.flip_rate)})."
    )


def _calibration(task: TaskEvaluation) -> str:
    values = [row.ece or None if row is not None else None for row in (task.float_student, task.int8)]
    return MISSING if None in values else f"{fixed(values[0])} → {fixed(values[1])}"


def _calibration_note(tasks: Sequence[TaskEvaluation]) -> str:
    if all(_calibration(task) == MISSING for task in tasks):
        return ""
    return (
        "Calibration error: mean gap between the stated probability and how often it comes true, with all classes "
        "equally common; chance alone keeps it above 0 where recordings are few, so the change matters more."
    )


def _rates(row: Row | None) -> Cell:
    if row is None or row.sensitivity in (None, UNSET):
        return Cell(MISSING)
    return Cell(f"sensitivity {fixed(row.sensitivity or None, 2)}", f"specificity {fixed(row.specificity or None, 2)}")


def _share(task: TaskEvaluation) -> str:
    if task.flips is None:
        return ""
    return f"{percent(task.flip_rate)} of {count(task.n_test)}"


def _per_person(task: TaskEvaluation) -> str:
    values = [row.per_subject.value if row and row.per_subject else None for row in (task.float_student, task.int8)]
    return MISSING if None in values else f"{fixed(values[0])} → {fixed(values[1])}"


def _gate(verify: Verify) -> list[Block]:
    criteria = verify.gate.criteria
    if not criteria:
        return []
    rows = []
    for name, criterion in criteria.items():
        passed = criterion.passed
        where = f"on {criterion.where}" if criterion.where else ""
        result = Cell("kept", tone="good") if passed else Cell("broken", tone="bad")
        if passed is None:
            result = Cell("does not apply", tone="quiet")
        limit, value = (_plain(name, found) for found in (criterion.limit, criterion.value))
        rows.append([Cell(_CRITERIA.get(name, name)), Cell(limit), Cell(value, where), result])
    columns = [Column("Criterion"), Column("Limit", numeric=True), Column("Found", numeric=True), Column("Result")]
    return [
        Heading("Quality gate"),
        Table("Limits of the recipe, written down before anything was measured", columns, rows),
    ]


def _plain(name: str, value: Any) -> str:
    if isinstance(value, list):
        return listing([str(item) for item in value]) or "none"
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return "not measured"
    return fixed(value, 4) if isinstance(value, float) or name.startswith("m") else count(value)


def _definition(task: TaskEvaluation) -> tuple[str, str]:
    parts = [text for text in (task.target, task.protocol) if text]
    if task.labels:
        parts.append("classes: " + ", ".join(map(str, task.labels)))
    if task.assumed:
        parts.append("the published sources do not settle this definition; it is assumed")
    parts.extend(text for text in (task.note,) if text)
    source = ", ".join(text for text in (task.access, task.licence) if text)
    if source:
        parts.append(f"data: {source}")
    return f"{task.id} {task.name}", ". ".join(capitalized(part.strip().rstrip(".")) for part in parts) + "."
