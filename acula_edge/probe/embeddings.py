"""One embedding per recording: the mean over its windows (every stage sees the same windows, SPEC section 1.7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.segment import recording_windows
from acula_edge.errors import InputError
from acula_edge.recipe import DataConfig

Array = NDArray[np.float32]
Embed = Callable[[Array], Array]


class Waves(Protocol):
    """What is needed of a wave store: waves [T] by position, all at one rate."""

    sample_rate_hz: int

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Array: ...


def embed_store(
    embed: Embed,
    store: Waves,
    data: DataConfig,
    batch_size: int = 32,
    progress: Callable[[int, int], None] | None = None,
) -> Array:
    """Embed every recording of a store.

    Args:
        embed: windows [N, T] at the store's rate -> embeddings [N, D].
        store: waves of R recordings.
        data: length, hop and trimming of windows.
        batch_size: windows given to `embed` at once; the last batch may be smaller.
        progress: called with (recordings done, R).

    Returns:
        [R, D] float32, in the store's order.

    Raises:
        InputError: the store is empty, or an embedding is not finite.
    """
    total = len(store)
    if total == 0:
        raise InputError("there are no recordings to embed")
    sums: NDArray[np.float64] | None = None
    counts = np.zeros(total)
    pending: list[Array] = []
    owners: list[int] = []

    def flush() -> None:
        nonlocal sums
        if not pending:
            return
        embeddings = np.asarray(embed(np.stack(pending)))
        if sums is None:
            sums = np.zeros((total, embeddings.shape[1]))
        np.add.at(sums, owners, embeddings)
        np.add.at(counts, owners, 1)
        pending.clear()
        owners.clear()

    for position in range(total):
        windows = recording_windows(store[position], store.sample_rate_hz, data.window_s, data.hop_s, data.trim_top_db)
        for window in windows:
            pending.append(window)
            owners.append(position)
            if len(pending) == batch_size:
                flush()
        if progress is not None:
            progress(position + 1, total)
    flush()
    assert sums is not None
    means = (sums / counts[:, None]).astype(np.float32)
    broken = int((~np.isfinite(means).all(axis=1)).sum())
    if broken:
        raise InputError(
            "the encoder gave embeddings that are not finite",
            given=f"{broken} of {total} recordings",
            remedy="the weights are damaged or training diverged; train again with a lower learning rate",
        )
    return means
