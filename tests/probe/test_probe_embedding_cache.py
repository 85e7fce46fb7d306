"""Embeddings are computed once per artifact, window and recording."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from acula_edge.probe.embedding_cache import cached_embeddings
from acula_edge.recipe import DataConfig, SplitConfig

DATA = DataConfig()


class Ear:
    """Embeds recording "3" as [3, 3]; remembers what it was asked for."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.asked: list[list[str]] = []

    def __call__(self, positions: list[int]) -> np.ndarray:
        self.asked.append([self.names[position] for position in positions])
        return np.array([[float(self.names[p] or -1)] * 2 for p in positions], np.float32)


def listen(
    folder: Path, names: list[str], artifact: str = "a", data: DataConfig = DATA
) -> tuple[np.ndarray, list[list[str]]]:
    ear = Ear(names)
    return cached_embeddings(folder, artifact, data, names, ear), ear.asked


def test_only_what_is_new_is_listened_to_and_the_order_is_the_callers(tmp_path) -> None:
    first, asked = listen(tmp_path, ["1", "2", "3"])
    assert asked == [["1", "2", "3"]] and first[:, 0].tolist() == [1, 2, 3] and first.dtype == np.float32
    second, asked = listen(tmp_path, ["4", "3", "1"])
    assert asked == [["4"]] and second[:, 0].tolist() == [4, 3, 1]
    third, asked = listen(tmp_path, ["2", "4"])
    assert asked == [] and third[:, 0].tolist() == [2, 4]


def test_another_artifact_or_window_listens_anew_but_another_split_does_not(tmp_path) -> None:
    listen(tmp_path, ["1"])
    assert listen(tmp_path, ["1"], artifact="b")[1] == [["1"]]
    assert listen(tmp_path, ["1"], data=dataclasses.replace(DATA, window_s=4.0))[1] == [["1"]]
    assert listen(tmp_path, ["1"], data=dataclasses.replace(DATA, split=SplitConfig(fold=3)))[1] == []


def test_a_recording_without_a_hash_is_never_kept(tmp_path) -> None:
    assert listen(tmp_path, ["", "1"])[1] == [["", "1"]]
    assert listen(tmp_path, ["1", ""])[1] == [[""]]
