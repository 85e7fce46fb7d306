"""Alignment objectives: what they must and must not depend on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from acula_edge.align.monitors import effective_rank, fact_auroc, held_out_cka, norm_quantiles, retrieval
from acula_edge.align.objectives import Batch, debiased_cka, infonce_loss, linear_cka, objectives
from acula_edge.align.pairs import Pairs
from acula_edge.align.text_target import fact_groups, fit_text_target
from acula_edge.errors import RecipeError


def batch(n: int, facts: list[int] | None = None) -> Batch:
    return Batch(torch.zeros(n, dtype=torch.long), torch.tensor(facts or list(range(n))), 0.1)


def test_linear_cka_equals_its_feature_form():
    generator = torch.Generator().manual_seed(0)
    audio, text = torch.randn(40, 7, generator=generator), torch.randn(40, 5, generator=generator)
    a, t = (audio - audio.mean(0)).double(), (text - text.mean(0)).double()
    expected = (t.T @ a).norm() ** 2 / ((a.T @ a).norm() * (t.T @ t).norm())
    assert float(linear_cka(audio, text)) == pytest.approx(float(expected.detach()), rel=1e-4)


def test_cka_sees_the_pairing_and_ignores_rotation_and_scale():
    generator = torch.Generator().manual_seed(0)
    audio = torch.randn(64, 8, generator=generator)
    rotation = torch.linalg.qr(torch.randn(8, 8, generator=generator))[0]
    for measure in (linear_cka, debiased_cka):
        assert float(measure(audio, 3 * audio @ rotation + 1)) == pytest.approx(1, abs=1e-4)
        assert float(measure(audio, audio[torch.randperm(64, generator=generator)])) < 0.4


def test_debiased_cka_is_zero_for_independent_sets_where_the_biased_form_is_not():
    generator = torch.Generator().manual_seed(0)
    draws = [(torch.randn(48, 512, generator=generator), torch.randn(48, 512, generator=generator)) for _ in range(8)]
    assert abs(np.mean([float(debiased_cka(a, t)) for a, t in draws])) < 0.02
    assert np.mean([float(linear_cka(a, t)) for a, t in draws]) == pytest.approx(0.912, abs=0.02)


def test_infonce_rewards_agreement_and_shares_positives():
    text = torch.eye(4)
    assert float(infonce_loss(text * 5, text, batch(4))) < 0.01
    assert float(infonce_loss(text.flip(0) * 5, text, batch(4))) > 5
    same = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    shared = infonce_loss(same, same, batch(4, [0, 0, 1, 1]))
    assert float(shared) == pytest.approx(np.log(2), abs=1e-3)  # two equal positives cannot be told apart


def test_infonce_takes_no_negatives_from_another_data_set():
    text = torch.eye(2)
    other = Batch(torch.tensor([0, 1]), torch.tensor([0, 1]), 0.1)
    assert float(infonce_loss(text.flip(0), text, other)) == pytest.approx(0, abs=1e-6)


def test_the_released_form_does_not_see_the_pairing():
    generator = torch.Generator().manual_seed(0)
    audio, text = torch.randn(24, 6, generator=generator), torch.randn(24, 6, generator=generator)
    loss = objectives["released-covariance"]
    shuffled = text[torch.randperm(24, generator=generator)]
    assert float(loss(audio, shuffled, batch(24))) == pytest.approx(float(loss(audio, text, batch(24))), abs=1e-6)
    with pytest.raises(RecipeError, match="one width"):
        loss(audio, text[:, :4], batch(24))


@pytest.mark.parametrize("name", ["cka", "cka-debiased"])
def test_telling_data_sets_apart_earns_nothing_within_data_sets(name):
    generator = torch.Generator().manual_seed(0)
    dataset = torch.arange(64) % 2
    audio, text = torch.randn(64, 5, generator=generator), torch.randn(64, 5, generator=generator)
    offset = 20.0 * dataset[:, None]
    pooled = Batch(dataset, torch.arange(64), 0.1)
    assert float(objectives[name](audio + offset, text + offset, pooled)) < 0.05
    assert float(objectives[f"{name}-within"](audio + offset, text + offset, pooled)) > 0.7
    same = float(objectives[f"{name}-within"](audio + offset, audio - offset, pooled))
    assert same == pytest.approx(0, abs=1e-3)


def test_debiased_cka_within_leaves_out_data_sets_too_small_to_estimate_from():
    audio = torch.randn(6, 3, requires_grad=True)
    pairs = Batch(torch.tensor([0, 0, 0, 1, 1, 1]), torch.arange(6), 0.1)
    loss = objectives["cka-debiased-within"](audio, torch.randn(6, 3), pairs)
    loss.backward()
    assert float(loss.detach()) == 1
    assert float(audio.grad.abs().max()) == 0


def test_siglip_rewards_agreement_shares_positives_and_skips_other_data_sets():
    text = torch.eye(4) - 0.25
    loss = objectives["siglip"]
    assert float(loss(text, text, batch(4))) < 0.1
    assert float(loss(text.flip(0), text, batch(4))) > 5
    same = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    assert float(loss(same, same, batch(4, [0, 0, 1, 1]))) < float(loss(same, same, batch(4)))
    alone = Batch(torch.tensor([0, 1]), torch.tensor([0, 1]), 0.1)
    one = Batch(torch.tensor([0, 0]), torch.tensor([0, 1]), 0.1)
    assert float(loss(torch.ones(2, 2), torch.ones(2, 2), alone)) < float(loss(torch.ones(2, 2), torch.ones(2, 2), one))


@pytest.mark.parametrize("name", objectives.names())
def test_every_objective_gives_finite_gradients_even_when_all_is_constant(name):
    audio = torch.zeros(8, 4, requires_grad=True)
    objectives[name](audio, torch.ones(8, 4), batch(8)).backward()
    assert audio.grad is not None
    assert bool(torch.isfinite(audio.grad).all())


def test_text_target_drops_the_data_set_and_has_unit_scale():
    generator = np.random.default_rng(0)
    datasets = ["a"] * 50 + ["b"] * 50
    vectors = generator.standard_normal((100, 20)) @ np.diag(np.linspace(3, 0.1, 20))
    vectors[50:] += 100
    target = fit_text_target(vectors, datasets, 6, 0.1)
    reduced = target.apply(vectors, datasets)
    assert reduced.shape == (100, 12), "six directions of either data set"
    assert reduced[:50].std() == pytest.approx(1, rel=1e-4) == pytest.approx(reduced[50:].std(), rel=1e-4)
    np.testing.assert_allclose(reduced[:50].mean(0), reduced[50:].mean(0), atol=1e-4)


def test_fact_groups_join_equal_reports_of_one_data_set_only():
    targets = np.array([[1.0, 2], [1.001, 2], [1, 2], [3, 4]])
    groups = fact_groups(targets, ["a", "a", "b", "a"])
    assert groups[0] == groups[1]
    assert len({groups[0], groups[2], groups[3]}) == 3


def test_monitors_know_collapse_and_perfect_retrieval():
    generator = np.random.default_rng(0)
    text = generator.standard_normal((30, 6)).astype(np.float32)
    dataset, facts = np.zeros(30, int), np.arange(30)
    assert effective_rank(np.ones((30, 6)) + 1e-9 * text) < 6.01
    assert effective_rank(np.outer(text[:, 0], np.ones(6))) == pytest.approx(1, abs=1e-3)
    assert held_out_cka(text, text, dataset) == pytest.approx(1, abs=1e-4)
    assert retrieval(text, text, dataset, facts)["val_recall_at_1"] == 1
    assert retrieval(-text, text, dataset, facts)["val_recall_at_1"] == 0


def test_a_small_corpus_keeps_its_own_components_beside_a_large_one():
    generator = np.random.default_rng(0)
    small = generator.standard_normal((30, 4)) @ np.eye(40)[:4]
    large = 50 * generator.standard_normal((3000, 30)) @ np.eye(40)[10:40]
    vectors, datasets = np.concatenate([small, large]), ["small"] * 30 + ["large"] * 3000
    target = fit_text_target(vectors, datasets, 8, 0.1)
    reduced = target.apply(vectors[:30], datasets[:30])
    residual = small - small.mean(0) - reduced @ np.linalg.lstsq(reduced, small - small.mean(0), rcond=None)[0]
    assert np.square(residual).sum() < 1e-6 * np.square(small).sum()
    assert reduced.std() == pytest.approx(1, rel=1e-4)


def test_cross_entropy_leaves_out_what_is_not_known_and_weighs_labels_equally():
    loss = objectives["cross-entropy"]
    labels = torch.tensor([[1.0, np.nan], [0.0, np.nan], [1.0, 1.0], [np.nan, np.nan]])
    logits = torch.tensor([[2.0, 9.0], [-2.0, 9.0], [2.0, -1.0], [9.0, 9.0]], requires_grad=True)
    value = loss(logits, labels, batch(4))
    assert float(value.detach()) == pytest.approx((np.log1p(np.exp(-2)) + np.log1p(np.exp(1))) / 2, rel=1e-5)
    value.backward()
    assert logits.grad is not None
    np.testing.assert_array_equal(logits.grad[torch.isnan(labels)].numpy(), 0)


def test_cola_tells_a_clip_from_other_persons_of_its_corpus_only():
    from acula_edge.align.self_supervised import Cola

    class Wide(torch.nn.Module):
        embedding_dim = 6

    torch.manual_seed(0)
    cola = Cola(Wide()).eval()
    views = [torch.randn(4, 6), torch.randn(4, 6)]
    nobody = torch.zeros(4, 4, dtype=torch.bool)
    assert float(cola.batch_loss(views, nobody)) == pytest.approx(0, abs=1e-6)
    others = nobody.clone()
    others[0, 1] = True
    logits = cola.logits(*views)
    expected = torch.log1p((logits[0, 1] - logits[0, 0]).exp()) / 4
    assert float(cola.batch_loss(views, others).detach()) == pytest.approx(float(expected.detach()), rel=1e-4)


def test_a_probe_says_which_facts_are_heard_in_new_persons():
    generator = np.random.default_rng(0)
    findings = np.tile(np.float32([[0.0], [1.0]]), (40, 1))
    findings = np.c_[findings, generator.integers(0, 2, 80), np.full(80, np.nan)].astype(np.float32)
    heard = np.c_[findings[:, :1] + 0.1 * generator.standard_normal((80, 1)), generator.standard_normal((80, 5))]
    persons = np.arange(40) // 2
    pairs = Pairs(persons, heard[40:], persons, persons, persons, findings[40:])
    both = fact_auroc(heard[:40], findings[:40], heard[40:], pairs)["val_fact_auroc"]
    one = Pairs(persons, heard[40:], persons, persons, persons, findings[40:, :1])
    assert fact_auroc(heard[:40], findings[:40, :1], heard[40:], one)["val_fact_auroc"] > 0.99
    assert 0.6 < both < 0.9, "the second is not in the embedding"
    nothing = Pairs(persons, heard[40:], persons, persons, persons, findings[40:, 2:])
    assert fact_auroc(heard[:40], findings[:40, 2:], heard[40:], nothing) == {}
    lengths = np.ones((20, 3))
    lengths[0] *= 65
    assert norm_quantiles(lengths)["norm_max"] == pytest.approx(65)
