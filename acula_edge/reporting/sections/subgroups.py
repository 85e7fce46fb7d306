"""Values by sex, age, device and site: for looking, not for verdicts."""

from __future__ import annotations

from collections.abc import Sequence

from acula_edge.bundle.schema import SmallSubgroups, Subgroup, TaskEvaluation, Verify
from acula_edge.reporting.document import Block, Cell, Column, Table, Text
from acula_edge.reporting.numbers import MISSING, capitalized, count, fixed, listing, signed, signed_interval
from acula_edge.reporting.sections.vocabulary import INT8, MODEL_NAMES, STUDENT

_COLUMN_NAMES = {"age_band": "age"}


def subgroup_blocks(tasks: Sequence[TaskEvaluation], verify: Verify) -> list[Block]:
    """A table of the groups with enough persons, and how many have too few; nothing where metadata name no groups.

    A group that is the whole test set repeats the task's own values and is left out.
    """
    shown = [(task, group) for task in tasks for group in task.subgroups if group.n_test != task.n_test]
    blocks: list[Block] = []
    if shown:
        columns = [
            Column("Task"),
            Column("Group"),
            Column("Test persons", numeric=True),
            Column(capitalized(MODEL_NAMES[STUDENT]), numeric=True),
            Column(MODEL_NAMES[INT8], numeric=True),
            Column("INT8 − student", numeric=True),
        ]
        rows = [_row(task, group) for task, group in shown]
        blocks.append(Table("By sex, age, device and site", columns, rows, _note([group for _, group in shown])))
    hidden = [_hidden(task) for task in tasks if task.subgroups_too_small]
    if hidden:
        least = verify.method.min_subgroup_subjects
        limit = f"fewer than {least} test persons" if least else "too few test persons"
        blocks.append(Text(f"Not shown, because they have {limit} (of each class, for AUROC): {'; '.join(hidden)}."))
    return blocks


def _row(task: TaskEvaluation, group: Subgroup) -> list[Cell]:
    digits, places = (3, 4) if task.metric == "auroc" else (2, 3)
    pair = group.int8_vs_student
    return [
        Cell(str(task.name), f"{task.id}, {str(task.metric).upper()}"),
        Cell(str(group.group), _column(group)),
        Cell(count(group.n_subjects), count(group.n_test, "recording")),
        Cell(fixed(group.float_student, digits)),
        Cell(fixed(group.int8, digits)),
        Cell(signed(pair.delta, places), signed_interval(pair.ci95, places)) if pair else Cell(MISSING),
    ]


def _note(groups: Sequence[Subgroup]) -> str:
    compared = sum(bool(group.int8_vs_student) for group in groups)
    note = "Descriptive: no verdict rests on these, and a person may be in several groups."
    if compared:
        note += (
            f" {count(compared, 'difference')} with 95 % intervals, not adjusted for their number: about "
            "one in twenty misses the true value by chance."
        )
    return note


def _hidden(task: TaskEvaluation) -> str:
    parts = [
        f"{count(small.groups, 'group')} by {_column(small)} ({count(small.n_subjects, 'person')})"
        for small in task.subgroups_too_small
    ]
    return f"{task.id} {listing(parts)}"


def _column(facts: Subgroup | SmallSubgroups) -> str:
    name = str(facts.column)
    return _COLUMN_NAMES.get(name, name.replace("_", " "))
