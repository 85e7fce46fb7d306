"""Zero-shot and retrieval: what text alone says about recordings, beside the probe's answer."""

from __future__ import annotations

from collections.abc import Sequence

from acula_edge.bundle.json_files import plain
from acula_edge.bundle.schema import RetrievalScope, TaskEvaluation, ValueInterval, ZeroShot
from acula_edge.reporting.document import Block, Bullets, Cell, Column, Heading, Table, Text
from acula_edge.reporting.evidence import Bundle, row_of
from acula_edge.reporting.numbers import MISSING, count, fixed, interval, signed, signed_interval
from acula_edge.reporting.sections.vocabulary import INT8, MODEL_NAMES, MODELS, STUDENT, tone_of, verdict_of


def zero_shot_blocks(bundle: Bundle) -> list[Block]:
    """What ``verify.json`` says of prompts and reports; nothing where no prompts were asked."""
    zero_shot = None if bundle.verify is None else bundle.verify.zero_shot
    if zero_shot is None:
        return []
    probes = {task.id: task for task in bundle.tasks}
    blocks: list[Block] = [Text(_how(zero_shot))]
    if zero_shot.tasks:
        blocks.append(_task_table(zero_shot.tasks, probes))
    if zero_shot.tasks_missing:
        blocks.append(Bullets([f"{item.id}: {item.reason}" for item in zero_shot.tasks_missing]))
    blocks.append(Heading("Which report belongs to a recording?"))
    scopes = zero_shot.retrieval.scopes
    if scopes:
        blocks.append(_retrieval_table(scopes))
    else:
        blocks.append(Text("Not measured: the validation split has no two different reports."))
    return blocks


def _how(zero_shot: ZeroShot) -> str:
    carried = "The bundle carries" if zero_shot.in_bundle else "The bundle does not carry"
    return (
        f"Text prompts ({zero_shot.prompts}), read by {zero_shot.language_model}, are compared with test "
        "recordings in the space of the alignment; no probe is fitted and no label is used. Both sides are centered "
        "within data set, so a score says how a recording differs from the usual one of its data set, and says nothing "
        f"about a data set that was not trained on. {carried} these prompts as vectors."
    )


def _task_table(tasks: Sequence[TaskEvaluation], probes: dict[str, TaskEvaluation]) -> Table:
    columns = [
        Column("Task"),
        Column("Test persons", numeric=True),
        *(Column(MODEL_NAMES[model] if model == INT8 else MODEL_NAMES[model].capitalize(), True) for model in MODELS),
        Column("Student with a probe", numeric=True),
        Column("INT8 − student", numeric=True),
        Column("Verdict"),
    ]
    rows = []
    for task in tasks:
        pair = task.int8_vs_student
        verdict = verdict_of(pair)
        rows.append(
            [
                Cell(str(task.name), f"{task.id}, {task.set}, AUROC without a probe"),
                Cell(count(task.n_subjects), count(task.n_test, "recording")),
                *(_value(row_of(task, model)) for model in MODELS),
                _value(probes[task.id].float_student if task.id in probes else None),
                Cell(signed(pair.delta), signed_interval(pair.ci95)) if pair else Cell(MISSING),
                Cell(verdict, tone=tone_of(verdict)),
            ]
        )
    return Table("Zero-shot AUROC on test persons with 95 % intervals over persons", columns, rows)


def _retrieval_table(scopes: Sequence[RetrievalScope]) -> Table:
    measures = list(plain(scopes[0].chance))
    columns = [
        Column("Recordings of"),
        Column("Model"),
        *(Column(measure.replace("_", " ").capitalize(), numeric=True) for measure in measures),
    ]
    rows: list[list[Cell]] = []
    for scope in scopes:
        name = Cell(
            str(scope.dataset or "all data sets"),
            f"{count(scope.n_recordings, 'recording')} of {count(scope.n_subjects, 'person')}, "
            f"{count(scope.n_reports, 'report')} to choose from",
        )
        present = [model for model in MODELS if getattr(scope, model)]
        rows.extend(
            [name, Cell(MODEL_NAMES[model]), *(_value(getattr(getattr(scope, model), measure)) for measure in measures)]
            for model in present
        )
        usual = getattr(scope, STUDENT if STUDENT in present else present[0])
        rows.append(
            [name, Cell("reports shuffled"), *(Cell(fixed(getattr(usual, measure).shuffled)) for measure in measures)]
        )
        rows.append([name, Cell("chance"), *(Cell(fixed(getattr(scope.chance, measure))) for measure in measures)])
    note = (
        "Recall on validation persons with 95 % intervals over persons. Reports that state the same facts are one "
        "report. Shuffled: what the same ranking finds when reports are dealt out at random within the data set, which "
        "is what naming the usual report earns. Chance: a random order. Validation persons chose the epoch where the "
        "recipe keeps the best one or stops early."
    )
    return Table("The recording's own report among the first 1, 5 and 10", columns, rows, note)


def _value(row: ValueInterval | None) -> Cell:
    if row is None:
        return Cell(MISSING)
    return Cell(fixed(row.value), interval(row.ci95))
