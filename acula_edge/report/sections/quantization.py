"""How the INT8 graph was made, and what the audit says of it."""

from __future__ import annotations

from collections import Counter

from acula_edge.report.document import Block, Cell, Column, Facts, Heading, Notice, Table, Text, Tone
from acula_edge.report.evidence import Bundle, Json
from acula_edge.report.numbers import MISSING, count, fixed, listing, percent
from acula_edge.report.sections.tuning import (
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
        blocks.extend(speed_blocks(bundle.quantize.get("speed") or {}))
        blocks.extend(sensitivity_blocks(bundle.quantize.get("sensitivity") or {}, bundle.name))
        blocks.extend(_fine_tuning(bundle.quantize.get("aware") or {}))
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


def calibration_words(quantize: Json | None) -> str:
    """``100 windows of 94 training persons (phantom)``; empty where nothing was recorded."""
    calibration: Json = (quantize or {}).get("calibration") or {}
    if not calibration.get("n_windows"):
        return ""
    text = count(calibration["n_windows"], "window")
    if calibration.get("n_subjects"):
        text += f" of {count(calibration['n_subjects'], 'training person')}"
    datasets = calibration.get("datasets") or {}
    return text + (f" ({listing(list(datasets))})" if datasets else "")


def _settings(quantize: Json) -> list[Block]:
    calibration: Json = quantize.get("calibration") or {}
    nodes: Json = quantize.get("nodes") or {}
    degraded: Json = calibration.get("degraded") or {}
    items = [
        ("Profile", str(quantize.get("profile") or "")),
        ("Activations", str(quantize.get("activation_type") or "")),
        ("Weights", str(quantize.get("weight_type") or "")),
        ("Ranges", str(quantize.get("method") or "")),
        ("Calibration", calibration_words(quantize)),
        ("Degraded for calibration", listing([f"{name} {count(number)}" for name, number in degraded.items()])),
        ("Equalization of channels", _equalization(quantize)),
        ("Smoothing of outliers", smoothing_words(quantize)),
        ("Correction of biases", bias_words(quantize.get("bias_correction") or {})),
        ("Mixed precision", precision_words(quantize.get("mixed_precision") or {})),
        ("Multiplications in INT8", percent(quantize.get("int8_mac_share"))),
        ("Nodes quantized", count(nodes.get("quantized"))),
    ]
    blocks: list[Block] = [Facts([(term, text) for term, text in items if text and text != MISSING])]
    kept = nodes.get("float") or []
    if kept:
        columns = [Column("Node"), Column("Why")]
        rows = [[Cell(str(node.get("node")), tone="code"), Cell(str(node.get("reason") or ""))] for node in kept]
        blocks.append(Table("Kept in float", columns, rows))
    return blocks


def _fine_tuning(aware: Json) -> list[Block]:
    """Whether post-training INT8 was good enough, and what fine-tuning made of it."""
    before: Json = aware.get("post_training") or {}
    if not before:
        return []
    missed = "; ".join(before.get("reasons") or ())
    text = f"Post-training INT8 {f'missed its limits: {missed}' if missed else 'met its limits of accuracy'}"
    text += f" ({_asked(before)}). "
    outcome = aware.get("outcome")
    if outcome == "not needed":
        return [Heading("Fine-tuning"), Text(f"{text}Nothing was fine-tuned.")]
    if outcome == "not possible":
        return [Heading("Fine-tuning"), Notice(f"{text}{aware.get('reason') or ''}.")]
    training: Json = aware.get("training") or {}
    decibels: Json = training.get("sqnr_db") or {}
    text += (
        f"After {count(training.get('epochs'), 'epoch')} of quantization-aware fine-tuning the SQNR against the float "
        f"student went from {fixed(decibels.get('before'), 1)} to {fixed(decibels.get('after'), 1, 'dB')}"
    )
    if outcome != "fine-tuned":
        return [Heading("Fine-tuning"), Notice(f"{text}, so post-training INT8 was kept.")]
    after: Json = aware.get("fine_tuned") or {}
    missed = "; ".join(after.get("reasons") or ())
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


def _asked(judgement: Json) -> str:
    whom, subjects = str(judgement.get("asked") or ""), judgement.get("n_subjects")
    return f"{count(subjects)} {whom}, no test person was asked" if subjects else whom


def _equalization(quantize: Json) -> str:
    equalization: Json = quantize.get("equalization") or {}
    held_out = (quantize.get("parity") or {}).get("windows") == "held out"
    on = "windows of training persons who did not calibrate" if held_out else "calibration windows"
    if not equalization.get("pairs"):
        return ""
    tried: Json = equalization.get("sqnr_db") or {}
    chosen, before = tried.get(str(equalization.get("balance"))), equalization.get("plain_sqnr_db")
    text = f"balance {equalization['balance']:g}" if equalization.get("balance") is not None else "none, which was best"
    if chosen is None or before is None or equalization.get("balance") is None:
        return text
    return f"{text}: SQNR {fixed(before, 1)} → {fixed(chosen, 1, 'dB')} on {on}"


def _audit(audit: Json) -> list[Block]:
    findings = audit.get("findings") or []
    found = Counter(str(finding.get("severity")) for finding in findings)
    said = listing([count(found[severity], severity) for severity in ("error", "warning") if found[severity]])
    of = f"{audit.get('model')} for the profile {audit.get('profile')}"
    if not audit.get("passed"):
        blocks: list[Block] = [Notice(f"The audit of {of} failed: {said or 'no finding was recorded'}.", "bad")]
    else:
        blocks = [Text(f"The audit of {of} passed{f' with {said}' if said else ''}.")]
    if findings:
        columns = [Column("Rule"), Column("Severity"), Column("Where"), Column("What it means")]
        rows = [
            [
                Cell(str(finding.get("rule"))),
                Cell(str(finding.get("severity")), tone=_SEVERITY_TONES.get(str(finding.get("severity")), "quiet")),
                Cell(str(finding.get("node") or "whole graph"), tone="code" if finding.get("node") else ""),
                Cell(str(finding.get("message") or "")),
            ]
            for finding in findings
        ]
        blocks.append(Table("Findings", columns, rows))
    return blocks
