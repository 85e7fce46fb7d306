"""The probe that published figures rest on, to the letter (SPEC sections 2.1 and 2.2); all seeds or folds at once.

What differs from the published scripts: the random numbers. And 1e-10, which they add to training logits, is left
out: softmax does not see it, and next to a regression's estimate it vanishes in single precision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import rankdata
from sklearn.model_selection import train_test_split

from acula_edge.data.manifest import Recording
from acula_edge.errors import InputError
from acula_edge.probe.eligibility import why_not_published
from acula_edge.probe.published_training import Draws, class_loss, regression_loss, train, with_bias
from acula_edge.probe.scores import MODELS
from acula_edge.probe.tasks import PublishedProbe, Task

Array = NDArray[np.float32]

L2_CLASSES, L2_REGRESSION = 1e-5, 0.1

FOLD_SEED = 42
"""Of every fold's validation draw."""

MIN_DELTA = 0.001
"""Least improvement of the validation error that keeps training alive (SPEC section 2.2)."""


@dataclass(frozen=True)
class PublishedResult:
    """The published figure of one task.

    Attributes:
        task_id, metric: of the task.
        value: mean test AUROC over seeds, or mean over subjects of their mean absolute error.
        std: population standard deviation over the same.
        seeds: that were run; a regression has one.
        per_seed: test AUROC of each seed; empty for a regression.
        per_subject: mean absolute error of each held-out subject, in order of first appearance; empty for classes.
        mape, mape_std: the same as value and std for the error as a fraction of the target; None for classes, or
            where a target is 0.
        best_epochs: epochs, counted from 1, whose weights were tested, one per seed or held-out subject.
        n: ``train``, ``val`` and ``test`` recordings, or ``test`` recordings and ``subjects``.
    """

    task_id: str
    metric: str
    value: float
    std: float
    seeds: tuple[int, ...]
    per_seed: tuple[float, ...]
    per_subject: tuple[float, ...]
    mape: float | None
    mape_std: float | None
    best_epochs: tuple[int, ...]
    n: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON has it; no subject is named."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def published_probe(
    embeddings: NDArray[Any],
    recordings: Sequence[Recording],
    task: Task,
    seeds: Sequence[int] = range(5),
    *,
    _draws: Callable[..., Draws] = Draws,
) -> PublishedResult:
    """Train and test the published probe of a task.

    Args:
        embeddings: [R, D], one row per recording.
        recordings: R recordings with their splits.
        seeds: of first weights and batches; a regression uses the first of them for all folds.

    Raises:
        InputError: the task is unfit (:func:`eligibility.why_not_published`), or the embeddings are not finite.
    """
    reason = why_not_published(task, recordings)
    if reason is not None or task.published_probe is None:
        raise InputError(f"the published probe of {task.id} cannot be trained: {reason}")
    values = np.asarray(embeddings, np.float32)
    if values.ndim != 2 or len(values) != len(recordings) or not np.isfinite(values).all():
        raise InputError("one finite embedding per recording is needed", given=f"{values.shape} for {len(recordings)}")
    if task.kind == "regression":
        return _regression(with_bias(values), recordings, task, task.published_probe, seeds[0], _draws)
    return _classes(with_bias(values), recordings, task, task.published_probe, seeds, _draws)


def _classes(
    features: Array,
    recordings: Sequence[Recording],
    task: Task,
    probe: PublishedProbe,
    seeds: Sequence[int],
    draws: Callable[..., Draws],
) -> PublishedResult:
    parts = {split: task.values(recordings, split) for split in ("train", "val", "test")}
    x = {split: features[positions] for split, (positions, _) in parts.items()}
    y = {split: np.array(targets, np.intp) for split, (_, targets) in parts.items()}
    epochs = train(
        x["train"],
        [np.arange(len(y["train"]))] * len(seeds),
        class_loss(y["train"]),
        len(task.labels),
        [draws(seed) for seed in seeds],
        batch_size=probe.batch_size,
        epochs=probe.epochs,
        l2=L2_CLASSES,
    )
    every = min(probe.validate_every, probe.epochs)
    looks = np.stack([weights.copy() for epoch, weights in enumerate(epochs, start=1) if epoch % every == 0])
    best = macro_auroc(y["val"], _probabilities(looks, x["val"])).argmax(axis=0)
    chosen = looks[best, np.arange(len(seeds))]
    tested = macro_auroc(y["test"], _probabilities(chosen, x["test"]))
    return PublishedResult(
        task_id=task.id,
        metric=task.metric,
        value=float(tested.mean()),
        std=float(tested.std()),
        seeds=tuple(seeds),
        per_seed=tuple(tested.tolist()),
        per_subject=(),
        mape=None,
        mape_std=None,
        best_epochs=tuple(((best + 1) * every).tolist()),
        n={split: len(labels) for split, labels in y.items()},
    )


def _regression(
    features: Array,
    recordings: Sequence[Recording],
    task: Task,
    probe: PublishedProbe,
    seed: int,
    draws: Callable[..., Draws],
) -> PublishedResult:
    positions, targets = task.values(recordings, "test")
    target = np.array(targets)
    features = features[positions]
    folds = leave_one_out([recordings[position].subject for position in positions], probe)
    means = np.array([target[fold.train].mean() for fold in folds], np.float32)
    stds = np.array([target[fold.train].std() for fold in folds], np.float32)
    epochs = train(
        features,
        [fold.train for fold in folds],
        regression_loss(target.astype(np.float32), means, stds),
        1,
        [draws(seed, index) for index in range(len(folds))],
        batch_size=probe.batch_size,
        epochs=probe.epochs,
        l2=L2_REGRESSION,
    )
    path = np.stack([weights[:, 0].copy() for weights in epochs])
    estimates = np.matmul(path.reshape(-1, path.shape[-1]), features.T).reshape(*path.shape[:2], -1)
    errors = np.abs(estimates * stds[:, None] + means[:, None] - target)
    looked = np.arange(1, probe.epochs + 1) % min(probe.validate_every, probe.epochs) == 0
    best_epochs, maes, mapes = [], [], []
    for index, fold in enumerate(folds):
        best_epochs.append(_best_epoch(errors[:, index, fold.val].mean(axis=1), looked, probe.patience))
        test = errors[best_epochs[-1] - 1, index, fold.test]
        maes.append(float(test.mean()))
        with np.errstate(divide="ignore", invalid="ignore"):
            mapes.append(float((test / np.abs(target[fold.test])).mean()))
    relative = bool(np.isfinite(mapes).all())
    return PublishedResult(
        task_id=task.id,
        metric=task.metric,
        value=float(np.mean(maes)),
        std=float(np.std(maes)),
        seeds=(seed,),
        per_seed=(),
        per_subject=tuple(maes),
        mape=float(np.mean(mapes)) if relative else None,
        mape_std=float(np.std(mapes)) if relative else None,
        best_epochs=tuple(best_epochs),
        n={"test": len(positions), "subjects": len(folds)},
    )


def _probabilities(weights: Array, features: Array) -> Array:
    """Shape: weights [..., K, P], features [R, P] -> [..., R, K]."""
    logits = np.matmul(weights.reshape(-1, weights.shape[-1]), features.T)
    return np.asarray(softmax(np.moveaxis(logits.reshape(*weights.shape[:-1], -1), -2, -1), axis=-1))


def _best_epoch(errors: NDArray[Any], looked: NDArray[np.bool_], patience: int | None) -> int:
    """The looked-at epoch, counted from 1, with the least validation error [E] before training stops.

    `patience` counts every epoch, as in the published script: there only the checkpoint waits for a look.
    """
    stop = stopping_epoch(errors, patience)
    candidates = np.flatnonzero(looked[:stop])
    return int(candidates[errors[candidates].argmin()]) + 1 if len(candidates) else stop


@dataclass(frozen=True)
class Fold:
    """Rows that one head learns from, is chosen by, and is tested on."""

    train: NDArray[np.intp]
    val: NDArray[np.intp]
    test: NDArray[np.intp]


def leave_one_out(subjects: Sequence[str], probe: PublishedProbe) -> list[Fold]:
    """One fold per subject, in order of first appearance; rows keep their order in the validation draw."""
    names = list(dict.fromkeys(subjects))
    owner = np.array([names.index(subject) for subject in subjects])
    folds = []
    for held_out in range(len(names)):
        others = np.flatnonzero(owner != held_out)
        if probe.val_unit == "subject":
            units = np.setdiff1d(np.arange(len(names)), [held_out])
            train, val = (others[np.isin(owner[others], part)] for part in _draw_validation(units, probe.val_fraction))
        else:
            train, val = _draw_validation(others, probe.val_fraction)
        folds.append(Fold(train, val, np.flatnonzero(owner == held_out)))
    return folds


def _draw_validation(units: NDArray[np.intp], fraction: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    train, val = train_test_split(units, test_size=fraction, random_state=FOLD_SEED)
    return train, val


def macro_auroc(labels: NDArray[np.integer[Any]], probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean area of "this class or another"; for two classes the ordinary area. Ties count one half.

    Shape: labels [R] in 0..K-1, probabilities [..., R, K] -> [...]; NaN where a class is absent.
    """
    if probabilities.shape[-1] == 2:
        return _areas(labels == 1, probabilities[..., 1])
    areas = [_areas(labels == label, probabilities[..., label]) for label in range(probabilities.shape[-1])]
    return np.asarray(np.mean(areas, axis=0))


def _areas(positive: NDArray[np.bool_], scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Shape: positive [R], scores [..., R] -> [...]."""
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return np.full(scores.shape[:-1], np.nan)
    ranks = rankdata(scores, axis=-1)[..., positive].sum(axis=-1)
    areas: NDArray[np.float64] = (ranks - positives * (positives + 1) / 2) / (positives * negatives)
    return areas


def stopping_epoch(errors: NDArray[np.floating[Any]], patience: int | None) -> int:
    """How many of the epochs [E] take place: all, or until `patience` in a row did not lower the error by MIN_DELTA."""
    best, waited = np.inf, 0
    for epoch, error in enumerate(errors, start=1):
        if error < best - MIN_DELTA:
            best, waited = float(error), 0
        else:
            waited += 1
        if waited == patience:
            return epoch
    return len(errors)


def published_figures(
    task: Task, embeddings: Mapping[str, NDArray[Any]], recordings: Sequence[Recording]
) -> dict[str, Any] | None:
    """Each model's figure by the published protocol, its probe trained on its own embeddings.

    Returns:
        ``reason`` (why there are no figures, or None) and, for each model, value, std, per_seed, ...
        (:class:`PublishedResult`) or None; None for a task without published protocol.
    """
    if task.published_probe is None:
        return None
    reason = why_not_published(task, recordings)
    figures: dict[str, Any] = dict.fromkeys(MODELS)
    if reason is None:
        figures.update((model, published_probe(rows, recordings, task).to_dict()) for model, rows in embeddings.items())
    return {"reason": reason, **figures}
