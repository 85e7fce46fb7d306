"""Training of many linear heads at once, exactly as each would be trained alone (SPEC sections 2.1 and 2.2).

Heads differ in their first weights, in the order of their batches and, if they are of different folds, in the
recordings that they learn from. The bias is the weight of a last feature that is always 1. The summed loss of
all heads has each head's own gradient in its row, and Adam works element by element: only the gradient's norm must be
clipped head by head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

Array = NDArray[np.float32]
Rows = NDArray[np.intp]

LEARNING_RATE, DECAY = 1e-4, 0.97
CLIP, CLIP_EPSILON = 1.0, 1e-6
INITIAL_STD = 0.01

Loss = Callable[[torch.Tensor, torch.Tensor, list[int]], torch.Tensor]
"""Loss of every recording: outputs of heads [H, B, K], rows [H, B] and which heads [H] these are -> [H, B]."""


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


def with_bias(embeddings: Array) -> Array:
    """Shape: [R, D] -> [R, D + 1]."""
    return np.hstack([embeddings, np.ones((len(embeddings), 1), np.float32)])


def class_loss(labels: NDArray[np.intp]) -> Loss:
    """Cross-entropy."""
    target = torch.from_numpy(labels)
    return lambda outputs, rows, _: functional.cross_entropy(outputs.mT, target[rows], reduction="none")


def regression_loss(targets: Array, mean: Array, std: Array) -> Loss:
    """Squared error of the head's output times `std` [H] plus `mean` [H]."""
    target, center, spread = (torch.from_numpy(values) for values in (targets, mean[:, None], std[:, None]))
    return lambda outputs, rows, heads: (outputs[..., 0] * spread[heads] + center[heads] - target[rows]).square()


def train(
    features: Array,
    rows: Sequence[Rows],
    loss: Loss,
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
        rows: of each head, the rows that it learns from.
        loss: without the penalty.
        columns: outputs K of a head.
        draws: of each head.
        l2: weight of the sum of squares of all parameters.

    Yields:
        [H, K, P] float32, the bias last; the same array every time, overwritten by the next epoch.
    """
    weights = np.zeros((len(rows), columns, features.shape[1]), np.float32)
    for head, draw in enumerate(draws):
        weights[head, :, :-1] = draw.start(columns, features.shape[1] - 1)
    # Adam counts steps for all of a tensor, so heads with equally many batches in an epoch share one.
    steps = np.array([-(-len(own) // batch_size) for own in rows])
    groups = [np.flatnonzero(steps == count).tolist() for count in np.unique(steps)]
    trained = [torch.from_numpy(weights[heads]).requires_grad_() for heads in groups]
    optimizers = [torch.optim.Adam([parameter], LEARNING_RATE) for parameter in trained]
    inputs = torch.from_numpy(features)
    for epoch in range(epochs):
        for heads, parameter, optimizer in zip(groups, trained, optimizers, strict=True):
            optimizer.param_groups[0]["lr"] = LEARNING_RATE * DECAY**epoch
            order, shares = _batches([rows[head][draws[head].order(len(rows[head]))] for head in heads], batch_size)
            for batch, share in zip(order, shares, strict=True):
                errors = loss(inputs[batch] @ parameter.mT, batch, heads)
                optimizer.zero_grad()
                ((errors * share).sum() + l2 * parameter.square().sum()).backward()
                _clip(parameter)
                optimizer.step()
            weights[heads] = parameter.detach().numpy()
        yield weights


def _batches(orders: Sequence[Rows], batch_size: int) -> tuple[Sequence[torch.Tensor], Sequence[torch.Tensor]]:
    """Rows [H, B] of each batch, and the share of each in the mean over its batch: 0 beyond a head's recordings."""
    counts = torch.tensor([len(order) for order in orders])[:, None]
    padded = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(order) for order in orders], batch_first=True)
    place = torch.arange(padded.shape[1])
    in_batch = (counts - place // batch_size * batch_size).clamp(1, batch_size)
    return padded.split(batch_size, dim=1), ((place < counts) / in_batch).split(batch_size, dim=1)


def _clip(parameter: torch.Tensor) -> None:
    """Scale each head's gradient [K, P] to a norm of at most CLIP."""
    assert parameter.grad is not None
    norm = torch.linalg.vector_norm(parameter.grad, dim=(1, 2), keepdim=True)
    parameter.grad *= (CLIP / (norm + CLIP_EPSILON)).clamp(max=1.0)
