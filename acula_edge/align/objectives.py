"""Alignment objectives: how far a batch of audio vectors is from agreeing with a batch of report vectors.

Each takes audio [B, K], text [B, K] and a :class:`Batch` that says which items belong together, and returns a
scalar loss. Published is linear CKA (SPEC section 1.4); on recordings with few distinct facts the contrastive and
regression forms keep what CKA loses (README, "What the alignment needs").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

from acula_edge.registry import Registry

EPSILON = 1e-8


@dataclass(frozen=True)
class Batch:
    """What objectives may know of a batch.

    Attributes:
        dataset: [B] integer per item; contrastive negatives come from the same data set only.
        facts: [B] integer per item; equal numbers are reports that say the same, so they are positives.
        temperature: of contrastive objectives.
    """

    dataset: torch.Tensor
    facts: torch.Tensor
    temperature: float


Objective = Callable[[torch.Tensor, torch.Tensor, Batch], torch.Tensor]
objectives: Registry[Objective] = Registry("objective")


def linear_cka(audio: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    """Linear centered kernel alignment of two [N, .] batches, between 0 and 1 (Kornblith et al. 2019).

    Computed from the sample-by-sample Gram matrices in float32. Biased upward when N is not much larger than the
    widths: two independent Gaussian sets of width 512 score 0.91 at N = 48.
    """
    audio, text = audio.float(), text.float()
    audio, text = audio - audio.mean(0), text - text.mean(0)
    gram_audio, gram_text = audio @ audio.T, text @ text.T
    return (gram_audio * gram_text).sum() / (gram_audio.norm() * gram_text.norm() + EPSILON)


def debiased_cka(audio: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    """Linear CKA with the unbiased HSIC estimator (Song et al. 2012): 0 on average for independent sets.

    Needs more than three samples; can be slightly negative.
    """
    audio, text = audio.float(), text.float()
    gram_audio, gram_text = audio @ audio.T, text @ text.T
    cross = _unbiased_hsic(gram_audio, gram_text)
    own = _unbiased_hsic(gram_audio, gram_audio) * _unbiased_hsic(gram_text, gram_text)
    return cross / own.clamp_min(EPSILON**2).sqrt()


def _unbiased_hsic(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    n = first.shape[0]
    first = first - torch.diag(first.diagonal())
    second = second - torch.diag(second.diagonal())
    trace = (first * second).sum()
    sums = first.sum() * second.sum() / ((n - 1) * (n - 2))
    mixed = 2 / (n - 2) * (first.sum(0) @ second.sum(0))
    return (trace + sums - mixed) / (n * (n - 3))


@objectives.register("cka")
def cka_loss(audio: torch.Tensor, text: torch.Tensor, batch: Batch) -> torch.Tensor:
    """1 - linear CKA: the published objective, with the numerator that it was meant to have."""
    return 1 - linear_cka(audio, text)


@objectives.register("cka-debiased")
def debiased_cka_loss(audio: torch.Tensor, text: torch.Tensor, batch: Batch) -> torch.Tensor:
    """1 - debiased linear CKA."""
    return 1 - debiased_cka(audio, text)


@objectives.register("regression")
def regression_loss(audio: torch.Tensor, text: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Smooth L1 distance to the report's vector."""
    return functional.smooth_l1_loss(audio.float(), text.float())


@objectives.register("infonce")
def infonce_loss(audio: torch.Tensor, text: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Symmetric InfoNCE with several positives: all items of the data set whose reports say the same."""
    audio = functional.normalize(audio.float(), dim=-1)
    text = functional.normalize(text.float(), dim=-1)
    similarity = audio @ text.T / batch.temperature
    comparable = batch.dataset[:, None] == batch.dataset[None, :]
    similarity = similarity.masked_fill(~comparable, -1e4)
    positives = ((batch.facts[:, None] == batch.facts[None, :]) & comparable).float()
    positives = positives / positives.sum(1, keepdim=True)
    by_audio = -(positives * similarity.log_softmax(1)).sum(1).mean()
    by_text = -(positives * similarity.log_softmax(0)).sum(0).mean()
    return (by_audio + by_text) / 2
