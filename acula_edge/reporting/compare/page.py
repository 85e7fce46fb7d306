"""The comparison as a document."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from acula_edge.reporting.compare.cells import NOT_MEASURED
from acula_edge.reporting.compare.entries import Entry
from acula_edge.reporting.compare.files import accuracy_blocks, energy_blocks, footprint_blocks
from acula_edge.reporting.compare.latency import (
    deployed,
    distribution_blocks,
    percentile_blocks,
    speed_up_blocks,
    stage_blocks,
)
from acula_edge.reporting.compare.machines import entry_blocks, state_blocks
from acula_edge.reporting.document import Block, Bullets, Document, Headline, KeyFigure, Section, Tone
from acula_edge.reporting.numbers import count, fixed, listing, milliseconds

_SECTIONS: tuple[tuple[str, str, Callable[[Sequence[Entry]], list[Block]]], ...] = (
    ("benchmarks", "What is compared", entry_blocks),
    ("latency", "Latency", percentile_blocks),
    ("stages", "By stage", stage_blocks),
    ("spread", "Distribution", distribution_blocks),
    ("speed-up", "Speed-up", speed_up_blocks),
    ("energy", "Energy", energy_blocks),
    ("state", "State of the machines", state_blocks),
    ("size", "Size and memory", footprint_blocks),
    ("accuracy", "Accuracy", accuracy_blocks),
)
_RULES = (
    "Batch 1, one fixed input, at least 10 warm-ups. p50 is the median of the loops' medians; p90, p95 and p99 come "
    "from all raw samples together.",
    "The real-time factor is the median latency over the length of the window: 0.001 means a thousandth of real time.",
    "Latencies of different machines stand side by side; ratios are only stated within one machine, from runs in turn.",
    "Accuracy was measured on the machine that verified the files. The self-test (acula-edge selftest) shows whether "
    "another machine computes the same.",
    f"“{NOT_MEASURED}” means just that: nothing is filled in, and nothing is zero by default.",
)
_MOST_FIGURES = 5


def assemble_comparison(entries: Sequence[Entry]) -> Document:
    """The page."""
    sections = [Section(anchor, title, blocks) for anchor, title, write in _SECTIONS if (blocks := write(entries))]
    machines = list(dict.fromkeys(entry.machine for entry in entries))
    what = f"{count(len(entries), 'benchmark')} on {count(len(machines), 'machine')}"
    return Document(
        title=f"Latency and accuracy of {what}",
        subtitle=f"Bundles and files: {listing(list(dict.fromkeys(entry.what for entry in entries)))}",
        badges=_badges(entries),
        headline=_headline(entries),
        sections=[*sections, Section("rules", "How it was measured", [Bullets(_RULES)])],
    )


def _headline(entries: Sequence[Entry]) -> Headline:
    timed = [(entry, item) for entry in entries if (item := deployed(entry)) is not None]
    if not timed:
        return Headline("Nothing here was measured end to end.", "quiet", (), ())
    fastest, item = min(timed, key=lambda pair: float(pair[1].row["p50_ms"]))
    doubtful = [entry.letter for entry in entries if entry.benchmark.get("warnings")]
    explanation = ["Every accuracy here is of the very file that was timed, found by its SHA-256."]
    if doubtful:
        explanation.append(f"Read {listing(doubtful)} with care: the warnings stand below.")
    verdict = (
        f"Fastest: {item.artifact} on {fastest.label}, {milliseconds(item.row['p50_ms'])} median end to end"
        if len(timed) > 1
        else f"{item.artifact} on {fastest.label}: {milliseconds(item.row['p50_ms'])} median end to end"
    )
    window_s = fastest.benchmark.get("window_s")
    verdict += f" per window of {window_s:g} s." if window_s else "."
    figures = [_figure(entry) for entry in entries[:_MOST_FIGURES]]
    return Headline(verdict, "caution" if doubtful else "", explanation, figures)


def _figure(entry: Entry) -> KeyFigure:
    item = deployed(entry)
    if item is None:
        return KeyFigure(entry.label, NOT_MEASURED, "nothing ran end to end", missing=True)
    mean = item.accuracy.mean_auroc
    accuracy = "accuracy not measured" if mean is None else f"mean AUROC {fixed(mean)}"
    return KeyFigure(entry.label, milliseconds(item.row["p50_ms"]), f"{item.artifact}; {accuracy}")


def _badges(entries: Sequence[Entry]) -> list[tuple[str, Tone]]:
    throttled = [entry.letter for entry in entries if (entry.benchmark.get("state") or {}).get("throttled")]
    disturbed = [
        entry.letter for entry in entries if ((entry.benchmark.get("disturbance") or {}).get("busy_cores") or 0) > 0.2
    ]
    badges: list[tuple[str, Tone]] = []
    if throttled:
        badges.append((f"{listing(throttled)} throttled", "bad"))
    if disturbed:
        badges.append((f"{listing(disturbed)} disturbed", "caution"))
    return [*badges, ("not a medical device", "quiet")]
