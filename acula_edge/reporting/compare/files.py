"""The files on those machines: the energy they take, what they weigh, and how good they are."""

from __future__ import annotations

from collections.abc import Sequence

from acula_edge.reporting.compare.cells import figure
from acula_edge.reporting.compare.entries import Entry, Measurement
from acula_edge.reporting.document import Block, Cell, Column, Table, Text
from acula_edge.reporting.numbers import (
    MISSING,
    count,
    fixed,
    interval,
    listing,
    milliseconds,
    significant,
    size,
)


def energy_blocks(entries: Sequence[Entry]) -> list[Block]:
    """Energy of the end-to-end runs, above idle."""
    rows = []
    reasons: dict[str, list[str]] = {}
    for entry in entries:
        items = [item for item in entry.measurements if item.stage == "end_to_end"]
        for item in items:
            reason = (item.row.get("not_measured") or {}).get("energy_mj")
            if item.row.get("energy_mj") is None and item.row.get("energy_gross_mj") is None:
                reasons.setdefault(str(reason or "no reason was noted"), []).append(entry.letter)
                continue
            idle_mw = (entry.benchmark.get("power") or {}).get("idle_mw")
            rows.append(
                [
                    Cell(f"{entry.letter} · {item.artifact}", entry.machine),
                    figure(significant(item.row.get("energy_mj"), 3, "mJ"), str(reason or "")),
                    figure(significant(item.row.get("energy_gross_mj"), 3, "mJ")),
                    figure(significant(_watts(item.row.get("power_mw")), 3, "W")),
                    figure(significant(_watts(idle_mw), 3, "W")),
                    Cell(str(item.row.get("energy_scope") or MISSING)),
                ]
            )
    blocks: list[Block] = []
    if rows:
        columns = [
            Column("What ran"),
            Column("Energy per window", numeric=True),
            Column("Idle power included", numeric=True),
            Column("Power while it ran", numeric=True),
            Column("Idle power", numeric=True),
            Column("What the sensor sees"),
        ]
        note = (
            "Idle power was measured first, with nothing running, and taken off. Sensors of different scope do not "
            "compare."
        )
        blocks.append(Table("Energy of one window, end to end", columns, rows, note))
    for reason, letters in reasons.items():
        blocks.append(Text(f"Energy of {listing(list(dict.fromkeys(letters)))} was not measured: {reason}."))
    return blocks or [Text("Energy was not measured: nothing here ran end to end.")]


def footprint_blocks(entries: Sequence[Entry]) -> list[Block]:
    """Every file once with its size, then memory and cold start of the end-to-end runs on each machine."""
    files: dict[tuple[str, str], tuple[Measurement, list[str]]] = {}
    for entry in entries:
        for item in entry.measurements:
            if item.row.get("sha256"):
                files.setdefault((item.artifact, item.row["sha256"]), (item, []))[1].append(entry.letter)
    if not files:
        return [Text("Not measured: no file was, only callables.")]
    rows = [
        [
            Cell(item.artifact),
            figure(size(item.row.get("size_bytes"))),
            Cell(listing(letters)),
            Cell(str(item.row["sha256"])[:16], tone="code"),
        ]
        for item, letters in files.values()
    ]
    columns = [Column("File"), Column("Size", numeric=True), Column("Timed in"), Column("SHA-256 begins")]
    return [Table("Size of the files", columns, rows), _starts(entries)]


def _starts(entries: Sequence[Entry]) -> Table:
    rows = [
        [
            Cell(f"{entry.letter} · {item.artifact}", entry.machine),
            figure(milliseconds(item.row.get("cold_start_ms"))),
            figure(milliseconds(item.row.get("load_ms"))),
            figure(milliseconds(item.row.get("first_run_ms"))),
            figure(significant(item.row.get("peak_rss_mb"), 3, "MB")),
        ]
        for entry in entries
        for item in entry.measurements
        if item.stage == "end_to_end" and item.row.get("sha256")
    ]
    columns = [
        Column("What ran"),
        Column("Cold start", numeric=True),
        Column("of it loading", numeric=True),
        Column("of it the first run", numeric=True),
        Column("Peak memory", numeric=True),
    ]
    note = "In a process that does nothing else; Python and ONNX Runtime are included in all but loading and first run."
    return Table("Cold start and memory, end to end", columns, rows, note)


def accuracy_blocks(entries: Sequence[Entry]) -> list[Block]:
    """Every task of every file that was timed, once per file."""
    found: dict[tuple[str, ...], tuple[Measurement, list[str]]] = {}
    for entry in entries:
        for item in entry.measurements:
            key = (str(item.row.get("sha256") or f"{entry.letter} {item.artifact}"), item.accuracy.source)
            if item.accuracy.tasks:
                found.setdefault(key, (item, []))[1].append(entry.letter)
    if not found:
        return [Text("Not measured: no verify.json of these files was given. Name the bundle too: it brings its own.")]
    rows = []
    for item, letters in found.values():
        for task in item.accuracy.tasks:
            rows.append(
                [
                    Cell(item.artifact, f"timed in {listing(letters)}"),
                    Cell(str(task["id"]), str(task["metric"]).upper()),
                    Cell(fixed(float(task["value"])), interval(task.get("ci95")) or "no interval"),
                    figure(count(task.get("n_subjects"))),
                    Cell(item.accuracy.source),
                ]
            )
    columns = [
        Column("File"),
        Column("Task"),
        Column("Value", numeric=True),
        Column("Subjects", numeric=True),
        Column("Source"),
    ]
    note = "95 % intervals over subjects. Accuracy belongs to a file; it was not measured anew on each machine."
    return [Table("Accuracy of the files that were timed", columns, rows, note)]


def _watts(milliwatts: float | None) -> float | None:
    return None if milliwatts is None else milliwatts / 1e3
