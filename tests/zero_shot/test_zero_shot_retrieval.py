"""Retrieval against a brute-force implementation, and against what chance gives."""

from __future__ import annotations

import numpy as np
import pytest

from acula_edge.zero_shot.retrieval import CUTOFFS, measure_retrieval, ranks

CHOICES = ("recall_at_1", "recall_at_5", "recall_at_10")


def by_hand(audio: np.ndarray, text: np.ndarray, facts: np.ndarray, cutoff: int) -> float:
    """Share of recordings whose report is among the first: one loop per definition, nothing shared with the code."""
    groups = sorted(set(facts.tolist()))
    hits = 0
    for row in range(len(audio)):
        scores = {}
        for group in groups:
            members = [text[other] for other in range(len(text)) if facts[other] == group]
            candidate = sum(members) / len(members)
            scores[group] = float(audio[row] @ candidate / np.linalg.norm(audio[row]) / np.linalg.norm(candidate))
        better = sum(scores[group] >= scores[facts[row]] for group in groups if group != facts[row])
        hits += better + 1 <= cutoff
    return hits / len(audio)


@pytest.fixture
def pairs() -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str], list[str]]:
    draw = np.random.default_rng(2)
    datasets = ["a"] * 60 + ["b"] * 40
    facts = np.r_[draw.integers(0, 14, 60), 20 + draw.integers(0, 11, 40)]
    meaning = draw.normal(size=(40, 5))
    text = meaning[facts] + 0.1 * draw.normal(size=(100, 5))
    audio = meaning[facts] + 1.2 * draw.normal(size=(100, 5))
    return audio, text, facts, datasets, [f"p{number // 2}" for number in range(100)]


def test_recall_equals_the_definition_taken_literally(pairs) -> None:
    audio, text, facts, datasets, subjects = pairs
    scopes = measure_retrieval({"int8": audio}, text, facts, datasets, subjects, 50, 0)
    assert [scope["dataset"] for scope in scopes] == ["a", "b", None]
    for scope, chosen in zip(scopes, (slice(0, 60), slice(60, 100), slice(None)), strict=True):
        for name, cutoff in zip(CHOICES, CUTOFFS, strict=True):
            entry = scope["int8"][name]
            assert entry["value"] == pytest.approx(by_hand(audio[chosen], text[chosen], facts[chosen], cutoff))
            assert entry["ci95"][0] <= entry["value"] <= entry["ci95"][1]
            assert scope["chance"][name] == min(1, cutoff / len(set(facts[chosen].tolist())))
        assert scope["n_reports"] == len(set(facts[chosen].tolist()))
        assert (scope["n_recordings"], scope["n_subjects"]) == (len(audio[chosen]), len(audio[chosen]) // 2)


def test_shuffled_is_the_mean_over_shuffles_within_data_set(pairs) -> None:
    audio, text, facts, datasets, subjects = pairs
    scopes = measure_retrieval({"int8": audio}, text, facts, datasets, subjects, 20, 0)
    placed, own = ranks(audio, text, facts)
    draw = np.random.default_rng(0)
    for name, cutoff in zip(CHOICES, CUTOFFS, strict=True):
        found = []
        for _ in range(400):
            dealt = np.r_[draw.permutation(own[:60]), draw.permutation(own[60:])]
            found.append((placed[np.arange(100), dealt] <= cutoff).mean())
        assert scopes[-1]["int8"][name]["shuffled"] == pytest.approx(np.mean(found), abs=0.01)


def test_shuffled_reports_give_what_shuffled_says(pairs) -> None:
    audio, text, facts, datasets, subjects = pairs
    values, expected = [], []
    for seed in range(60):
        order = np.r_[np.random.default_rng(seed).permutation(60), 60 + np.random.default_rng(seed).permutation(40)]
        scope = measure_retrieval({"int8": audio}, text[order], facts[order], datasets, subjects, 5, 0)[-1]
        values.append(scope["int8"]["recall_at_5"]["value"])
        expected.append(scope["int8"]["recall_at_5"]["shuffled"])
    assert np.mean(values) == pytest.approx(np.mean(expected), abs=0.03)


def test_perfect_and_collapsed_audio(pairs) -> None:
    _, text, facts, datasets, subjects = pairs
    centers = np.stack([text[facts == number].mean(axis=0) for number in facts])
    perfect = measure_retrieval({"int8": centers}, text, facts, datasets, subjects, 20, 0)
    assert all(scope["int8"]["recall_at_1"]["value"] == 1 for scope in perfect)
    collapsed = measure_retrieval({"int8": np.zeros_like(text)}, text, facts, datasets, subjects, 20, 0)
    assert all(scope["int8"]["recall_at_10"]["value"] == 0 for scope in collapsed), "a tie is no find"


def test_always_naming_the_usual_report_is_no_better_than_shuffled() -> None:
    draw = np.random.default_rng(0)
    facts = np.where(draw.random(80) < 0.7, 0, draw.integers(1, 9, 80))
    text = np.eye(9)[facts]
    audio = np.tile(np.eye(9)[0] + 0.01 * np.arange(9)[::-1], (80, 1))
    (scope,) = measure_retrieval({"int8": audio}, text, facts, ["a"] * 80, [str(n) for n in range(80)], 20, 0)
    assert scope["int8"]["recall_at_1"]["value"] > 0.6 > 5 * scope["chance"]["recall_at_1"]
    assert scope["int8"]["recall_at_1"]["value"] == pytest.approx(scope["int8"]["recall_at_1"]["shuffled"])


def test_a_data_set_with_one_report_is_left_out(pairs) -> None:
    audio, text, facts, _, subjects = pairs
    same = np.zeros_like(facts)
    assert measure_retrieval({"int8": audio}, text, same, ["a"] * 100, subjects, 5, 0) == []
