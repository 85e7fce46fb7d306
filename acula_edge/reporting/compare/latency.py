"""Speed: percentiles by stage, bars, distributions, and what ran in turn."""

from __future__ import annotations

from collections.abc import Sequence

from acula_edge.bundle.layout import ENCODER_FILE, ENCODER_INT8_FILE, FRONTEND_FILE, MODEL_FILE, MODEL_INT8_FILE
from acula_edge.reporting.charts import NARROW, WIDE
from acula_edge.reporting.charts.bars import Bar, Segment, draw_bars
from acula_edge.reporting.charts.histograms import Histogram, draw_histograms
from acula_edge.reporting.compare.cells import accuracy_cell, figure, named, setting
from acula_edge.reporting.compare.entries import Entry, Measurement
from acula_edge.reporting.compare.speed import speed_ups
from acula_edge.reporting.document import Block, Bullets, Cell, Chart, Column, Table, Text
from acula_edge.reporting.numbers import interval, listing, milliseconds, significant, times
from acula_edge.reporting.sections.vocabulary import MODEL_STYLES, STAGE_NAMES, tone_of

_FILES = (("float", ENCODER_FILE, MODEL_FILE), ("INT8", ENCODER_INT8_FILE, MODEL_INT8_FILE))
_TONES = {"faster": "non-inferior", "slower": "inferior"}


def percentile_blocks(entries: Sequence[Entry]) -> list[Block]:
    """One table per stage; the same artifact of all machines stands together."""
    blocks: list[Block] = []
    for stage, title in STAGE_NAMES.items():
        rows = [(entry, item) for entry in entries for item in entry.measurements if item.stage == stage]
        if rows:
            blocks.insert(0, _percentiles(title, rows, with_accuracy=stage != "frontend"))
    return blocks or [Text("Not measured: these files hold no measurement.")]


def stage_blocks(entries: Sequence[Entry]) -> list[Block]:
    """Front end and encoder as one bar per form of the model, with a tick where the whole was measured."""
    bars, words = [], []
    for entry in entries:
        for name, encoder, whole in _FILES:
            parts = [item for item in (entry.find(FRONTEND_FILE), entry.find(encoder)) if item is not None]
            end_to_end = entry.find(whole)
            if not parts and end_to_end is None:
                continue
            style = "int8" if name == "INT8" else "student"
            p50_ms = None if end_to_end is None else float(end_to_end.row["p50_ms"])
            segments = [Segment(STAGE_NAMES[item.stage], item.row["p50_ms"], f"{style} {item.stage}") for item in parts]
            if not segments and p50_ms is not None:
                segments = [Segment("end to end", p50_ms, f"{style} end_to_end")]
            text = "whole not measured" if p50_ms is None else milliseconds(p50_ms)
            bars.append(Bar(f"{entry.letter} · {name}", entry.machine, segments, p50_ms, text))
            words.append(f"{entry.letter} {name} {text}")
    if not bars:
        return [Text("Not measured: no benchmark here is of a bundle's halves.")]
    title = "Median latency by stage"
    description = f"End to end: {listing(words)}."
    axis = "median latency in ms per window"
    wide, narrow = (draw_bars("stages", title, description, bars, axis, width) for width in (WIDE, NARROW))
    legend = [
        ("student frontend", "front end"),
        ("student encoder", "encoder, float"),
        ("int8 encoder", "encoder, INT8"),
        ("whole", "measured end to end"),
    ]
    return [Chart(title, description, wide, narrow, legend)]


def distribution_blocks(entries: Sequence[Entry]) -> list[Block]:
    """Every raw sample of the end-to-end runs."""
    rows, words = [], []
    for entry in entries:
        for item in entry.measurements:
            if item.stage == "end_to_end" and item.samples_ms is not None and item.samples_ms.size:
                style = MODEL_STYLES.get(str(item.row.get("model")), "teacher")
                p50_ms, p99_ms = float(item.row["p50_ms"]), item.row.get("p99_ms")
                text = f"p50 {significant(p50_ms)}, p99 {significant(p99_ms)} ms"
                label = f"{entry.letter} · {item.artifact}"
                rows.append(Histogram(label, entry.machine, item.samples_ms, p50_ms, p99_ms, text, style))
                words.append(f"{label} {text}")
    missing = [f"{entry.letter}: {entry.why_no_samples}" for entry in entries if entry.why_no_samples]
    blocks: list[Block] = []
    if rows:
        title = "How latency is spread, end to end"
        description = f"Histograms of raw samples: {listing(words)}."
        axis = "latency in ms per window, logarithmic; each row scaled to its highest bar"
        wide, narrow = (draw_histograms("spread", title, description, rows, axis, width) for width in (WIDE, NARROW))
        legend = [("student", "float"), ("int8", "INT8")]
        if any(row.style == "teacher" for row in rows):
            legend.append(("teacher", "others"))
        legend += [("whole", "median"), ("p99", "99th percentile")]
        blocks.append(Chart(title, description, wide, narrow, legend))
        blocks.append(Text("Bars reach to the 99.9th percentile of the widest row; rarer samples are not drawn."))
    if missing:
        blocks.append(Text(f"No histogram, because raw samples are missing. {'; '.join(missing)}."))
    return blocks


def speed_up_blocks(entries: Sequence[Entry]) -> list[Block]:
    """Only within one machine, and only where the accuracy of both is known."""
    rows, withheld = [], []
    for entry in entries:
        stated, others = speed_ups(entry)
        withheld += [f"{entry.letter}: {text}" for text in others]
        for item in stated:
            verdict, bounds = str(item.pair.get("verdict") or ""), item.pair.get("speedup_ci95")
            rows.append(
                [
                    Cell(f"{entry.letter} · {item.candidate.artifact}", f"against {item.reference.artifact}"),
                    Cell(STAGE_NAMES.get(item.candidate.stage, item.candidate.stage)),
                    Cell(times(item.pair["speedup"]), interval(bounds, 2)),
                    Cell(verdict, tone=tone_of(_TONES.get(verdict, ""))),
                    accuracy_cell(item.candidate.accuracy),
                    accuracy_cell(item.reference.accuracy),
                ]
            )
    blocks: list[Block] = []
    if rows:
        columns = [
            Column("Measured in turn"),
            Column("Stage"),
            Column("Speed-up", numeric=True),
            Column("Verdict"),
            Column("Its accuracy", numeric=True),
            Column("Accuracy of the other", numeric=True),
        ]
        note = "A B A B on one machine; median ratio over pairs with its 95 % interval. Above 1 the first is faster."
        blocks.append(Table("Speed-ups within a machine, and the accuracy of the same files", columns, rows, note))
    else:
        blocks.append(Text("No speed-up is stated: no pair ran in turn on one machine with both accuracies known."))
    if withheld:
        blocks += [Text("Not stated:"), Bullets(withheld)]
    return blocks


def _percentiles(title: str, rows: Sequence[tuple[Entry, Measurement]], with_accuracy: bool) -> Table:
    order = list(dict.fromkeys(item.artifact for _, item in rows))
    columns = [
        Column("What ran"),
        Column("Machine"),
        *(Column(name, numeric=True) for name in ("p50 ms", "p90 ms", "p95 ms", "p99 ms")),
        Column("Real-time factor", numeric=True),
        *([Column("Accuracy of this file", numeric=True)] if with_accuracy else []),
    ]
    cells = [
        [
            Cell(item.artifact, setting(item)),
            named(entry),
            *(figure(significant(item.row.get(f"{name}_ms"))) for name in ("p50", "p90", "p95", "p99")),
            figure(significant(item.row.get("rtf"), 2)),
            *([accuracy_cell(item.accuracy)] if with_accuracy else []),
        ]
        for artifact in order
        for entry, item in rows
        if item.artifact == artifact
    ]
    return Table(f"Latency, {title}", columns, cells)


def deployed(entry: Entry) -> Measurement | None:
    """The end-to-end run of the INT8 model, else of the float one, else of whatever ran first."""
    known = entry.find(MODEL_INT8_FILE) or entry.find(MODEL_FILE)
    return known or next((item for item in entry.measurements if item.stage == "end_to_end"), None)
