"""AUROC of trials with intervals over persons, and paired differences; aggregates only, no person's score or label."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from alignment_controls import Pool, auroc, bootstrap, percentiles
from trial_scores import read_scores

MARGIN = 0.02
MIN_SUBJECTS = 10
RESAMPLES = 1000

Scores = dict[tuple[str, str, str], dict[str, Any]]


def summarize_scores(scores: Scores) -> dict[str, Any]:
    """task -> split -> model -> ``{auroc, ci95 (null for phantoms), recordings, subjects, ...}``."""
    found: dict[str, Any] = {}
    for (task, split, model), row in scores.items():
        value = None
        if 0 < row["targets"].sum() < len(row["targets"]):
            value = {
                "auroc": auroc(row["targets"], row["scores"]),
                "ci95": _interval(row, row["scores"]) if not task.startswith("phantom") else None,
                "recordings": len(row["targets"]),
                **_persons(row),
            }
        found.setdefault(task, {}).setdefault(split, {})[model] = value
    return found


def compare(
    first: Scores, second: Scores, models: tuple[str, str], tasks: Sequence[str], split: str = "test"
) -> dict[str, Any]:
    """task -> ``{delta, ci95, verdict}``: AUROC of the first less that of the second, on the same persons."""
    found = {}
    for task in tasks:
        one, other = first.get((task, split, models[0])), second.get((task, split, models[1]))
        if one is None or other is None:
            continue
        assert (one["subjects"] == other["subjects"]).all() and (one["targets"] == other["targets"]).all()
        both = np.stack([one["scores"], other["scores"]])
        delta = auroc(one["targets"], both[0]) - auroc(one["targets"], both[1])
        low, high = _interval(one, *both)
        found[task] = {"delta": delta, "ci95": [low, high], **_persons(one), "verdict": _verdict(low, high, one)}
    return found


def tasks_of(scores: Scores, phantom: bool = False) -> list[str]:
    """Tasks by id; phantom ones only where asked for."""
    return [task for task in dict.fromkeys(task for task, _, _ in scores) if phantom or not task.startswith("phantom")]


def scores_of(out: Path, name: str) -> Scores:
    """Scores of a trial that is done, or of the teacher."""
    return read_scores(out / name)


def shown(entry: dict[str, Any] | None, key: str = "auroc") -> str:
    """``0.881 [0.815, 0.933]``, signed for a difference."""
    if entry is None:
        return "-"
    form = "{:+.3f}" if key == "delta" else "{:.3f}"
    return f"{form.format(entry[key])} [{form.format(entry['ci95'][0])}, {form.format(entry['ci95'][1])}]"


def _interval(row: dict[str, Any], *scores: np.ndarray) -> list[float]:
    """Of one model's AUROC, or of the difference of two, over persons."""
    pools = [Pool(row["subjects"], row["targets"], {(0, None): values}, ()) for values in scores]
    return percentiles(bootstrap(pools, RESAMPLES)[0])


def _persons(row: dict[str, Any]) -> dict[str, int]:
    classes = [len(set(row["subjects"][row["targets"] == value])) for value in (0, 1)]
    return {"subjects": len(set(row["subjects"])), "subjects_in_smaller_class": min(classes)}


def _verdict(low: float, high: float, row: dict[str, Any]) -> str:
    """Against a loss of the margin, by the 95 % interval; too few persons decide nothing."""
    if _persons(row)["subjects_in_smaller_class"] < MIN_SUBJECTS:
        return "inconclusive"
    if low > -MARGIN:
        return "non-inferior"
    return "inferior" if high < -MARGIN else "inconclusive"
