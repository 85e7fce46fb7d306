"""Relational terms against a naive reading of Park et al. 2019, equations 5 to 11."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from acula_edge.distillation.relational import angle_loss, distance_loss


def huber(x: float, y: float) -> float:
    return 0.5 * (x - y) ** 2 if abs(x - y) <= 1 else abs(x - y) - 0.5


def naive_distance(student: np.ndarray, teacher: np.ndarray) -> float:
    pairs = list(itertools.permutations(range(len(student)), 2))

    def potentials(t: np.ndarray) -> list[float]:
        distances = [float(np.linalg.norm(t[i] - t[j])) for i, j in pairs]
        return [distance / float(np.mean(distances)) for distance in distances]

    return float(np.mean([huber(s, t) for s, t in zip(potentials(student), potentials(teacher), strict=True)]))


def naive_angle(student: np.ndarray, teacher: np.ndarray) -> float:
    def cosine(t: np.ndarray, i: int, j: int, k: int) -> float:
        to_i = (t[i] - t[j]) / np.linalg.norm(t[i] - t[j])
        to_k = (t[k] - t[j]) / np.linalg.norm(t[k] - t[j])
        return float(to_i @ to_k)

    triples = list(itertools.permutations(range(len(student)), 3))
    return float(np.mean([huber(cosine(student, *triple), cosine(teacher, *triple)) for triple in triples]))


@pytest.fixture
def embeddings() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(7, 5, generator=generator, dtype=torch.float64)
    teacher = 10 * torch.randn(7, 9, generator=generator, dtype=torch.float64)
    teacher[0] *= 20  # an outlier, so that the linear part of the Huber loss is reached
    return student, teacher


@pytest.mark.parametrize(("loss", "naive"), [(distance_loss, naive_distance), (angle_loss, naive_angle)])
def test_terms_equal_the_naive_sums(embeddings, loss, naive):
    student, teacher = embeddings
    assert float(loss(student, teacher)) == pytest.approx(naive(student.numpy(), teacher.numpy()), rel=1e-9)


@pytest.mark.parametrize("loss", [distance_loss, angle_loss])
def test_a_turned_and_scaled_teacher_costs_nothing_and_everything_else_does(embeddings, loss):
    _, teacher = embeddings
    turn = torch.linalg.qr(torch.randn(9, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64))[0]
    assert float(loss(3 * teacher @ turn + 1, teacher)) < 1e-12
    assert float(loss(teacher.flip(0), teacher)) > 1e-3


@pytest.mark.parametrize("loss", [distance_loss, angle_loss])
def test_gradients_are_finite_where_clips_coincide_and_where_there_are_too_few(embeddings, loss):
    student, teacher = (value.float() for value in embeddings)
    student = student.index_select(0, torch.tensor([0, 0, 1, 2, 3, 4, 5])).requires_grad_()
    loss(student, teacher).backward()
    assert student.grad is not None and bool(torch.isfinite(student.grad).all())
    alone = torch.randn(1, 5, requires_grad=True)
    value = loss(alone, teacher[:1])
    value.backward()
    assert float(value.detach()) == 0 and alone.grad is not None and not alone.grad.any()
