"""Figures by the published protocol, to set beside published ones."""

from __future__ import annotations

from collections.abc import Sequence

from acula_edge.bundle.schema import PublishedFigure, TaskEvaluation
from acula_edge.reporting.document import Block, Bullets, Cell, Column, Table
from acula_edge.reporting.numbers import MISSING, capitalized, fixed
from acula_edge.reporting.sections.vocabulary import MODEL_NAMES, MODELS


def published_blocks(tasks: Sequence[TaskEvaluation]) -> list[Block]:
    """A table of the tasks that have such figures, and why others have none; nothing where no task has the protocol."""
    rows, reasons = [], []
    for task in tasks:
        figures = task.published_probe
        if not figures:
            continue
        if figures.reason:
            reasons.append(f"{task.id}: not trained by the published protocol: {figures.reason}")
            continue
        name = Cell(str(task.name), f"{task.id}, {str(task.metric).upper()}")
        rows.append([name, *(_figure(getattr(figures, model)) for model in MODELS)])
    blocks: list[Block] = []
    if rows:
        columns = [Column("Task"), *(Column(capitalized(MODEL_NAMES[model]), numeric=True) for model in MODELS)]
        caption = (
            "Adam at 1e-4 with the best validation epoch, as published figures were obtained; AUROC: mean and standard "
            "deviation over five seeds; MAE: over subjects. Each model's probe is its own. No verdict rests on these."
        )
        blocks.append(Table("By the published protocol", columns, rows, caption))
    if reasons:
        blocks.append(Bullets(reasons))
    return blocks


def _figure(figure: PublishedFigure | None) -> Cell:
    if not figure:
        return Cell(MISSING)
    return Cell(fixed(figure.value), f"± {fixed(figure.std)}")
