"""Several bundles of one run, side by side."""

from __future__ import annotations

from acula_edge.bundle.layout import MODEL_INT8_FILE
from acula_edge.reporting.document import Cell, Column, Section, Table, Tone
from acula_edge.reporting.evidence import Bundle, Evidence
from acula_edge.reporting.numbers import MISSING, fixed, milliseconds, signed, signed_interval, size, times
from acula_edge.reporting.sections.latency import comparison_of, routes
from acula_edge.reporting.sections.vocabulary import INT8, STUDENT


def comparison_section(evidence: Evidence) -> Section | None:
    """One row per bundle; None where there is nothing to compare."""
    if len(evidence.bundles) < 2:
        return None
    columns = [
        Column("Bundle"),
        Column("Gate"),
        Column("Float student", numeric=True),
        Column("INT8", numeric=True),
        Column("INT8 − student", numeric=True),
        Column("INT8 end to end", numeric=True),
        Column("Speed-up over float", numeric=True),
        Column("INT8 file", numeric=True),
    ]
    note = (
        "AUROC is the mean over each bundle's tasks. Latencies come from separate measurements: only ratios were run "
        "in turn."
    )
    rows = [_row(bundle) for bundle in evidence.bundles]
    return Section("bundles", "Bundles side by side", [Table("Bundles of this run", columns, rows, note)])


def _row(bundle: Bundle) -> list[Cell]:
    delta = bundle.mean_delta
    whole = next((route.whole for route in routes(bundle) if route.model == INT8), None)
    pair = comparison_of(bundle, STUDENT)
    return [
        Cell(bundle.name, bundle.facts.profile or ""),
        gate_cell(bundle),
        Cell(fixed(bundle.mean_auroc(STUDENT))),
        Cell(fixed(bundle.mean_auroc(INT8))),
        Cell(signed(delta.delta), signed_interval(delta.ci95)) if delta else Cell(MISSING),
        Cell(milliseconds(whole.p50_ms if whole else None)),
        Cell(times(pair.speedup if pair else None)),
        Cell(size(bundle.facts.sizes_bytes.get(MODEL_INT8_FILE))),
    ]


def gate_cell(bundle: Bundle) -> Cell:
    """Whether a bundle passed."""
    gate = None if bundle.verify is None else bundle.verify.gate
    if not bundle.has_int8 or gate is None:
        return Cell("not judged" if bundle.has_int8 else f"float only {MISSING}", tone="quiet")
    tone: Tone = "good" if gate.passed else "bad"
    return Cell("passed" if gate.passed else "refused", tone=tone)
