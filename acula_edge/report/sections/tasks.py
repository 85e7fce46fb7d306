"""As good as float? Values, intervals, verdicts and the gate, task by task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from acula_edge.report.document import Block, Bullets, Cell, Column, Facts, Heading, Notice, Table, Text
from acula_edge.report.evidence import Bundle, Json
from acula_edge.report.numbers import (
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
from acula_edge.report.sections.forests import change_in_error_forest, delta_forest, value_forest
from acula_edge.report.sections.published_probe import published_blocks
from acula_edge.report.sections.subgroups import subgroup_blocks
from acula_edge.report.sections.vocabulary import (
    INT8,
    MODEL_NAMES,
    MODELS,
    STUDENT,
    TEACHER,
    task_kind,
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
    tasks: Sequence[Json] = verify.get("tasks") or []
    blocks: list[Block] = []
    if not tasks:
        blocks.append(Notice("No task could be evaluated on this run's test persons."))
    elif all(task_kind(task) == "phantom" for task in tasks):
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
    missing = (verify.get("summary") or {}).get("tasks_missing") or []
    if missing:
        blocks.append(Heading("Tasks not evaluated"))
        blocks.append(Bullets([f"{item.get('id')}: {item.get('reason')}" for item in missing]))
    blocks.extend(_gate(verify))
    if tasks:
        blocks.append(Heading("What the tasks ask"))
        blocks.append(Facts([_definition(task) for task in tasks]))
    return blocks


def _value_table(tasks: Sequence[Json], verify: Json) -> Table:
    columns = [
        Column("Task"),
        Column("Test persons", numeric=True),
        *(Column(MODEL_NAMES[model].capitalize() if model != INT8 else "INT8", numeric=True) for model in MODELS),
        Column("INT8 − student", numeric=True),
        Column("Verdict"),
    ]
    holm = ((verify.get("summary") or {}).get("verdicts_holm") or {}).get("int8_vs_student") or {}
    rows = [
        [
            Cell(str(task.get("name")), f"{task.get('id')}, {task_kind(task)}, {_metric(task)}"),
            _persons(task),
            *(_value(task, task.get(model)) for model in MODELS),
            _delta(task, task.get("int8_vs_student")),
            _verdict(task.get("int8_vs_student"), holm.get(task.get("id"))),
        ]
        for task in tasks
    ]
    rows.extend(_mean_rows(tasks, verify))
    return Table("Values on test persons with 95 % intervals over persons", columns, rows)


def _mean_rows(tasks: Sequence[Json], verify: Json) -> list[list[Cell]]:
    ranked = [task for task in tasks if task.get("metric") == "auroc"]
    summary = verify.get("summary") or {}
    means = summary.get("means") or {}
    if len(ranked) < 2:
        return []
    delta = (summary.get("mean_delta") or {}).get("int8_vs_student") or {}
    return [
        [
            Cell("Mean AUROC", f"over {len(ranked)} tasks"),
            Cell(""),
            *(Cell(fixed(means.get(model))) for model in MODELS),
            Cell(signed(delta.get("delta")), signed_interval(delta.get("ci95"))),
            Cell(""),
        ]
    ]


def _metric(task: Json) -> str:
    if task.get("metric") == "auroc":
        return "AUROC"
    return f"MAE in {task['unit']}" if task.get("unit") else "MAE"


def _persons(task: Json) -> Cell:
    text = count(task.get("n_subjects"))
    if task.get("n_positive_subjects") is None:
        return Cell(text, count(task.get("n_test"), "recording"))
    positive, negative = task["n_positive_subjects"], task.get("n_negative_subjects")
    return Cell(text, f"{count(positive)} with, {count(negative)} without")


def _value(task: Json, row: Json | None) -> Cell:
    if not row or row.get("value") is None:
        return Cell(MISSING)
    digits = 3 if task.get("metric") == "auroc" else 2
    return Cell(fixed(row["value"], digits), interval(row.get("ci95"), digits))


def _delta(task: Json, comparison: Json | None) -> Cell:
    if not comparison or comparison.get("delta") is None:
        return Cell(MISSING)
    digits = 4 if task.get("metric") == "auroc" else 3
    return Cell(signed(comparison["delta"], digits), signed_interval(comparison.get("ci95"), digits))


def _verdict(comparison: Json | None, adjusted: Json | None = None) -> Cell:
    verdict = verdict_of(comparison)
    notes = []
    if comparison:
        notes.append(f"margin {significant(comparison.get('margin'), 2)}")
        if comparison.get("p_noninferiority") is not None and verdict != "identical":
            notes.append(f"p\u00a0{probability(comparison['p_noninferiority'])}")
        if adjusted and adjusted.get("verdict") not in (None, verdict):
            p = f", p\u00a0{probability(adjusted['p_adjusted'])}" if adjusted.get("p_adjusted") is not None else ""
            notes.append(f"adjusted for several tasks: {adjusted['verdict']}{p}")
        elif comparison.get("reason"):
            notes.append(str(comparison["reason"]))
    return Cell(verdict, "; ".join(notes), tone_of(verdict))


def _how(verify: Json) -> str:
    method = verify.get("method") or {}
    alpha = method.get("alpha_one_sided", 0.05)
    return (
        "The same persons are compared in pairs, with task heads fitted once on the float student's training "
        "embeddings and fed both models' test embeddings (engine swap). Non-inferior: a loss as large as the margin "
        f"is refuted at the one-sided level {alpha:g}. Inferior: a loss smaller than the margin is refuted. "
        "Inconclusive: neither, because the persons are too few to tell; that is not a pass. The p value is that of a "
        "loss as large as the margin."
    )


def _teacher_table(tasks: Sequence[Json]) -> list[Block]:
    rows = [
        [
            Cell(str(task.get("name")), str(task.get("id"))),
            _delta(task, task.get("student_vs_teacher")),
            _verdict(task.get("student_vs_teacher")),
            _delta(task, task.get("int8_vs_teacher")),
            _verdict(task.get("int8_vs_teacher")),
        ]
        for task in tasks
        if task.get(TEACHER) is not None
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


def _detail_table(tasks: Sequence[Json], verify: Json) -> list[Block]:
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
        probe = task.get("retrained_probe") or {}
        again = probe.get("int8_vs_student")
        rows.append(
            [
                Cell(str(task.get("name")), str(task.get("id"))),
                _rates(task.get(STUDENT)),
                _rates(task.get(INT8)),
                Cell(count(task.get("flips")), _share(task)),
                Cell(_per_person(task)),
                Cell(
                    _value(task, probe.get(INT8)).text,
                    f"{_delta(task, again).text}, {verdict_of(again)}" if again else "",
                ),
                Cell(_calibration(task), "at even odds" if _calibration(task) != MISSING else ""),
            ]
        )
    note = " ".join(filter(None, [_flips(verify.get("summary") or {}), _calibration_note(tasks)]))
    return [Table("Beyond the first question", columns, rows, note)]


def _flips(summary: Json) -> str:
    if summary.get("flips") is None:
        return ""
    return (
        f"In all {count(summary['flips'], 'decision')} of INT8 at the student's thresholds differ "
        f"({percent(summary.get('flip_rate'))})."
    )


def _calibration(task: Json) -> str:
    values = [(task.get(model) or {}).get("ece") for model in (STUDENT, INT8)]
    return MISSING if None in values else f"{fixed(values[0])} → {fixed(values[1])}"


def _calibration_note(tasks: Sequence[Json]) -> str:
    if all(_calibration(task) == MISSING for task in tasks):
        return ""
    return (
        "Calibration error: mean gap between the stated probability and how often it comes true, with all classes "
        "equally common; chance alone keeps it above 0 where recordings are few, so the change matters more."
    )


def _rates(row: Json | None) -> Cell:
    if not row or row.get("sensitivity") is None:
        return Cell(MISSING)
    return Cell(f"sensitivity {fixed(row['sensitivity'], 2)}", f"specificity {fixed(row.get('specificity'), 2)}")


def _share(task: Json) -> str:
    if task.get("flips") is None:
        return ""
    return f"{percent(task.get('flip_rate'))} of {count(task.get('n_test'))}"


def _per_person(task: Json) -> str:
    values = [((task.get(model) or {}).get("per_subject") or {}).get("value") for model in (STUDENT, INT8)]
    return MISSING if None in values else f"{fixed(values[0])} → {fixed(values[1])}"


def _gate(verify: Json) -> list[Block]:
    criteria: dict[str, Any] = (verify.get("gate") or {}).get("criteria") or {}
    if not criteria:
        return []
    rows = []
    for name, criterion in criteria.items():
        passed = criterion.get("passed")
        where = f"on {criterion['where']}" if criterion.get("where") else ""
        result = Cell("kept", tone="good") if passed else Cell("broken", tone="bad")
        if passed is None:
            result = Cell("does not apply", tone="quiet")
        limit, value = (_plain(name, criterion.get(key)) for key in ("limit", "value"))
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


def _definition(task: Json) -> tuple[str, str]:
    parts = [str(task[key]) for key in ("target", "protocol") if task.get(key)]
    if task.get("labels"):
        parts.append("classes: " + ", ".join(map(str, task["labels"])))
    if task.get("assumed"):
        parts.append("the published sources do not settle this definition; it is assumed")
    parts.extend(str(task[key]) for key in ("note",) if task.get(key))
    source = ", ".join(str(task[key]) for key in ("access", "licence") if task.get(key))
    if source:
        parts.append(f"data: {source}")
    return f"{task.get('id')} {task.get('name')}", ". ".join(
        capitalized(part.strip().rstrip(".")) for part in parts
    ) + "."
