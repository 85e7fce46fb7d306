"""How alignment and distillation went, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from acula_edge.reporting.charts.curves import Curve, draw_curves
from acula_edge.reporting.document import Block, Chart, ChartGrid, Facts, Heading, Notice, Section, Text
from acula_edge.reporting.evidence import Evidence, is_number
from acula_edge.reporting.numbers import MISSING, count, duration, fixed, listing, percent, significant

# Key in metrics.jsonl, title, whether it lies between 0 and 1.
_ALIGN_FIGURES = (
    ("loss", "Training loss", False),
    ("val_fact_auroc", "AUROC of facts that a probe reads in validation persons, the mean over facts", True),
    ("val_cka", "Validation CKA", True),
    ("val_recall_at_10", "Report found among the first 10 (validation)", True),
    ("val_probe_r2", "Report's variance that a linear probe reads in new persons (validation)", False),
    ("effective_rank", "Effective rank of embeddings", False),
    ("norm_max", "Longest embedding, relative to the median one", False),
    ("cka_to_start", "Linear CKA to the starting encoder (validation)", True),
    ("val_mrr", "Mean reciprocal rank (validation)", True),
)
_DISTILL_FIGURES = (
    ("loss", "Training loss", False),
    ("val_cosine", "Cosine to the teacher (validation)", True),
)
_MAX_ALIGN_CHARTS = 8


def training_section(evidence: Evidence) -> Section:
    """Alignment and distillation."""
    blocks: list[Block] = [Heading("Alignment with clinical reports"), *_alignment(evidence)]
    blocks.append(Heading("Distillation into the student"))
    students = [name for name in evidence.stages if name.startswith("distill-")]
    logged = [f"distill-{name.partition('/')[2]}" for name in evidence.metrics if name.startswith("distill/")]
    names = list(dict.fromkeys([*students, *logged]))
    if not names:
        blocks.append(Text("No student was distilled in this run."))
    for name in names:
        blocks.extend(_distillation(evidence, name.removeprefix("distill-")))
    return Section("training", "Training", blocks)


def _alignment(evidence: Evidence) -> list[Block]:
    recipe, stage = evidence.recipe, evidence.stage("align")
    blocks: list[Block] = []
    if recipe.reports.shuffle:
        blocks.append(Notice("Negative control: reports were shuffled within each data set."))
    objectives = {**recipe.align.objectives, **recipe.align.self_supervised}
    if not objectives:
        blocks.append(Notice("Control: the encoder stays as it was initialized; nothing was aligned.", "quiet"))
    facts = [
        ("Encoder", f"{recipe.encoder.name}, from {_start(evidence)}"),
        ("Language teacher", f"{recipe.language.model}, frozen, {recipe.language.pooling} pooling"),
        ("Reports", f"{recipe.reports.writer} writer, {recipe.reports.variants} phrasings per recording"),
        ("Objectives", _weights(objectives)),
        ("Text target", recipe.align.text_target),
        ("Pairs", f"{count(stage.get('pairs_train'))} training, {count(stage.get('pairs_val'))} validation"),
        ("Length", _length(stage)),
    ]
    blocks.append(Facts([(term, text) for term, text in facts if MISSING not in text]))
    rows = evidence.metrics.get("align", [])
    if rows:
        charts = _charts("align", rows, _ALIGN_FIGURES)[:_MAX_ALIGN_CHARTS]
        blocks.extend(_diverged(rows))
        blocks.append(ChartGrid(charts))
        blocks.append(
            Text(
                "A falling loss and a high CKA do not show that an encoder became better; only the tasks on unseen "
                "persons do, against random initialization, self-supervision alone and shuffled reports."
            )
        )
    elif objectives:
        blocks.append(Text("Not measured: no epoch of alignment has been logged."))
    return blocks


def _distillation(evidence: Evidence, student: str) -> list[Block]:
    stage, config = evidence.stage(f"distill-{student}"), evidence.recipe.distill
    facts = [
        ("Student", f"{student}, embedding of {config.embedding_dim}"),
        ("Parameters as deployed", count(stage.get("parameters"))),
        ("Training windows", count(stage.get("windows"))),
        (
            "Loss",
            _weights({"cosine": config.cosine, "CKA to teacher": config.cka_teacher, "CKA to text": config.cka_text}),
        ),
        ("Sensor degradation of the student's input", "yes" if config.degrade else "no"),
        ("Variance of the teacher's embedding kept", percent(stage.get("variance_kept"))),
        ("Length", _length(stage)),
    ]
    blocks: list[Block] = [Facts([(term, text) for term, text in facts if MISSING not in text])]
    rows = evidence.metrics.get(f"distill/{student}") or evidence.metrics.get("distill") or []
    if rows:
        blocks.extend(_diverged(rows))
        blocks.append(ChartGrid(_charts(f"distill-{student}", rows, _DISTILL_FIGURES)))
    else:
        blocks.append(Text("Not measured: no epoch of distillation has been logged."))
    return blocks


def _charts(name: str, rows: Sequence[dict[str, Any]], figures: Sequence[tuple[str, str, bool]]) -> list[Chart]:
    charts = []
    for key, title, in_unit_interval in figures:
        points = [(float(row["epoch"]), float(row[key])) for row in rows if is_number(row.get(key))]
        if not points:
            continue
        epochs, values = [epoch for epoch, _ in points], [value for _, value in points]
        description = (
            f"{title}: {significant(values[0])} after epoch {fixed(epochs[0], 0)}, "
            f"{significant(values[-1])} after epoch {fixed(epochs[-1], 0)}."
        )
        identifier = f"{name}-{key}".replace("_", "-")
        drawn = draw_curves(identifier, title, description, [Curve(title, epochs, values)], in_unit_interval)
        charts.append(Chart(title, description, drawn))
    return charts


def _diverged(rows: Sequence[dict[str, Any]]) -> list[Block]:
    epochs = [row["epoch"] for row in rows if isinstance(row.get("loss"), float) and not math.isfinite(row["loss"])]
    if not epochs:
        return []
    return [Notice(f"The loss was not a finite number in {count(len(epochs), 'epoch')}: training diverged.", "bad")]


def _start(evidence: Evidence) -> str:
    return "a checkpoint" if evidence.recipe.encoder.checkpoint else "random initialization"


def _weights(weights: dict[str, float]) -> str:
    return listing([f"{name} × {weight:g}" for name, weight in weights.items() if weight]) or "none"


def _length(stage: dict[str, Any]) -> str:
    if not stage.get("epochs"):
        return MISSING
    return f"{count(stage['epochs'], 'epoch')}, {count(stage.get('steps'), 'step')}, {duration(stage.get('seconds'))}"
