"""``verify.json``: is the INT8 model as good as the float one, on which tasks, with which intervals?

Two questions are answered (DESIGN section 5). *Engine swap*, the headline: heads fitted once on the float student's
training embeddings read both the float student's and the INT8 model's test embeddings. *Retrained probe*: INT8
embeddings are read by heads fitted on INT8 embeddings.

What each entry means is said where it is defined: :class:`acula_edge.bundle.schema.Verify`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.bundle.json_files import plain
from acula_edge.bundle.schema import Verify
from acula_edge.data.manifest import Recording
from acula_edge.errors import InputError
from acula_edge.probe.analysis import PAIRS, TaskResult, analyze
from acula_edge.probe.eligibility import why_not_evaluated
from acula_edge.probe.gate import check_gate
from acula_edge.probe.heads import Probes
from acula_edge.probe.published_protocol import published_figures
from acula_edge.probe.scores import INT8, MODELS, STUDENT, TaskScores, score_task
from acula_edge.probe.statistics.across_tasks import holm, mean_difference
from acula_edge.probe.statistics.bootstrap import LEVEL
from acula_edge.probe.statistics.noninferiority import MIN_SUBJECTS, adjusted
from acula_edge.probe.tasks import Task
from acula_edge.progress import track
from acula_edge.quantize.parity import compare_rows
from acula_edge.recipe import VerifyConfig


def verify_embeddings(
    embeddings: Mapping[str, NDArray[Any]],
    probes: Mapping[str, Probes],
    recordings: Sequence[Recording],
    tasks: Sequence[Task],
    config: VerifyConfig,
    parity: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Evaluate up to three models on tasks; nothing is read or written.

    Args:
        embeddings: model (``float_teacher``, ``float_student``, ``int8``) -> [R, D], one row per recording; a model
            that does not exist is left out and its entries are null.
        probes: model -> probes fitted on that model's training embeddings; ``int8``'s serve the retrained probe.
        recordings: R recordings with splits.
        tasks: tasks to answer; those that cannot be are listed with the reason.
        config: margins, level, resamples.
        parity: further comparisons of embeddings or graphs; an ``int8_vs_student`` in it replaces the one
            computed here from the test recordings' embeddings.

    Returns:
        The content of ``verify.json``.
    """
    scores, missing = score_tasks(embeddings, probes, recordings, tasks)
    return verify_scores(scores, missing, embeddings, recordings, config, parity)


def verify_scores(
    scores: Sequence[TaskScores],
    missing: list[dict[str, str]],
    embeddings: Mapping[str, NDArray[Any]],
    recordings: Sequence[Recording],
    config: VerifyConfig,
    parity: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The same for tasks that :func:`score_tasks` has scored."""
    results = [analyze(item, config) for item in track(scores, "comparing on tasks")]
    wanted = config.published_probe
    for item, result in zip(track(scores, "training published probes") if wanted else scores, results, strict=True):
        result.facts["published_probe"] = published_figures(item.task, embeddings, recordings) if wanted else None
    report: dict[str, Any] = {
        "schema": Verify.SCHEMA,
        "method": {
            "unit": "subject",
            "bootstrap": config.bootstrap,
            "interval_level": LEVEL,
            "alpha_one_sided": config.alpha,
            "margin_auroc_student": config.margin_auroc_student,
            "margin_auroc_teacher": config.margin_auroc_teacher,
            "margin_mae_relative": config.margin_mae_relative,
            "min_subjects_for_noninferiority": MIN_SUBJECTS,
            "min_subgroup_subjects": config.min_subgroup_subjects,
            "auroc_test": "DeLong, clustered by subject (Obuchowski), t with Satterthwaite degrees of freedom; "
            "variance of a loss of the margin by exponential tilting, with one unseen subject per class",
            "auroc_interval": "BCa bootstrap over subjects within class",
            "mae_test": "paired one-sided t tests on subject means; TOST for equivalence",
            "multiplicity": "Holm over tasks",
            "seed": config.seed,
        },
        "tasks": [result.facts for result in results],
        "summary": _summarize(results, missing, config),
        "parity": {**_parity(embeddings, recordings), **(parity or {})},
    }
    report["gate"] = check_gate(report, config.gate)
    clean: dict[str, Any] = _json_safe(report)
    return clean


def score_tasks(
    embeddings: Mapping[str, NDArray[Any]],
    probes: Mapping[str, Probes],
    recordings: Sequence[Recording],
    tasks: Sequence[Task],
) -> tuple[list[TaskScores], list[dict[str, str]]]:
    """Test scores of every task that can be answered (for :func:`scores.write_scores`), and why the others cannot."""
    unknown = sorted((set(embeddings) | set(probes)) - set(MODELS))
    if unknown:
        raise InputError("unknown model", given=", ".join(unknown), allowed=MODELS)
    for model, values in embeddings.items():
        if len(values) != len(recordings):
            raise InputError(
                f"{model}: one embedding per recording is needed", given=f"{len(values)} for {len(recordings)}"
            )
    scores, missing = [], []
    for task in tasks:
        reason = why_not_evaluated(task, recordings)
        item = score_task(task, embeddings, probes, recordings) if reason is None else None
        if item is not None and item.scores:
            scores.append(item)
        else:
            missing.append({"id": task.id, "reason": reason or "no head was fitted for it"})
    return scores, missing


def _summarize(results: Sequence[TaskResult], missing: list[dict[str, str]], config: VerifyConfig) -> dict[str, Any]:
    mean_delta, relative = {}, {}
    for pair in PAIRS:
        known = [r for r in results if pair in r.differences]
        testable = [r for r in known if r.comparisons[pair].bound is not None]
        differences = {r.facts["id"]: r.differences[pair] for r in testable}
        delta, interval = mean_difference(differences) if differences else (None, None)
        left_out = [r.facts["id"] for r in known if r not in testable]
        mean_delta[pair] = {"delta": delta, "ci95": interval, "tasks": len(differences), "left_out": left_out}
        changes = [
            r.comparisons[pair].delta / r.facts[PAIRS[pair][1]]["value"]
            for r in results
            if r.facts["kind"] == "regression" and pair in r.comparisons and r.facts[PAIRS[pair][1]]["value"] > 0
        ]
        relative[pair] = float(np.mean(changes)) if changes else None
    ranked = [result for result in results if result.facts["metric"] == "auroc"]
    flips = [(result.flips, result.facts["n_test"]) for result in results if result.flips is not None]
    flipped, decided = sum(count for count, _ in flips), sum(count for _, count in flips)
    return {
        "tasks_evaluated": [result.facts["id"] for result in results],
        "tasks_missing": missing,
        "means": _means(ranked),
        "means_by_set": {
            name: {**_means(members), "tasks": len(members)}
            for name in ("real", "phantom")
            for members in [[result for result in ranked if result.facts["set"] == name]]
        },
        "mean_delta": mean_delta,
        "mean_relative_mae_change": relative,
        "verdicts_holm": {pair: _holm_verdicts(results, pair, config.alpha) for pair in PAIRS},
        "flips": flipped if flips else None,
        "flip_rate": flipped / decided if decided else None,
    }


def _means(results: Sequence[TaskResult]) -> dict[str, float | None]:
    means: dict[str, float | None] = {}
    for model in MODELS:
        values = [result.facts[model]["value"] for result in results if result.facts[model] is not None]
        means[model] = float(np.mean(values)) if values and len(values) == len(results) else None
    return means


def _holm_verdicts(results: Sequence[TaskResult], pair: str, alpha: float) -> dict[str, dict[str, Any]]:
    """Verdicts adjusted for the number of tasks; a comparison without a test keeps its verdict and does not count."""
    compared = {r.facts["id"]: r.comparisons[pair] for r in results if pair in r.comparisons}
    tested = [name for name, comparison in compared.items() if comparison.p_noninferiority is not None]
    good = dict(zip(tested, holm([compared[name].p_noninferiority or 0.0 for name in tested]), strict=True))
    bad = dict(zip(tested, holm([compared[name].p_inferiority or 0.0 for name in tested]), strict=True))
    return {
        name: {
            "p_adjusted": good.get(name),
            "verdict": adjusted(comparison, good.get(name, 1.0), bad.get(name, 1.0), alpha),
        }
        for name, comparison in compared.items()
    }


def _parity(embeddings: Mapping[str, NDArray[Any]], recordings: Sequence[Recording]) -> dict[str, Any]:
    test = [position for position, recording in enumerate(recordings) if recording.split == "test"]
    if STUDENT not in embeddings or INT8 not in embeddings or not test:
        return {}
    return {"int8_vs_student": plain(compare_rows(embeddings[STUDENT][test], embeddings[INT8][test]))}


def _json_safe(value: Any) -> Any:
    """Plain Python values; a number that is not finite becomes null."""
    if isinstance(value, Mapping):
        return {str(key): _json_safe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_safe(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
