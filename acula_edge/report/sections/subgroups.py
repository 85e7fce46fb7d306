"""Values by sex, age, device and site: for looking, not for verdicts."""

from __future__ import annotations

from collections.abc import Sequence

from acula_edge.report.document import Block, Cell, Column, Table, Text
from acula_edge.report.evidence import Json
from acula_edge.report.numbers import MISSING, capitalized, count, fixed, listing, signed, signed_interval
from acula_edge.report.sections.vocabulary import INT8, MODEL_NAMES, STUDENT

_COLUMN_NAMES = {"age_band": "age"}


def subgroup_blocks(tasks: Sequence[Json], verify: Json) -> list[Block]:
    """A table of the groups with enough persons, and how many have too few; nothing where metadata name no groups.

    A group that is the whole test set repeats the task's own values and is left out.
    """
    shown = [
        (task, group)
        for task in tasks
        for group in task.get("subgroups") or []
        if group.get("n_test") != task.get("n_test")
    ]
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
    hidden = [_hidden(task) for task in tasks if task.get("subgroups_too_small")]
    if hidden:
        least = (verify.get("method") or {}).get("min_subgroup_subjects")
        limit = f"fewer than {least} test persons" if least else "too few test persons"
        blocks.append(Text(f"Not shown, because they have {limit} (of each class, for AUROC): {'; '.join(hidden)}."))
    return blocks


def _row(task: Json, group: Json) -> list[Cell]:
    digits, places = (3, 4) if task.get("metric") == "auroc" else (2, 3)
    pair = group.get("int8_vs_student") or {}
    return [
        Cell(str(task.get("name")), f"{task.get('id')}, {str(task.get('metric')).upper()}"),
        Cell(str(group["group"]), _column(group)),
        Cell(count(group.get("n_subjects")), count(group.get("n_test"), "recording")),
        Cell(fixed(group.get(STUDENT), digits)),
        Cell(fixed(group.get(INT8), digits)),
        Cell(signed(pair.get("delta"), places), signed_interval(pair.get("ci95"), places)) if pair else Cell(MISSING),
    ]


def _note(groups: Sequence[Json]) -> str:
    compared = sum(bool(group.get("int8_vs_student")) for group in groups)
    note = "Descriptive: no verdict rests on these, and a person may be in several groups."
    if compared:
        note += (
            f" {count(compared, 'difference')} with 95 % intervals, not adjusted for their number: about "
            "one in twenty misses the true value by chance."
        )
    return note


def _hidden(task: Json) -> str:
    parts = [
        f"{count(small.get('groups'), 'group')} by {_column(small)} ({count(small.get('n_subjects'), 'person')})"
        for small in task["subgroups_too_small"]
    ]
    return f"{task.get('id')} {listing(parts)}"


def _column(facts: Json) -> str:
    name = str(facts.get("column"))
    return _COLUMN_NAMES.get(name, name.replace("_", " "))
