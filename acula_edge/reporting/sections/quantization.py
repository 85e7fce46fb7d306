"""How the INT8 graph was made, and what the audit says of it."""

from __future__ import annotations

from collections import Counter

from acula_edge.bundle.schema import Audit, FineTuning, Judgement, Quantize
from acula_edge.reporting.document import Block, Cell, Column, Facts, Heading, Notice, Table, Text, Tone
from acula_edge.reporting.evidence import Bundle
from acula_edge.reporting.numbers import MISSING, count, fixed, listing, percent
from acula_edge.reporting.sections.tuning import (
    bias_words,
    precision_words,
    sensitivity_blocks,
    smoothing_words,
    speed_blocks,
)

_SEVERITY_TONES: dict[str, Tone] = {"error": "bad", "warning": "caution", "info": "quiet"}


def quantization_blocks(bundle: Bundle) -> list[Block]:
    """Settings, calibration, nodes kept in float, findings of the audit."""
    blocks: list[Block] = []
    if bundle.quantize is not None:
        blocks.extend(_settings(bundle.quantize))
        blocks.extend(speed_blocks(bundle.quantize.speed or None))
        blocks.extend(sensitivity_blocks(bundle.quantize.sensitivity or None, bundle.name))
        blocks.extend(_fine_tuning(bundle.quantize.aware or None))
    elif bundle.has_int8:
        blocks.append(Text("Not recorded: this bundle has no quantize.json."))
    else:
        blocks.append(Text("No INT8 model was made."))
    blocks.append(Heading("Audit"))
    if bundle.audit is None:
        blocks.append(Text("Not audited: this bundle has no audit.json."))
    else:
        blocks.extend(_audit(bundle.audit))
    return blocks


def calibration_words(quantize: Quantize | None) -> str:
    """``100 windows of 94 training persons (phantom)``; empty where nothing was recorded."""
    if quantize is None or not quantize.calibration.n_windows:
        return ""
    calibration = quantize.calibration
    text = count(calibration.n_windows, "window")
    if calibration.n_subjects:
        text += f" of {count(calibration.n_subjects, 'training person')}"
    datasets = calibration.datasets or ()
    return text + (f" ({listing(list(datasets))})" if datasets else "")


def _settings(quantize: Quantize) -> list[Block]:
    degraded = quantize.calibration.degraded or {}
    items = [
        ("Profile", quantize.profile),
        ("Activations", quantize.activation_type),
        ("Weights", quantize.weight_type),
        ("Ranges", quantize.method),
        ("Calibration", calibration_words(quantize)),
        ("Degraded for calibration", listing([f"{name} {count(number)}" for name, number in degraded.items()])),
        ("Equalization of channels", _equalization(quantize)),
        ("Smoothing of outliers", smoothing_words(quantize)),
        ("Correction of biases", bias_words(quantize.bias_correction)),
        ("Mixed precision", precision_words(quantize.mixed_precision or None)),
        ("Multiplications in INT8", percent(quantize.int8_mac_share)),
        ("Nodes quantized", count(quantize.nodes.quantized)),
    ]
    blocks: list[Block] = [Facts([(term, text) for term, text in items if text and text != MISSING])]
    kept = quantize.nodes.float
    if kept:
        columns = [Column("Node"), Column("Why")]
        rows = [[Cell(str(node.node), tone="code"), Cell(str(node.reason or ""))] for node in kept]
        blocks.append(Table("Kept in float", columns, rows))
    return blocks


def _fine_tuning(aware: FineTuning | None) -> list[Block]:
    """Whether post-training INT8 was good enough, and what fine-tuning made of it."""
    if aware is None:
        return []
    before = aware.post_training
    missed = "; ".join(before.reasons)
    text = f"Post-training INT8 {f'missed its limits: {missed}' if missed else 'met its limits of accuracy'}"
    text += f" ({_asked(before)}). "
    outcome = aware.outcome
    if outcome == "not needed":
        return [Heading("Fine-tuning"), Text(f"{text}Nothing was fine-tuned.")]
    if outcome == "not possible":
        return [Heading("Fine-tuning"), Notice(f"{text}{aware.reason or ''}.")]
    if not aware.training:
        return []
    training = aware.training
    decibels = training.sqnr_db
    text += (
        f"After {count(training.epochs, 'epoch')} of quantization-aware fine-tuning the SQNR against the float "
        f"student went from {fixed(decibels.before, 1)} to {fixed(decibels.after, 1, 'dB')}"
    )
    if outcome != "fine-tuned" or not aware.fine_tuned:
        return [Heading("Fine-tuning"), Notice(f"{text}, so post-training INT8 was kept.")]
    after = aware.fine_tuned
    missed = "; ".join(after.reasons)
    blocks: list[Block] = [Heading("Fine-tuning")]
    if missed:
        blocks.append(Notice(f"{text}. It still misses its limits: {missed} ({_asked(after)})."))
    else:
        blocks.append(Text(f"{text}; INT8 now meets its limits ({_asked(after)})."))
    blocks.append(
        Text(
            "The INT8 files hold the fine-tuned weights. The float model, with which INT8 is compared everywhere, and "
            "the heads are those from before. Correction of biases and sensitivity were measured before it; "
            "values change by it, not which layers are integers."
        )
    )
    return blocks


def _asked(judgement: Judgement) -> str:
    whom, subjects = judgement.asked, judgement.n_subjects
    return f"{count(subjects)} {whom}, no test person was asked" if subjects else whom


def _equalization(quantize: Quantize) -> str:
    equalization = quantize.equalization
    held_out = quantize.parity.windows == "held out"
    on = "windows of training persons who did not calibrate" if held_out else "calibration windows"
    if not equalization.pairs:
        return ""
    chosen, before = equalization.sqnr_db.get(str(equalization.balance)), equalization.plain_sqnr_db
    text = f"balance {equalization.balance:g}" if equalization.balance is not None else "none, which was best"
    if chosen is None or before is None or equalization.balance is None:
        return text
    return f"{text}: SQNR {fixed(before, 1)} → {fixed(chosen, 1, 'dB')} on {on}"


def _audit(audit: Audit) -> list[Block]:
    findings = audit.findings
    found = Counter(str(finding.severity) for finding in findings)
    said = listing([count(found[severity], severity) for severity in ("error", "warning") if found[severity]])
    of = f"{audit.model} for the profile {audit.profile}"
    if not audit.passed:
        blocks: list[Block] = [Notice(f"The audit of {of} failed: {said or 'no finding was recorded'}.", "bad")]
    else:
        blocks = [Text(f"The audit of {of} passed{f' with {said}' if said else ''}.")]
    if findings:
        columns = [Column("Rule"), Column("Severity"), Column("Where"), Column("What it means")]
        rows = [
            [
                Cell(str(finding.rule)),
                Cell(str(finding.severity), tone=_SEVERITY_TONES.get(str(finding.severity), "quiet")),
                Cell(str(finding.node or "whole graph"), tone="code" if finding.node else ""),
                Cell(str(finding.message or "")),
            ]
            for finding in findings
        ]
        blocks.append(Table("Findings", columns, rows))
    return blocks
