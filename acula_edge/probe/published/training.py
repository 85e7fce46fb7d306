"""Training of many linear heads at once, exactly as each would be trained alone (SPEC sections 2.1 and 2.2).

Heads differ in their first weights, in the order of their batches and, if they are of different folds, in the
recordings that they learn from. The bias is the weight of a last feature that is always 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from acula_edge.probe.published.measures import softmax

Array = NDArray[np.float32]
Rows = NDArray[np.intp]

LEARNING_RATE, DECAY = 1e-4, 0.97
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
CLIP, CLIP_EPSILON = 1.0, 1e-6
INITIAL_STD = 0.01

Slope = Callable[[Array, Array, Rows, Array], Array]
"""Slope of the mean loss: weights of heads [H, K, P], their batches' features [H, B, P], rows [H, B] and shares [H, B]
of the mean -> [H, K, P]."""


class Draws:
    """What chance decides for one head, from a generator of its own."""

    def __init__(self, *seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def start(self, columns: int, dimensions: int) -> Array:
        """First weights [columns, dimensions]; the bias starts at 0."""
        return self._rng.normal(0.0, INITIAL_STD, (columns, dimensions)).astype(np.float32)

    def order(self, count: int) -> Rows:
        """Order of an epoch's recordings; asked for once per epoch."""
        return self._rng.permutation(count)


def _product(left: Array, right: Array) -> Array:
    """Matrix products of all heads."""
    result: Array = np.matmul(left, right)
    return result


def with_bias(embeddings: Array) -> Array:
    """Shape: [R, D] -> [R, D + 1]."""
    return np.hstack([embeddings, np.ones((len(embeddings), 1), np.float32)])


def binary_slope(labels: NDArray[np.intp]) -> Slope:
    """Cross-entropy of two classes: only the difference of the two logits counts, and the slopes are opposite."""
    target = labels.astype(np.float32)

    def slope(weights: Array, features: Array, rows: Rows, shares: Array) -> Array:
        margin = _product(features, (weights[:, 1] - weights[:, 0])[:, :, None])[:, :, 0]
        surprise = (expit(margin) - target[rows]) * shares
        toward = _product(surprise[:, None], features)
        return np.concatenate([-toward, toward], axis=1)

    return slope


def multiclass_slope(labels: NDArray[np.intp], classes: int) -> Slope:
    """Cross-entropy."""
    target = np.eye(classes, dtype=np.float32)[labels]

    def slope(weights: Array, features: Array, rows: Rows, shares: Array) -> Array:
        surprise = softmax(_product(features, weights.transpose(0, 2, 1))) - target[rows]
        return _product((surprise * shares[:, :, None]).transpose(0, 2, 1), features)

    return slope


def regression_slope(targets: Array, mean: Array, std: Array) -> Slope:
    """Squared error of the head's output times `std` [H] plus `mean` [H]."""

    def slope(weights: Array, features: Array, rows: Rows, shares: Array) -> Array:
        spread, center = std[: len(weights), None], mean[: len(weights), None]
        estimate = _product(features, weights[:, 0, :, None])[:, :, 0] * spread + center
        surprise = 2 * (estimate - targets[rows]) * spread * shares
        return _product(surprise[:, None], features)

    return slope


def train(
    features: Array,
    rows: Sequence[Rows],
    slope: Slope,
    columns: int,
    draws: Sequence[Draws],
    *,
    batch_size: int,
    epochs: int,
    l2: float,
) -> Iterator[Array]:
    """Train H heads with Adam; yields their weights after every epoch.

    Args:
        features: [R, P], the last one always 1 (:func:`with_bias`).
        rows: of each head, the rows that it learns from, longest first.
        slope: of the loss without the penalty.
        columns: outputs K of a head.
        draws: of each head.
        l2: weight of the sum of squares of all parameters.

    Yields:
        [H, K, P] float32, the bias last; the same array every time, overwritten by the next epoch.
    """
    heads, width = len(rows), features.shape[1]
    counts = np.array([len(own) for own in rows])
    weights = np.zeros((heads, columns, width), np.float32)
    for head, draw in enumerate(draws):
        weights[head, :, :-1] = draw.start(columns, width - 1)
    adam = _Adam(weights, l2)
    order, shares = np.zeros((heads, counts.max()), np.intp), _shares(counts, batch_size)
    steps = -(-counts // batch_size)
    buffer = np.empty(heads * batch_size * width, np.float32)
    for epoch in range(epochs):
        for head, draw in enumerate(draws):
            order[head, : counts[head]] = rows[head][draw.order(counts[head])]
        for step in range(steps.max()):
            active = int((counts > step * batch_size).sum())
            part = np.s_[:active, step * batch_size : (step + 1) * batch_size]
            batch = order[part]
            picked = buffer[: batch.size * width].reshape(*batch.shape, width)
            np.take(features, batch, axis=0, out=picked, mode="clip")  # the default mode copies `out`
            adam.step(
                slope(weights[:active], picked, batch, shares[part]),
                LEARNING_RATE * DECAY**epoch,
                epoch * steps[:active] + step + 1,
            )
        yield weights


def _shares(counts: Rows, batch_size: int) -> Array:
    """Share of each place [H, longest] in the mean over its batch; 0 beyond a head's recordings."""
    place = np.arange(counts.max())
    in_batch = np.clip(counts[:, None] - place // batch_size * batch_size, 1, batch_size)
    shares: Array = ((place < counts[:, None]) / in_batch).astype(np.float32)
    return shares


class _Adam:
    """Adam on the penalized loss, the norm of every head's slope clipped; changes `weights` in place."""

    def __init__(self, weights: Array, l2: float) -> None:
        self._weights = weights.reshape(len(weights), -1)
        self._first, self._second = np.zeros_like(self._weights), np.zeros_like(self._weights)
        self._scratch = np.empty_like(self._weights)
        self._l2 = np.float32(2 * l2)

    def step(self, slope: Array, rate: float, count: Rows) -> None:
        """One step of the first heads [a]: slope [a, K, P], the learning rate, and how many steps [a] this makes."""
        active = len(slope)
        weights, first, second, scratch = (
            values[:active] for values in (self._weights, self._first, self._second, self._scratch)
        )
        slope = slope.reshape(active, -1)
        slope += np.multiply(weights, self._l2, out=scratch)
        norm = np.sqrt(np.einsum("hp,hp->h", slope, slope))
        slope *= np.minimum(CLIP / (norm + CLIP_EPSILON), 1.0).astype(np.float32)[:, None]
        first *= np.float32(BETA_1)
        first += np.multiply(slope, np.float32(1 - BETA_1), out=scratch)
        second *= np.float32(BETA_2)
        slope *= slope
        second += np.multiply(slope, np.float32(1 - BETA_2), out=scratch)
        np.sqrt(second, out=scratch)
        scratch *= (1 / np.sqrt(1 - BETA_2**count)).astype(np.float32)[:, None]
        scratch += np.float32(EPSILON)
        np.divide(first, scratch, out=scratch)
        scratch *= (rate / (1 - BETA_1**count)).astype(np.float32)[:, None]
        weights -= scratch
