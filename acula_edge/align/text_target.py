"""What the audio is aligned to: a fixed text target in which clinical facts carry the variance.

Phrasings of one recording's facts are averaged (what is left of phrasing shrinks with their number), then centered
within data set, so that telling heart from lung earns nothing, reduced to principal components and whitened with
shrinkage. Components and scale are those of every data set by itself: a corpus of 60,000 recordings takes none of a
small one's. Fitted on training recordings only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TextTarget:
    """Fitted reduction of report vectors.

    Attributes:
        means: training mean per data set, each [W].
        directions: [W, K].
        scales: per data set, the number that gives its training targets unit standard deviation.
        spectrum: singular values kept, relative to the largest.
    """

    means: dict[str, np.ndarray]
    directions: np.ndarray
    scales: dict[str, float]
    spectrum: np.ndarray

    def apply(self, vectors: np.ndarray, datasets: list[str]) -> np.ndarray:
        """Targets [N, K] of report vectors [N, W]."""
        centered = vectors - np.stack([self.means[dataset] for dataset in datasets])
        scales = np.array([self.scales[dataset] for dataset in datasets])
        return ((centered @ self.directions) * scales[:, None]).astype(np.float32)


def fit_text_target(vectors: np.ndarray, datasets: list[str], components: int, shrinkage: float) -> TextTarget:
    """Fit on training rows.

    Args:
        vectors: [N, W] report vectors, averaged over phrasings.
        datasets: data set of each row.
        components: of every data set at most; fewer where its reports have fewer directions. K is the dimension of the
            space that all of them span.
        shrinkage: added to each singular value, as a share of the largest, before dividing by it. 0 whitens fully
            and gives rare phrasing as much weight as the main finding; large values leave the spectrum as it is.
    """
    vectors = vectors.astype(np.float64)
    names = np.array(datasets)
    means = {name: vectors[names == name].mean(0) for name in sorted(set(datasets))}
    centered = vectors - np.stack([means[name] for name in datasets])
    parts = [_leading(centered[names == name], components) for name in means]
    _, singular, directions = np.linalg.svd(np.concatenate(parts), full_matrices=False)
    kept = max(1, int((singular > singular[0] * 1e-6).sum())) if singular[0] > 0 else 1
    weights = 1 / (singular[:kept] + shrinkage * singular[0] + 1e-12)
    # The sign of a singular vector is arbitrary and differs between machines; fix it.
    signs = np.sign(directions[np.arange(kept), np.abs(directions[:kept]).argmax(1)])
    reduced = (directions[:kept] * signs[:, None]).T * weights
    deviations = {name: float((centered[names == name] @ reduced).std()) for name in means}
    scales = {name: 1 / deviation if deviation > 0 else 1.0 for name, deviation in deviations.items()}
    spectrum = singular[:kept] / max(float(singular[0]), 1e-12)
    return TextTarget(means, reduced, scales, spectrum)


def _leading(centered: np.ndarray, components: int) -> np.ndarray:
    """The first principal directions of one data set, each as long as its share of that data set's variance says.

    Shape: [N, W] -> [at most `components`, W].
    """
    _, singular, directions = np.linalg.svd(centered, full_matrices=False)
    total = float(np.sqrt((singular**2).sum()))
    kept = min(components, int((singular > 1e-6 * singular[0]).sum()))
    return directions[:kept] * singular[:kept, None] / max(total, 1e-12)


def fact_groups(targets: np.ndarray, datasets: list[str]) -> np.ndarray:
    """Number of the group of recordings whose reports say the same; [N] integers."""
    keys: dict[tuple[str, bytes], int] = {}
    rounded = np.round(targets, 2) + 0.0
    return np.array([keys.setdefault((d, row.tobytes()), len(keys)) for d, row in zip(datasets, rounded, strict=True)])
