"""Alignment objectives: how far a batch of audio vectors is from agreeing with a batch of report vectors.

Each takes audio [B, K], text [B, K] and a :class:`Batch` that says which items belong together, and returns a
scalar loss. Published is linear CKA (SPEC section 1.4); on recordings with few distinct facts the contrastive and
regression forms keep what CKA loses (README, "What the alignment needs"). B is the whole batch, over all processes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

from acula_edge.errors import RecipeError
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
    gram_audio, gram_text = _gram(audio), _gram(text)
    cross = _unbiased_hsic(gram_audio, gram_text)
    own = _unbiased_hsic(gram_audio, gram_audio) * _unbiased_hsic(gram_text, gram_text)
    return cross / own.clamp_min(EPSILON**2).sqrt()


def _gram(vectors: torch.Tensor) -> torch.Tensor:
    """Sample-by-sample Gram matrix. The estimator does not depend on the center, its rounding errors do."""
    vectors = vectors.float() - vectors.float().mean(0)
    return vectors @ vectors.T


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


@objectives.register("cka-within")
def cka_within_loss(audio: torch.Tensor, text: torch.Tensor, batch: Batch) -> torch.Tensor:
    """1 - linear CKA of vectors centered within data set: telling heart from lung earns nothing."""
    return 1 - linear_cka(_centered_within(audio, batch.dataset), _centered_within(text, batch.dataset))


@objectives.register("cka-debiased-within")
def debiased_cka_within_loss(audio: torch.Tensor, text: torch.Tensor, batch: Batch) -> torch.Tensor:
    """1 - debiased linear CKA with the three HSIC summed over data sets, so that each keeps its own, unbiased center.

    Data sets with fewer than four items in the batch are left out; with none left the loss is 1, without gradient.
    """
    cross, audio_self, text_self = [], [], []
    for dataset in batch.dataset.unique():
        rows = batch.dataset == dataset
        if int(rows.sum()) < 4:
            continue
        gram_audio, gram_text = _gram(audio[rows]), _gram(text[rows])
        cross.append(_unbiased_hsic(gram_audio, gram_text))
        audio_self.append(_unbiased_hsic(gram_audio, gram_audio))
        text_self.append(_unbiased_hsic(gram_text, gram_text))
    if not cross:
        return 1 + 0 * audio.sum()
    own = torch.stack(audio_self).sum() * torch.stack(text_self).sum()
    return 1 - torch.stack(cross).sum() / own.clamp_min(EPSILON**2).sqrt()


@objectives.register("released-covariance")
def released_loss(audio: torch.Tensor, text: torch.Tensor, batch: Batch) -> torch.Tensor:
    """1 - cosine of the two covariance matrices: what the released code computes in the name of CKA.

    It does not see which report belongs to which recording (SPEC section 0, fact 1). Only for comparisons.

    Raises:
        RecipeError: audio and text have different widths, so their covariances cannot be compared.
    """
    if audio.shape[1] != text.shape[1]:
        raise RecipeError(
            "released-covariance needs audio and text of one width",
            given=f"{audio.shape[1]} and {text.shape[1]}",
            remedy="--set align.text_target=projected",
        )
    audio, text = audio.float(), text.float()
    audio, text = audio - audio.mean(0), text - text.mean(0)
    covariance_audio, covariance_text = audio.T @ audio, text.T @ text
    norms = covariance_audio.norm() * covariance_text.norm()
    return 1 - (covariance_audio * covariance_text).sum() / (norms + EPSILON)


@objectives.register("regression")
def regression_loss(audio: torch.Tensor, text: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Smooth L1 distance to the report's vector."""
    return functional.smooth_l1_loss(audio.float(), text.float())


@objectives.register("cross-entropy")
def cross_entropy_loss(audio: torch.Tensor, text: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Binary cross-entropy of labels that are 0, 1 or, where they are not known or not asked, NaN.

    Every column is weighted equally, however many of the batch it concerns.
    """
    known = torch.isfinite(text)
    losses = functional.binary_cross_entropy_with_logits(
        audio.float(), text.float().clamp(0, 1).nan_to_num(0.0), reduction="none"
    )
    asked = known.any(0)
    means = (losses * known).sum(0) / known.sum(0).clamp_min(1)
    return (means * asked).sum() / asked.sum().clamp_min(1)


@objectives.register("infonce")
def infonce_loss(audio: torch.Tensor, text: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Symmetric InfoNCE with several positives: all items of the data set whose reports say the same."""
    similarity = _cosines(audio, text) / batch.temperature
    comparable, positives = _relations(batch)
    similarity = similarity.masked_fill(~comparable, -1e4)
    share = positives.float()
    share = share / share.sum(1, keepdim=True)
    by_audio = -(share * similarity.log_softmax(1)).sum(1).mean()
    by_text = -(share * similarity.log_softmax(0)).sum(0).mean()
    return (by_audio + by_text) / 2


@objectives.register("siglip")
def siglip_loss(audio: torch.Tensor, text: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Pairwise sigmoid loss (Zhai et al. 2023) with several positives; pairs across data sets are left out.

    The bias, learned in the paper, is the logarithm of the batch's odds of a positive pair, so that cosines of zero
    predict just that.
    """
    comparable, positives = _relations(batch)
    positive_pairs = positives.sum().float()
    negative_pairs = (comparable.sum() - positive_pairs).clamp_min(1)
    logits = _cosines(audio, text) / batch.temperature + (positive_pairs / negative_pairs).log()
    signed = torch.where(positives, logits, -logits)
    return -(functional.logsigmoid(signed) * comparable).sum() / len(audio)


def _cosines(audio: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    return functional.normalize(audio.float(), dim=-1) @ functional.normalize(text.float(), dim=-1).T


def _relations(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Which pairs are of one data set, and which of them say the same: two [B, B] booleans."""
    comparable = batch.dataset[:, None] == batch.dataset[None, :]
    return comparable, (batch.facts[:, None] == batch.facts[None, :]) & comparable


def _centered_within(vectors: torch.Tensor, dataset: torch.Tensor) -> torch.Tensor:
    """Vectors [B, K] less the mean of their data set's in the batch."""
    _, group = dataset.unique(return_inverse=True)
    member = functional.one_hot(group).float()
    means = member.T @ vectors.float() / member.sum(0)[:, None]
    return vectors.float() - means[group]
