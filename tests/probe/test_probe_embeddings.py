"""Windows to one embedding per recording."""

from __future__ import annotations

import numpy as np
import pytest

from acula_edge.audio.segment import recording_windows
from acula_edge.errors import InputError
from acula_edge.probe.embeddings import embed_store
from acula_edge.recipe import DataConfig

DATA = DataConfig(window_s=1.0, hop_s=0.5, trim_top_db=None)


class Store:
    sample_rate_hz = 100

    def __init__(self, *seconds: float) -> None:
        rng = np.random.default_rng(0)
        self.waves = [rng.uniform(-1, 1, round(100 * s)).astype(np.float32) for s in seconds]

    def __len__(self) -> int:
        return len(self.waves)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.waves[index]


def embed(windows: np.ndarray) -> np.ndarray:
    return np.stack([windows.mean(axis=1), windows.max(axis=1)], axis=1)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_mean_over_windows_whatever_the_batch(batch_size: int) -> None:
    store = Store(0.4, 1.0, 3.7, 2.0)
    steps: list[tuple[int, int]] = []
    result = embed_store(embed, store, DATA, batch_size, lambda done, total: steps.append((done, total)))
    assert result.shape == (4, 2) and result.dtype == np.float32
    for row, wave in zip(result, store.waves, strict=True):
        expected = embed(recording_windows(wave, 100, 1.0, 0.5, None)).mean(axis=0)
        assert row == pytest.approx(expected, abs=1e-6)
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_batches_have_the_size_asked_for() -> None:
    sizes: list[int] = []

    def record(windows: np.ndarray) -> np.ndarray:
        sizes.append(len(windows))
        return embed(windows)

    embed_store(record, Store(3.0, 3.0), DATA, batch_size=4)
    assert sizes == [4, 4, 2]


def test_broken_encoders_and_empty_stores_are_named() -> None:
    with pytest.raises(InputError, match="not finite"):
        embed_store(lambda windows: np.full((len(windows), 2), np.nan), Store(1.0), DATA)
    with pytest.raises(InputError, match="no recordings"):
        embed_store(embed, Store(), DATA)
