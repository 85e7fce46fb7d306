"""Cells that several tables of the comparison share."""

from __future__ import annotations

from acula_edge.reporting.compare.accuracy import Accuracy
from acula_edge.reporting.compare.entries import Entry, Measurement
from acula_edge.reporting.document import Cell
from acula_edge.reporting.numbers import MISSING, count, fixed

NOT_MEASURED = "not measured"


def figure(text: str, note: str = "") -> Cell:
    """A number, or that there is none."""
    return Cell(NOT_MEASURED, note, "quiet") if text == MISSING else Cell(text, note)


def named(entry: Entry) -> Cell:
    """An entry by letter and machine."""
    return Cell(entry.label, entry.what)


def setting(item: Measurement) -> str:
    """Provider, precision and threads of a measurement."""
    provider = str(item.row.get("provider") or "").removesuffix("ExecutionProvider")
    parts = [provider, str(item.row.get("precision") or ""), count(item.row.get("threads"), "thread")]
    return ", ".join(part for part in parts if part and part != MISSING)


def accuracy_cell(accuracy: Accuracy) -> Cell:
    """Mean AUROC with the tasks it is the mean of, or that nothing is known and why."""
    if not accuracy.tasks:
        return Cell(NOT_MEASURED, accuracy.reason, "quiet")
    mean = accuracy.mean_auroc
    note = ", ".join(f"{task['id']} {fixed(float(task['value']))}" for task in accuracy.tasks)
    if mean is None:
        return Cell(note, "no task by AUROC")
    return Cell(
        f"AUROC {fixed(mean)}", f"mean of {note}" if len(accuracy.tasks) > 1 else f"on {accuracy.tasks[0]['id']}"
    )
