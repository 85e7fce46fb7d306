"""The answer in one sentence and four numbers."""

from __future__ import annotations

from collections import Counter
from typing import Any

from acula_edge.report.document import Headline, KeyFigure, Tone
from acula_edge.report.evidence import Bundle, Evidence, Json
from acula_edge.report.numbers import (
    MISSING,
    count,
    fixed,
    interval,
    listing,
    milliseconds,
    signed,
    signed_interval,
    size,
    times,
)
from acula_edge.report.sections.environment import processor
from acula_edge.report.sections.latency import accuracy, comparison_of, routes
from acula_edge.report.sections.vocabulary import INT8, STUDENT, TEACHER, task_kind, verdict_of

_NOT_MEASURED = "not measured"


def write_headline(evidence: Evidence) -> Headline:
    """Verdict, what it rests on, and key figures of the run's first bundle."""
    if not evidence.bundles:
        aligned = "align" in evidence.stages
        state = (
            "The encoder is aligned, but no model has been exported yet."
            if aligned
            else "Nothing has been trained yet."
        )
        return Headline(state, "quiet", ["There is no INT8 model to judge: acula-edge export --int8 makes one."], ())
    bundle = evidence.bundles[0]
    verdict, tone = verdict_sentence(bundle)
    return Headline(verdict, tone, explain(bundle), key_figures(bundle))


def verdict_sentence(bundle: Bundle) -> tuple[str, Tone]:
    """What the gate said of a bundle."""
    if not bundle.has_int8:
        return "This bundle holds the float model only: there is no INT8 model to judge.", "quiet"
    gate: Json | None = (bundle.verify or {}).get("gate")
    if gate is None:
        return "The INT8 model has not been verified: nothing is known of its quality.", "caution"
    if gate.get("passed"):
        return "The INT8 model passed the quality gate.", "good"
    reasons = "; ".join(map(str, gate.get("reasons") or []))
    return f"The quality gate refused the INT8 model: {reasons or 'no reason was recorded'}.", "bad"


def explain(bundle: Bundle) -> list[str]:
    """What a gate's verdict rests on, and what it does not say."""
    tasks: list[Json] = (bundle.verify or {}).get("tasks") or []
    compared = [task for task in tasks if task.get("int8_vs_student")]
    if not compared:
        return []
    sentences = [_verdicts(compared)]
    if all(task_kind(task) == "phantom" for task in compared):
        sentences.append("All tasks are phantom tasks, on generated sounds: they say nothing about patients.")
    slower = [
        str(pair["candidate"])
        for pair in (bundle.benchmark or {}).get("comparisons") or []
        if pair.get("verdict") == "slower" and ".int8." in str(pair.get("candidate"))
    ]
    if slower:
        sentences.append(
            f"On the machine that was measured {listing(slower)} is slower than what it was compared with."
        )
    return sentences


def key_figures(bundle: Bundle) -> list[KeyFigure]:
    """Accuracy, latency, speed-up, size."""
    return [_accuracy(bundle), _latency(bundle), _speedup(bundle), _size(bundle)]


def _verdicts(compared: list[Json]) -> str:
    found = Counter(verdict_of(task["int8_vs_student"]) for task in compared)
    words = [
        f"{text} on {found[verdict]}"
        for verdict, text in (
            ("identical", "identical"),
            ("non-inferior", "non-inferior"),
            ("inconclusive", "inconclusive"),
            ("inferior", "inferior"),
        )
        if found[verdict]
    ]
    text = f"Against its own float student it is {listing(words)} of {count(len(compared), 'task')}."
    if found["inconclusive"]:
        text += " Inconclusive means that the test persons are too few to tell; it is not a pass."
    return text


def _accuracy(bundle: Bundle) -> KeyFigure:
    label = "Mean AUROC, float student → INT8"
    verify = bundle.verify or {}
    student, int8 = (bundle.models().get(model) for model in (STUDENT, INT8))
    ranked = [task for task in verify.get("tasks") or [] if task.get("metric") == "auroc"]
    if student is None and int8 is None:
        return KeyFigure(label, _NOT_MEASURED, "", missing=True)
    phantom = sum(task_kind(task) == "phantom" for task in ranked)
    kinds = [f"{number} {kind}" for number, kind in ((len(ranked) - phantom, "real"), (phantom, "phantom")) if number]
    where = f"{listing(kinds)} {'task' if len(ranked) == 1 else 'tasks'}"
    delta: dict[str, Any] = ((verify.get("summary") or {}).get("mean_delta") or {}).get("int8_vs_student") or {}
    if delta.get("delta") is None:
        return KeyFigure(label, f"{fixed(student)} → {fixed(int8)}", where)
    bounds = signed_interval(delta.get("ci95"))
    change = f"Δ {signed(delta['delta'])}" + (f" (95 % interval {bounds})" if bounds else "")
    return KeyFigure(label, f"{fixed(student)} → {fixed(int8)}", f"{change}, {where}")


def _latency(bundle: Bundle) -> KeyFigure:
    label = "INT8 end to end"
    whole = next((route.whole for route in routes(bundle) if route.model == INT8), None)
    if whole is None or whole.get("p50_ms") is None:
        return KeyFigure(label, _NOT_MEASURED, "", missing=True)
    benchmark = bundle.benchmark or {}
    window = f"{benchmark['window_s']:g}-s window" if benchmark.get("window_s") else "window"
    detail = (
        f"median from waveform to scores, one {window}, {count(whole.get('threads'), 'thread')}, "
        f"{processor(benchmark.get('environment') or {})}"
    )
    return KeyFigure(label, milliseconds(whole["p50_ms"]), detail)


def _speedup(bundle: Bundle) -> KeyFigure:
    label = "Speed-up of INT8 end to end"
    values, details = [], []
    for model, name in ((TEACHER, "float teacher"), (STUDENT, "float student")):
        pair = comparison_of(bundle, model)
        if pair is None:
            continue
        values.append(times(pair.get("speedup")))
        runtime = " in PyTorch" if "pytorch" in str(pair.get("reference")).lower() else ""
        bounds = f" ({interval(pair['speedup_ci95'], 2)})" if pair.get("speedup_ci95") else ""
        details.append(f"over the {name}{runtime}{bounds}, {accuracy(bundle, model)}")
    if not values:
        return KeyFigure(label, _NOT_MEASURED, "", missing=True)
    own = f"INT8: {accuracy(bundle, INT8)}"
    return KeyFigure(label, " / ".join(values), "; ".join([*details, own]))


def _size(bundle: Bundle) -> KeyFigure:
    sizes = bundle.sizes_bytes
    int8, whole = sizes.get("model.int8.onnx"), sizes.get("model.onnx")
    if int8 is None:
        return KeyFigure("Size of the model file", size(whole), "float, no INT8 model", missing=whole is None)
    detail = f"{times(whole / int8)} smaller than float ({size(whole)})" if whole and int8 else MISSING
    return KeyFigure("INT8 model file", size(int8), detail)
