"""Relational knowledge distillation (Park et al. 2019, arXiv:1904.05068): what embeddings say of one another.

A student that keeps its teacher's distances and angles within a batch keeps what a linear probe reads, up to a rotation
and a scale that the cosine term settles.
"""

from __future__ import annotations

import torch
from torch.nn import functional


def distance_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Huber loss between pairwise distances, each in units of its batch's mean distance (equations 5 to 8).

    Mean over the N(N-1) ordered pairs of different clips; 0 for fewer than two.

    Shape: student [N, D], teacher [N, E] -> [].
    """
    if len(student) < 2:
        return student.sum() * 0
    return functional.smooth_l1_loss(_distances(student), _distances(teacher))


def angle_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Huber loss between the cosines of the angles that every three clips span (equations 9 to 11).

    Mean over the N(N-1)(N-2) ordered triples of different clips; 0 for fewer than three. Needs memory for N^3 values
    and N^2 D: a batch of 256 takes about 0.5 GB.

    Shape: student [N, D], teacher [N, E] -> [].
    """
    if len(student) < 3:
        return student.sum() * 0
    return functional.smooth_l1_loss(_angles(student), _angles(teacher))


def _distances(embedding: torch.Tensor) -> torch.Tensor:
    """Distances over their mean, [N (N-1)]."""
    distances = functional.pdist(embedding)  # each pair once: the mean over ordered pairs is the same
    return distances / distances.mean().clamp_min(1e-12)


def _angles(embedding: torch.Tensor) -> torch.Tensor:
    """Cosines of the angles at j between i and k, [N (N-1) (N-2)]."""
    count = len(embedding)
    arms = functional.normalize(embedding[None] - embedding[:, None], dim=2)  # [j, i, D]
    with torch.autocast(embedding.device.type, enabled=False):
        cosines = arms @ arms.transpose(1, 2)  # [j, i, k]
    same = torch.eye(count, dtype=torch.bool, device=embedding.device)
    return cosines[~(same[:, :, None] | same[:, None, :] | same[None])]
