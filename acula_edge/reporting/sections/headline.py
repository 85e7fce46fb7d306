"""The answer in one sentence and five numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from acula_edge.bundle.layout import MODEL_FILE, MODEL_INT8_FILE
from acula_edge.bundle.schema import TaskEvaluation
from acula_edge.reporting.document import Headline, KeyFigure, Tone
from acula_edge.reporting.evidence import Bundle, Evidence
from acula_edge.reporting.numbers import (
    capitalized,
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
from acula_edge.reporting.sections.environment import processor
from acula_edge.reporting.sections.guard import includes_evaluated
from acula_edge.reporting.sections.latency import accuracy, comparison_of, routes
from acula_edge.reporting.sections.vocabulary import INT8, STUDENT, TEACHER, verdict_of

_NOT_MEASURED = "not measured"


def write_headline(evidence: Evidence) -> Headline:
    """Verdict, what it rests on, and key figures of the run's first bundle."""
    headline = _headline(evidence)
    if not includes_evaluated(evidence):
        return headline
    first = "The encoder was aligned on the persons of the test set: no figure here is of unseen persons."
    return replace(headline, tone="bad", explanation=[first, *headline.explanation])


def _headline(evidence: Evidence) -> Headline:
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
    explanation = explain(bundle)
    if len(evidence.bundles) > 1:
        explanation.append(f"This is {bundle.name}; the run's other bundles stand beside it below.")
    return Headline(verdict, tone, explanation, key_figures(evidence, bundle))


def verdict_sentence(bundle: Bundle) -> tuple[str, Tone]:
    """What the gate said of a bundle."""
    if not bundle.has_int8:
        return "This bundle holds the float model only: there is no INT8 model to judge.", "quiet"
    gate = None if bundle.verify is None else bundle.verify.gate
    if gate is None:
        return "The INT8 model has not been verified: nothing is known of its quality.", "caution"
    if gate.passed:
        return _passed(bundle)
    reasons = "; ".join(gate.reasons)
    return f"The quality gate refused the INT8 model: {reasons or 'no reason was recorded'}.", "bad"


def _passed(bundle: Bundle) -> tuple[str, Tone]:
    """A gate may let pass what is not shown to be as good; the headline does not."""
    passed = "The INT8 model passed the quality gate"
    verdicts = [verdict_of(task.int8_vs_student) for task in _compared(bundle)]
    worse = verdicts.count("inferior")
    unclear = verdicts.count("inconclusive")
    total = count(len(verdicts), "task")
    if worse:
        return f"{passed}, but it is worse than its float student on {worse} of {total}.", "caution"
    if unclear:
        return f"{passed}; whether it is as good as float stays open on {unclear} of {total}.", "caution"
    where = "its only task" if len(verdicts) == 1 else f"all {len(verdicts)} tasks"
    return f"{passed}: as good as its float student on {where}.", "good"


def _compared(bundle: Bundle) -> list[TaskEvaluation]:
    return [task for task in bundle.tasks if task.int8_vs_student]


def explain(bundle: Bundle) -> list[str]:
    """What a gate's verdict rests on, and what it does not say."""
    compared = _compared(bundle)
    if not compared:
        return []
    sentences = [_verdicts(compared) + _adjusted(bundle, compared)]
    if all(task.set == "phantom" for task in compared):
        sentences.append("All tasks are phantom tasks, on generated sounds: they say nothing about patients.")
    slower = [pair.candidate for pair in bundle.comparisons if pair.verdict == "slower" and ".int8." in pair.candidate]
    if slower:
        sentences.append(
            f"On the machine that was measured {listing(slower)} is slower than what it was compared with."
        )
    return sentences


def key_figures(evidence: Evidence, bundle: Bundle) -> list[KeyFigure]:
    """Accuracy, persons, latency, speed-up, size."""
    return [_accuracy(bundle), _persons(evidence), _latency(bundle), _speedup(bundle), _size(bundle)]


def _verdicts(compared: list[TaskEvaluation]) -> str:
    found = Counter(verdict_of(task.int8_vs_student) for task in compared)
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


def _adjusted(bundle: Bundle, compared: list[TaskEvaluation]) -> str:
    """What is left of the verdicts when it is taken into account that several tasks were looked at."""
    adjusted = bundle.adjusted
    lost = [
        str(task.id)
        for task in compared
        if verdict_of(task.int8_vs_student) == "non-inferior"
        and task.id in adjusted
        and adjusted[task.id].verdict not in ("non-inferior", "identical")
    ]
    if not lost:
        return ""
    return (
        f" Adjusted for the number of tasks (Holm), {listing(lost)} {'is' if len(lost) == 1 else 'are'} inconclusive."
    )


def _persons(evidence: Evidence) -> KeyFigure:
    shared = evidence.shared_subjects
    seen = includes_evaluated(evidence)
    label = "Test persons" if shared or seen else "Test persons, unseen in training"
    if not evidence.corpora:
        return KeyFigure(label, _NOT_MEASURED, "the run has no list of recordings", missing=True)
    test, train = (
        sum(len(corpus.subjects.get(split, ())) for corpus in evidence.corpora) for split in ("test", "train")
    )
    names = listing([corpus.name + (" (generated)" if corpus.is_phantom else "") for corpus in evidence.corpora])
    others = f"trained on {count(train)} other persons" if not seen else "aligned on as well: figures are too good"
    if shared:
        others = f"{count(shared, 'person')} in more than one split: figures are too good"
    return KeyFigure(label, count(test), f"{names}; {others}")


def _accuracy(bundle: Bundle) -> KeyFigure:
    label = "Mean AUROC, float student → INT8" if bundle.has_int8 else "Mean AUROC of the float student"
    student, int8 = (bundle.mean_auroc(model) for model in (STUDENT, INT8))
    ranked = [task for task in bundle.tasks if task.metric == "auroc"]
    if student is None and int8 is None:
        return KeyFigure(label, _NOT_MEASURED, "", missing=True)
    phantom = sum(task.set == "phantom" for task in ranked)
    kinds = [f"{number} {kind}" for number, kind in ((len(ranked) - phantom, "real"), (phantom, "phantom")) if number]
    where = f"{listing(kinds)} {'task' if len(ranked) == 1 else 'tasks'}"
    delta = bundle.mean_delta
    if not bundle.has_int8:
        return KeyFigure(label, fixed(student), where)
    if delta is None or delta.delta is None:
        return KeyFigure(label, f"{fixed(student)} → {fixed(int8)}", where)
    bounds = signed_interval(delta.ci95)
    change = f"Δ {signed(delta.delta)}" + (f" (95 % interval {bounds})" if bounds else "")
    return KeyFigure(label, f"{fixed(student)} → {fixed(int8)}", f"{change}, {where}")


def _latency(bundle: Bundle) -> KeyFigure:
    label, model = ("INT8 end to end", INT8) if bundle.has_int8 else ("Float student end to end", STUDENT)
    whole = next((route.whole for route in routes(bundle) if route.model == model), None)
    if whole is None or bundle.benchmark is None:
        return KeyFigure(label, _NOT_MEASURED, "", missing=True)
    benchmark = bundle.benchmark
    window = f"{benchmark.window_s:g}-s window" if benchmark.window_s else "window"
    detail = f"median per {window}, {count(whole.threads, 'thread')}, {processor(benchmark.environment)}"
    return KeyFigure(label, milliseconds(whole.p50_ms), detail)


def _speedup(bundle: Bundle) -> KeyFigure:
    label = "Speed-up of INT8 end to end"
    values, details = [], []
    for model, name in ((TEACHER, "float teacher"), (STUDENT, "float student")):
        pair = comparison_of(bundle, model)
        if pair is None:
            continue
        values.append(times(pair.speedup))
        runtime = " in PyTorch" if "pytorch" in str(pair.reference).lower() else ""
        bounds = f" ({interval(pair.speedup_ci95, 2)})" if pair.speedup_ci95 else ""
        details.append(f"over the {name}{runtime}{bounds}; {accuracy(bundle, model)}")
    if not values:
        return KeyFigure(label, _NOT_MEASURED, "", missing=True)
    own = f"INT8: {accuracy(bundle, INT8)}"
    return KeyFigure(label, " / ".join(values), ". ".join([*map(capitalized, details), own]))


def _size(bundle: Bundle) -> KeyFigure:
    sizes = bundle.facts.sizes_bytes
    int8, whole = sizes.get(MODEL_INT8_FILE), sizes.get(MODEL_FILE)
    if int8 is None:
        return KeyFigure(
            "Size of the model file", size(whole) if whole else _NOT_MEASURED, "float, no INT8 model", not whole
        )
    detail = f"{times(whole / int8)} smaller than float ({size(whole)})" if whole and int8 else ""
    return KeyFigure("INT8 model file", size(int8), detail)
