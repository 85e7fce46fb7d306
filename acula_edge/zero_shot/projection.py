"""From any model's embedding to the space of the reports, by one matrix, and prompts into the same space.

The encoder has a head that leads there, learned in alignment. Whatever else embeds sound (a student, the encoder of a
``projected`` alignment on a device, an encoder whose head was not kept) gets a ridge regression, fitted on training
persons: a student's onto where the encoder's head puts the same recordings, so that no report or label is needed.

The reports' space is centered within data set, so recordings are too: a recording is compared with the mean training
recording of its data set. Scores of a data set that was not trained on do not exist.

Prompts are not projected like reports. Whitening magnifies the rare directions of the reports that it was fitted on;
a prompt is worded otherwise, and points there by accident (on training reports themselves, prompts so projected told
present from absent with AUROC 0.76 to 0.95, in the language model's own space with 0.83 to 1). So a prompt is placed
where those training reports lie that the language model finds like it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold

from acula_edge.align.reports import ReportVectors
from acula_edge.align.text_space import TextSpace, make_text_space
from acula_edge.bundle.prompt_vectors import PromptTask
from acula_edge.data.manifest import Recording
from acula_edge.errors import InputError
from acula_edge.zero_shot.prompts import Prompts

Array = NDArray[np.float64]

ALPHAS = (1e5, 1e4, 1e3, 1e2, 1e1, 1e0, 1e-1, 1e-2, 1e-4)
"""From strong to weak. The strongest is taken that keeps KEPT of the variance which the best one explains in persons
left out: a weaker one weighs directions in which INT8 embeddings are mostly rounding noise."""

KEPT = 0.98
FOLDS = 5
STD_FLOOR = 0.05
"""Least standard deviation of a dimension relative to the root mean square over dimensions, as for probes."""

HEAD = "alignment head"
ON_REPORTS = "ridge on the embeddings of training reports"
ON_TEACHER = "ridge on the float teacher's projections of training recordings"


@dataclass(frozen=True)
class Anchors:
    """Where the float teacher puts every recording in the reports' space.

    Attributes:
        space: how reports get there.
        projected: [R, K] of all recordings of the run; not centered.
        how: HEAD or ON_REPORTS.
    """

    space: TextSpace
    projected: Array
    how: str


def fit_linear_map(embeddings: NDArray[Any], targets: NDArray[Any], subjects: Sequence[str]) -> Array:
    """Ridge regression with standardization folded in; its strength is chosen on persons left out.

    Args:
        embeddings: [N, D] of training recordings.
        targets: [N, K].
        subjects: [N] their persons.

    Returns:
        [D, K]; the intercept is left out, because what is mapped is centered afterwards.

    Raises:
        InputError: there are fewer than two persons.
    """
    features, wanted = np.asarray(embeddings, np.float64), np.asarray(targets, np.float64)
    count = len(set(subjects))
    if count < 2:
        raise InputError("a map to the reports needs training recordings of two persons at least", given=count)
    deviation = features.std(axis=0)
    deviation = np.maximum(deviation, STD_FLOOR * np.sqrt(np.mean(deviation**2)))
    deviation[deviation == 0] = 1.0
    features = (features - features.mean(axis=0)) / deviation
    folds = list(GroupKFold(min(FOLDS, count)).split(features, wanted, subjects))
    total = float(((wanted - wanted.mean(axis=0)) ** 2).sum())
    gains = []
    for strength in ALPHAS:
        squares = 0.0
        for fit, held_out in folds:
            model = Ridge(alpha=strength).fit(features[fit], wanted[fit])
            squares += float(((model.predict(features[held_out]) - wanted[held_out]) ** 2).sum())
        gains.append(total - squares)
    least = max(gains) - (1 - KEPT) * abs(max(gains))
    strongest = next(strength for strength, gain in zip(ALPHAS, gains, strict=True) if gain >= least)
    coefficients = Ridge(alpha=strongest).fit(features, wanted).coef_
    weight: Array = np.atleast_2d(coefficients).T / deviation[:, None]
    return weight


def centers(projected: Array, recordings: Sequence[Recording]) -> dict[str, Array]:
    """[K] per data set: the mean training recording. Shape: projected [R, K]."""
    names = np.array([r.dataset if r.split == "train" else "" for r in recordings])
    return {str(name): projected[names == name].mean(axis=0) for name in np.unique(names) if name}


def center(projected: Array, recordings: Sequence[Recording], like: Array | None = None) -> Array:
    """Projections [R, K] less the mean training recording of their data set; NaN where it has none.

    Args:
        like: projections whose means are taken; their own without it.
    """
    means = centers(projected if like is None else like, recordings)
    nowhere = np.full(projected.shape[1], np.nan)
    centered: Array = projected - np.array([means.get(recording.dataset, nowhere) for recording in recordings])
    return centered


def anchor(embeddings: NDArray[Any], space: TextSpace | None, reports: ReportVectors) -> Anchors:
    """Project the float teacher's embeddings [R, D].

    Args:
        space: with the head that alignment learned; None where the encoder was aligned elsewhere.
        reports: of training and validation recordings.
    """
    if space is not None and space.audio:
        return Anchors(space, space.project_audio(embeddings), HEAD)
    space = make_text_space("whitened", [reports.whitening], [], *reports.of_training)
    chosen = reports.training
    # Shuffled reports, the control, stay shuffled.
    targets = space.project_text(reports.vectors, reports.datasets)[reports.source][chosen]
    subjects = [r.subject for r, is_train in zip(reports.recordings, chosen, strict=True) if is_train]
    weight = fit_linear_map(embeddings[reports.rows[chosen]], targets, subjects)
    return Anchors(space, np.asarray(embeddings, np.float64) @ weight, ON_REPORTS)


def map_to(anchors: Anchors, embeddings: NDArray[Any], recordings: Sequence[Recording]) -> Array:
    """The matrix [D, K] from another model's embeddings [R, D] to where the teacher puts the same recordings."""
    train = [position for position, recording in enumerate(recordings) if recording.split == "train"]
    subjects = [recordings[position].subject for position in train]
    centered = center(anchors.projected, recordings)[train]
    return fit_linear_map(embeddings[train], centered, subjects)


def explained(anchors: Anchors, projected: Array, recordings: Sequence[Recording], split: str = "val") -> float | None:
    """Share of the teacher's variance that another model's projections [R, K] reproduce on a split; None without it."""
    rows = [position for position, recording in enumerate(recordings) if recording.split == split]
    wanted = center(anchors.projected, recordings)[rows]
    found = center(projected, recordings)[rows]
    total = float((wanted**2).sum())
    return 1 - float(((wanted - found) ** 2).sum()) / total if total > 0 else None


def locate_prompts(vectors: NDArray[Any], reports: NDArray[Any], targets: NDArray[Any], temperature: float) -> Array:
    """Where a task's prompts lie among the reports of its data set.

    A report counts for the class whose prompts it is most like, and the more, the more it is like them: its weight is
    the softmax over classes of cosine / temperature, times e to the power of the largest of them. Cosines are those of
    the language model, from the mean report.

    Args:
        vectors: [C, W] one per class, by the language model.
        reports: [N, W] training reports of the data set, by the same.
        targets: [N, K] the reports in the shared space.

    Returns:
        [C, K], one weighted mean of targets per class.
    """
    mean = reports.mean(axis=0, dtype=np.float64)
    likeness = _unit(reports - mean) @ _unit(vectors - mean).T / temperature
    odds = np.exp(likeness - likeness.max(axis=1, keepdims=True))
    weights = odds / odds.sum(axis=1, keepdims=True) * np.exp(likeness.max(axis=1, keepdims=True) - likeness.max())
    placed: Array = (weights / weights.sum(axis=0)).T @ targets
    return placed


def point(
    prompts: Prompts,
    vectors: Mapping[str, NDArray[Any]],
    space: TextSpace,
    reports: ReportVectors,
    projected: Array,
    recordings: Sequence[Recording],
    temperature: float,
) -> list[PromptTask]:
    """Directions of the prompts in the reports' space, beside the recordings of one model.

    Args:
        vectors: task id -> [C, W], the mean embedding of each class's sentences by the language model.
        reports: of training and validation recordings.
        projected: [R, K] of all recordings.

    Returns:
        The tasks whose data set was trained on.
    """
    means = centers(projected, recordings)
    read, names = reports.of_training
    targets = space.project_text(read, names)
    pointed = []
    for task in prompts.tasks:
        if task.dataset in means:
            own = np.array(names) == task.dataset
            directions = _unit(locate_prompts(vectors[task.id], read[own], targets[own], temperature))
            pointed.append(PromptTask(task.id, task.name, task.dataset, task.labels, means[task.dataset], directions))
    return pointed


def recenter(pointed: Sequence[PromptTask], projected: Array, recordings: Sequence[Recording]) -> list[PromptTask]:
    """The same directions beside the recordings [R, K] of another model."""
    means = centers(projected, recordings)
    return [replace(task, center=means[task.dataset]) for task in pointed]


def _unit(rows: NDArray[Any]) -> Array:
    unit: Array = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit
