"""Score columns to answers."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest

from acula_edge.bundle.schema import ScoredTask
from acula_edge.errors import ArtifactError
from acula_edge.runtime.answers import RunningPool, TaskColumns, describe_scores, pool_windows

BINARY = TaskColumns("M", "Murmur", "binary", ("absent", "present"), "", 0.4, 0, 1)
CLASSES = TaskColumns("K", "Kind", "multiclass", ("a", "b", "c"), "", None, 1, 4)
VALUE = TaskColumns("R", "Rate", "regression", (), "1/min", None, 4, 5)
TASKS = [BINARY, CLASSES, VALUE]


def softmax(logits: np.ndarray) -> np.ndarray:
    weight = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weight / weight.sum(axis=-1, keepdims=True)


def test_pooling_equals_the_heads_on_the_mean_embedding() -> None:
    draw = np.random.default_rng(0)
    embeddings, weight, bias = draw.normal(size=(7, 16)), draw.normal(size=(16, 5)), draw.normal(size=5)

    def heads(embedding: np.ndarray) -> np.ndarray:
        logits = embedding @ weight + bias
        return np.concatenate([1 / (1 + np.exp(-logits[..., :1])), softmax(logits[..., 1:4]), logits[..., 4:]], axis=-1)

    pooled = pool_windows(heads(embeddings).astype(np.float32), TASKS)
    np.testing.assert_allclose(pooled, heads(embeddings.mean(axis=0)), rtol=1e-4)


def test_saturated_probabilities_pool_to_finite_values() -> None:
    scores = np.array([[1.0, 1, 0, 0, 3], [0.0, 1, 0, 0, 5]], dtype=np.float32)
    pooled = pool_windows(scores, TASKS)
    assert np.isfinite(pooled).all()
    assert pooled[0] == pytest.approx(0.5)
    assert pooled[4] == 4


def test_answers_name_label_threshold_and_unit() -> None:
    answers = describe_scores(np.array([0.4, 0.2, 0.7, 0.1, 18.0]), TASKS)
    assert answers["M"] == {
        "name": "Murmur", "kind": "binary", "score": 0.4, "label": "present", "threshold": 0.4, "above": True,
    }  # fmt: skip
    assert answers["K"]["label"] == "b" and answers["K"]["scores"] == {"a": 0.2, "b": 0.7, "c": 0.1}
    assert answers["R"]["score"] == 18.0 and answers["R"]["unit"] == "1/min"
    json.dumps(answers, allow_nan=False)


def test_below_the_threshold_is_the_first_label() -> None:
    answer = describe_scores(np.array([0.39]), [BINARY])["M"]
    assert answer["label"] == "absent" and answer["above"] is False


def test_nothing_is_decided_about_what_cannot_be_measured() -> None:
    answers = describe_scores(np.array([0.9, 0.2, 0.7, 0.1, 18.0]), TASKS, measurable=False)
    assert [answer["label"] for answer in answers.values()] == [None, None, None]
    assert answers["M"]["above"] is None and answers["R"]["score"] is None


def test_a_task_that_contradicts_itself_is_refused() -> None:
    values = ScoredTask("M", "", "d", "multiclass", ["a", "b"], "", None, 0, 1)
    with pytest.raises(ArtifactError, match="contradicts"):
        TaskColumns.of(values)
    with pytest.raises(ArtifactError, match="two classes"):
        TaskColumns.of(msgspec.structs.replace(values, kind="binary", labels=["a"]))


def test_running_pool_equals_pooling_and_leaves_out_what_was_not_measurable() -> None:
    draw = np.random.default_rng(0)
    scores = draw.uniform(0.1, 0.9, size=(5, 5)).astype(np.float32)
    pool = RunningPool(TASKS)
    for count, row in enumerate(scores, start=1):
        np.testing.assert_allclose(pool.add(row[None], True), pool_windows(scores[:count], TASKS), rtol=1e-6)

    pool = RunningPool(TASKS)
    np.testing.assert_allclose(pool.add(scores[:1], False), pool_windows(scores[:1], TASKS), rtol=1e-6)
    assert not pool.measurable
    pool.add(scores[1:2], True)
    pool.add(scores[2:3], False)
    np.testing.assert_allclose(pool.add(scores[3:4], True), pool_windows(scores[[1, 3]], TASKS), rtol=1e-6)
    assert pool.measurable
