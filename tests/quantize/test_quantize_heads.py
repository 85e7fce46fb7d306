from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acula_edge.errors import ArtifactError, InputError
from acula_edge.quantize.heads import TaskHead, check_heads, column_ranges, load_heads, save_heads, score
from tests.quantize.conftest import EMBEDDING_DIM, make_heads


def test_round_trip_keeps_everything_and_gives_equal_bytes(tmp_path: Path) -> None:
    heads = make_heads()
    save_heads(tmp_path / "a.npz", heads)
    save_heads(tmp_path / "b.npz", make_heads())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    for head, again in zip(heads, load_heads(tmp_path / "a.npz"), strict=True):
        assert again.describe() == head.describe()
        np.testing.assert_array_equal(again.weight, head.weight)
        np.testing.assert_array_equal(again.bias, head.bias)


def test_scores_by_hand() -> None:
    heads = [
        TaskHead("a", "a", "binary", ["no", "yes"], "", np.array([[1.0], [0.0]]), np.array([-1.0])),
        TaskHead("b", "b", "multiclass", ["x", "y"], "", np.array([[0.0, 1.0], [0.0, 0.0]]), np.zeros(2)),
        TaskHead("c", "c", "regression", [], "s", np.array([[0.0], [2.0]]), np.array([3.0])),
    ]
    got = score(heads, np.array([[1.0, 5.0], [900.0, -5.0], [-900.0, 0.0]]))
    e = np.e
    np.testing.assert_allclose(got[0], [0.5, 1 / (1 + e), e / (1 + e), 13.0], rtol=1e-6)
    np.testing.assert_allclose(got[1:, 0], [1.0, 0.0], atol=1e-7)
    assert np.isfinite(got).all()
    assert column_ranges(heads) == [(0, 1), (1, 3), (3, 4)]
    assert score([], np.zeros((2, 3))).shape == (2, 0)
    assert column_ranges([]) == []


@pytest.mark.parametrize(
    "change",
    [
        {"weight": np.zeros((4, 2))},
        {"bias": np.zeros(2)},
        {"weight": np.full((4, 1), np.nan)},
        {"threshold": 1.5},
        {"kind": "ordinal"},
        {"kind": "multiclass", "labels": ["a", "b"]},
    ],
    ids=lambda change: ",".join(change),
)
def test_heads_that_contradict_themselves_are_refused(change: dict[str, object]) -> None:
    sound = {"kind": "binary", "labels": ["n", "y"], "weight": np.zeros((4, 1)), "bias": np.zeros(1)}
    TaskHead("t", "t", **sound)  # type: ignore[arg-type]
    with pytest.raises(InputError):
        TaskHead("t", "t", **{**sound, **change})  # type: ignore[arg-type]


def test_two_heads_of_one_task_are_refused() -> None:
    head = make_heads()[0]
    check_heads([head], EMBEDDING_DIM)
    with pytest.raises(InputError, match="two heads"):
        check_heads([head, head], EMBEDDING_DIM)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"no archive")
    np.savez(tmp_path / "b.npz", weight_0=np.zeros(3))
    for name in ("a.npz", "b.npz", "missing.npz"):
        with pytest.raises(ArtifactError):
            load_heads(tmp_path / name)
