"""Figures that tell a good alignment from one that only looks good."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import rankdata

from acula_edge.align.objectives import debiased_cka, linear_cka
from acula_edge.align.pairs import Pairs

PROBED = 512
"""Recordings that a probe looks at, at most: its cost grows with their cube."""

ASKED = 3
"""Persons of either answer that a fact needs, in training and in validation, to be asked for."""


class Monitors:
    """Figures of an encoder on held-out recordings, against what it was when training began."""

    def __init__(self) -> None:
        self._start: np.ndarray | None = None
        self._start_r2: float | None = None

    def begin(self, embeddings: np.ndarray, pairs: Pairs) -> None:
        """Keep the starting encoder's embeddings [N, D]."""
        self._start = embeddings
        self._start_r2 = self._r2(embeddings, pairs)

    def compare(self, embeddings: np.ndarray, pairs: Pairs) -> dict[str, float]:
        """Signs of collapse and of drift.

        Returns:
            ``effective_rank`` of the embeddings; ``val_probe_r2``, how much of the report's vector a linear probe
            reads from them in persons that it was not fitted on; ``probe_drift``, that less its value at the start;
            ``cka_to_start``, linear CKA to the starting encoder's embeddings (1 where nothing has moved); ``norm_p95``
            and ``norm_max``, lengths of embeddings relative to the median one.
        """
        figures = {"effective_rank": effective_rank(embeddings), **norm_quantiles(embeddings)}
        r2 = self._r2(embeddings, pairs)
        if r2 is not None:
            figures["val_probe_r2"] = r2
        if self._start is not None:
            if r2 is not None and self._start_r2 is not None:
                figures["probe_drift"] = r2 - self._start_r2
            figures["cka_to_start"] = float(linear_cka(torch.from_numpy(embeddings), torch.from_numpy(self._start)))
        return figures

    @staticmethod
    def _r2(embeddings: np.ndarray, pairs: Pairs) -> float | None:
        """None for targets that are not known of everyone."""
        return probe_r2(embeddings, pairs.text, pairs.subject) if np.isfinite(pairs.text).all() else None

    @staticmethod
    def agreement(audio: np.ndarray, text: np.ndarray, pairs: Pairs) -> dict[str, float]:
        """How well projected audio [N, K] agrees with projected reports [N, K]."""
        return {
            "val_cka": held_out_cka(audio, text, pairs.dataset),
            **retrieval(audio, text, pairs.dataset, pairs.facts),
        }


def probe_r2(embeddings: np.ndarray, targets: np.ndarray, subjects: np.ndarray, ridge: float = 0.1) -> float:
    """Share of the targets' variance that a ridge probe predicts in persons left out, one person at a time.

    Below 0 it does worse than the targets' mean. Left-out predictions come in closed form from one inverse.

    Args:
        embeddings: [N, D].
        targets: [N, K].
        subjects: [N] integers.
        ridge: relative to the mean of the Gram matrix's diagonal.
    """
    rows = np.random.default_rng(0).permutation(len(embeddings))[:PROBED]
    x = embeddings[rows].astype(np.float64)
    y = targets[rows].astype(np.float64)
    x = (x - x.mean(0)) / (x.std(0) + 1e-8)
    y = y - y.mean(0)
    gram = x @ x.T
    diagonal = max(float(np.trace(gram)) / len(x), 1e-12)
    # An intercept that is all but free: centered by everyone, the others' targets would tell the left-out person's.
    inverse = np.linalg.inv(gram + 1e3 * diagonal + ridge * diagonal * np.eye(len(x)))
    weights = inverse @ y
    residual = np.zeros_like(y)
    for subject in np.unique(subjects[rows]):
        own = np.flatnonzero(subjects[rows] == subject)
        residual[own] = np.linalg.solve(inverse[np.ix_(own, own)], weights[own])
    total = float((y**2).sum())
    return 1 - float((residual**2).sum()) / total if total > 0 else 0.0


def fact_auroc(
    train: np.ndarray, train_findings: np.ndarray, embeddings: np.ndarray, pairs: Pairs, ridge: float = 0.1
) -> dict[str, float]:
    """How well a ridge probe of training recordings reads the facts of validation persons.

    Args:
        train: [M, D] embeddings of training recordings.
        train_findings: [M, C], see :class:`Pairs`.
        embeddings: [N, D] of the validation recordings `pairs`.
        ridge: relative to the mean of the Gram matrix's diagonal.

    Returns:
        ``val_fact_auroc``: the mean over facts of which either answer is given by at least ``ASKED`` persons; nothing
        where there is no such fact.
    """
    mean, deviation = train.mean(0), train.std(0) + 1e-8
    x, z = ((rows.astype(np.float64) - mean) / deviation for rows in (train, embeddings))
    areas = []
    for target, asked in zip(train_findings.T, pairs.findings.T, strict=True):
        known, heard = np.isfinite(target), np.isfinite(asked)
        persons = [len(np.unique(pairs.subject[heard & (asked == answer)])) for answer in (0, 1)]
        counts = [int((target == answer).sum()) for answer in (0, 1)]
        if min(*persons, *counts) < ASKED:
            continue
        gram = x[known] @ x[known].T
        penalty = ridge * max(float(np.trace(gram)) / len(gram), 1e-12)
        weights = np.linalg.solve(gram + penalty * np.eye(len(gram)), target[known] - target[known].mean())
        ranks = rankdata(z[heard] @ (x[known].T @ weights))
        positive = asked[heard] == 1
        count = int(positive.sum())
        area = ranks[positive].sum() - count * (count + 1) / 2
        areas.append(float(area) / (count * (len(ranks) - count)))
    return {"val_fact_auroc": float(np.mean(areas))} if areas else {}


def norm_quantiles(embeddings: np.ndarray) -> dict[str, float]:
    """``norm_p95`` and ``norm_max``: lengths of embeddings [N, D], relative to the median one."""
    norms = np.linalg.norm(embeddings, axis=1)
    median = max(float(np.median(norms)), 1e-12)
    return {"norm_p95": float(np.percentile(norms, 95)) / median, "norm_max": float(norms.max()) / median}


def effective_rank(embeddings: np.ndarray) -> float:
    """Exponential of the entropy of the normalized singular values (Roy and Vetterli 2007); 1 when all collapsed."""
    singular = np.linalg.svd(embeddings - embeddings.mean(0), compute_uv=False)
    share = singular / max(float(singular.sum()), 1e-12)
    share = share[share > 0]
    return float(np.exp(-(share * np.log(share)).sum()))


def held_out_cka(audio: np.ndarray, text: np.ndarray, datasets: np.ndarray) -> float:
    """Debiased CKA on held-out pairs, the mean over data sets with at least 8 of them; 0 where there are none."""
    values = []
    for dataset in np.unique(datasets):
        rows = datasets == dataset
        if rows.sum() >= 8 and np.ptp(text[rows], axis=0).max() > 0:
            values.append(float(debiased_cka(torch.from_numpy(audio[rows]), torch.from_numpy(text[rows]))))
    return float(np.mean(values)) if values else 0.0


def retrieval(audio: np.ndarray, text: np.ndarray, datasets: np.ndarray, facts: np.ndarray) -> dict[str, float]:
    """Audio-to-report retrieval within data set on held-out pairs, over distinct reports.

    Returns:
        ``val_recall_at_1``, ``val_recall_at_10`` and the mean reciprocal rank ``val_mrr``.
    """
    ranks = []
    for dataset in np.unique(datasets):
        rows = np.flatnonzero(datasets == dataset)
        distinct, first = np.unique(facts[rows], return_index=True)
        candidates = _unit(text[rows][first])
        similarity = _unit(audio[rows]) @ candidates.T
        own = np.searchsorted(distinct, facts[rows])
        score = similarity[np.arange(len(rows)), own]
        ranks.extend((similarity > score[:, None]).sum(1) + 1)
    rank = np.array(ranks, dtype=np.float64)
    if not len(rank):
        return {}
    return {
        "val_recall_at_1": float((rank <= 1).mean()),
        "val_recall_at_10": float((rank <= 10).mean()),
        "val_mrr": float((1 / rank).mean()),
    }


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
