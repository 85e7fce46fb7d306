"""Figures that tell a good alignment from one that only looks good."""

from __future__ import annotations

import numpy as np
import torch

from acula_edge.align.objectives import debiased_cka


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
