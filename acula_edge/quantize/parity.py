"""How close two forms of one model are: cosine, signal to quantization noise, largest difference."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.bundle.schema import Parity
from acula_edge.errors import InputError


def compare_rows(reference: NDArray[Any], candidate: NDArray[Any]) -> Parity:
    """Compare embeddings of the same windows.

    Returns:
        ``n``; ``cosine_mean``, ``cosine_min``, ``cosine_p1`` (1st percentile); ``cosine_centered_mean`` (after the
        reference's mean is taken away: an embedding that hardly varies has a high cosine with anything; None for
        fewer than two rows); ``sqnr_db`` (None when the two are equal); ``max_abs_error``.

    Shape: [N, D], [N, D].
    """
    if reference.shape != candidate.shape or reference.ndim != 2 or reference.size == 0:
        raise InputError(
            "embeddings of the same windows and width are needed", given=f"{reference.shape}, {candidate.shape}"
        )
    first, second = reference.astype(np.float64), candidate.astype(np.float64)
    cosine = _cosines(first, second)
    center = first.mean(axis=0)
    noise, signal = float(np.square(first - second).sum()), float(np.square(first).sum())
    return Parity(
        n=len(first),
        cosine_mean=float(cosine.mean()),
        cosine_min=float(cosine.min()),
        cosine_p1=float(np.quantile(cosine, 0.01)),
        cosine_centered_mean=float(_cosines(first - center, second - center).mean()) if len(first) > 1 else None,
        sqnr_db=10 * float(np.log10(signal / noise)) if noise > 0 and signal > 0 else None,
        max_abs_error=float(np.abs(first - second).max()),
    )


def _cosines(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosine per row; 1 for equal rows, also for two rows of zeros."""
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    products = (first * second).sum(axis=1) / np.maximum(lengths, np.finfo(np.float64).tiny)
    return np.where(np.all(first == second, axis=1), 1.0, products)
