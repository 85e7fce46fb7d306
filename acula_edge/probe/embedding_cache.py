"""Embeddings kept by what made them and what they are of, so that another task, split or data set costs only the rest.

One file per artifact and window: rows are found by the SHA-256 of the recording's file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.files import atomic_path, sha256_json
from acula_edge.limits import MAX_CACHE_BYTES
from acula_edge.recipe import DataConfig
from acula_edge.untrusted.npz import read_npz

Array = NDArray[np.float32]

SCHEMA = "acula-edge/embeddings/1"


def cached_embeddings(
    folder: Path, artifact_sha256: str, data: DataConfig, recordings: Sequence[str], embed: Callable[[list[int]], Array]
) -> Array:
    """Embeddings of recordings by one artifact, computed only where they are not kept.

    Args:
        folder: of the cache.
        artifact_sha256: of the model's file (weights, front end and all).
        data: length, hop and trimming of windows.
        recordings: SHA-256 of every recording's file; "" is never kept.
        embed: positions in `recordings` -> [n, D], called at most once.

    Returns:
        [R, D] float32, in the order of `recordings`.
    """
    key = sha256_json([SCHEMA, artifact_sha256, data.window_s, data.hop_s, data.trim_top_db])
    file = folder / f"embeddings-{key[:16]}.npz"
    kept = _read(file)
    wanted = [position for position, name in enumerate(recordings) if not name or name not in kept]
    made = dict(zip(wanted, embed(wanted), strict=True)) if wanted else {}
    rows = np.stack([made[p] if p in made else kept[name] for p, name in enumerate(recordings)]).astype(np.float32)
    if made:
        kept.update((recordings[position], row) for position, row in made.items() if recordings[position])
        _write(file, kept)
    return rows


def _read(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    arrays = read_npz(file, "kept embeddings", MAX_CACHE_BYTES)
    names, rows = arrays["recordings"], arrays.numbers("embeddings", 2)
    if names.shape != (len(rows),) or names.dtype.kind != "U":
        raise arrays.error("not one name per embedding")
    return dict(zip(names.tolist(), rows, strict=True))


def _write(file: Path, kept: dict[str, Any]) -> None:
    with atomic_path(file) as temporary, open(temporary, "wb") as out:
        np.savez(out, recordings=np.array(list(kept)), embeddings=np.stack(list(kept.values())).astype(np.float32))
