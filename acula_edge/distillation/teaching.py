"""What the student learns from: windows, and the teacher's embedding of each, computed once and kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from acula_edge.audio.segment import recording_windows
from acula_edge.encoders.base import AudioEncoder
from acula_edge.errors import InputError
from acula_edge.files import atomic_path, sha256_json
from acula_edge.frontend.torch import make_frontend
from acula_edge.limits import MAX_CACHE_BYTES
from acula_edge.progress import track
from acula_edge.recipe import DataConfig
from acula_edge.untrusted.npz import read_npz

if TYPE_CHECKING:
    from acula_edge.data.store import WaveStore


FLOOR = 1e-4
"""Variance, relative to the strongest direction, below which a direction counts as noise."""


@dataclass(frozen=True)
class Lessons:
    """Windows of recordings with the teacher's embeddings.

    Attributes:
        row: [N] position of each window's recording in the store.
        number: [N] which window of the recording.
        embedding: [N, D] of the teacher.
    """

    row: np.ndarray
    number: np.ndarray
    embedding: np.ndarray

    def __deepcopy__(self, memo: dict[int, Any]) -> Lessons:
        return self

    def __len__(self) -> int:
        return len(self.row)

    def only(self, rows: set[int]) -> Lessons:
        """The windows of some recordings."""
        kept = np.array([int(row) in rows for row in self.row], dtype=bool)
        return Lessons(self.row[kept], self.number[kept], self.embedding[kept])


def windows_of(store: WaveStore, row: int, data: DataConfig, sample_rate_hz: int) -> np.ndarray:
    """The windows of one recording, [n, T], as evaluation cuts them."""
    return recording_windows(store[row], sample_rate_hz, data.window_s, data.hop_s, data.trim_top_db)


@torch.inference_mode()
def collect_lessons(
    teacher: AudioEncoder, teacher_sha256: str, store: WaveStore, rows: list[int], data: DataConfig, folder: Path,
    device: torch.device,
) -> Lessons:  # fmt: skip
    """Embed every window of `rows` with the teacher, or read them from the cache of an earlier call.

    Raises:
        InputError: an embedding is not finite.
    """
    cut = [data.window_s, data.hop_s, data.trim_top_db]
    key = sha256_json([teacher_sha256, [store.recordings[row].key for row in rows], store.key, *cut])
    file = folder / f"teacher-{key[:16]}.npz"
    if file.is_file():
        kept = read_npz(file, "kept lessons", MAX_CACHE_BYTES)
        return Lessons(kept.numbers("row", 1), kept.numbers("number", 1), kept.numbers("embedding", 2))
    frontend = make_frontend(teacher.frontend).to(device)
    teacher.to(device)  # type: ignore[arg-type]
    teacher.eval()
    row_of: list[int] = []
    number_of: list[int] = []
    embeddings: list[np.ndarray] = []
    for row in track(rows, "listening with the teacher"):
        windows = windows_of(store, row, data, teacher.frontend.sample_rate_hz)
        embedding = teacher.embed_mel(frontend(torch.from_numpy(np.ascontiguousarray(windows)).to(device)))
        embeddings.append(embedding.float().cpu().numpy())
        if not np.isfinite(embeddings[-1]).all():
            raise InputError(
                "the teacher gives embeddings that are not finite",
                given=store.recordings[row].key,
                remedy="its weights are damaged or its training diverged; train again with a lower learning rate",
            )
        row_of.extend([row] * len(windows))
        number_of.extend(range(len(windows)))
    lessons = Lessons(np.array(row_of), np.array(number_of), np.concatenate(embeddings))
    with atomic_path(file) as temporary:
        np.savez(temporary, row=lessons.row, number=lessons.number, embedding=lessons.embedding)
    return lessons


@dataclass(frozen=True)
class Reduction:
    """Principal components of the teacher's embeddings: the space that the student's embedding lives in.

    Attributes:
        mean: [D]. directions: [D, K], scaled so that reduced training embeddings have unit mean square length.
        kept: share of the teacher's variance that the K directions keep.
    """

    mean: np.ndarray
    directions: np.ndarray
    kept: float

    def apply(self, embedding: np.ndarray) -> np.ndarray:
        """[N, D] -> [N, K]."""
        return ((embedding - self.mean) @ self.directions).astype(np.float32)


def fit_reduction(embedding: np.ndarray, width: int) -> Reduction:
    """Fit on training windows; directions beyond the teacher's rank are zero-padded so that K = `width`.

    Directions are scaled by the fourth root of their variance's inverse: halfway to whitening, because a cosine on
    the plain components is decided by the teacher's few strongest directions, and most tasks are not among them.
    """
    mean = embedding.mean(0)
    centered = (embedding - mean).astype(np.float64)
    covariance = centered.T @ centered / max(1, len(centered) - 1)
    values, vectors = np.linalg.eigh(covariance)
    order = np.argsort(values)[::-1][:width]
    directions = vectors[:, order]
    signs = np.sign(directions[np.abs(directions).argmax(0), np.arange(directions.shape[1])])
    directions = directions * signs
    total = float(values.sum())
    kept = float(values[order].sum()) / total if total > 0 else 0.0
    variances = np.maximum(values[order], 0.0)
    weights = (variances + FLOOR * max(float(variances[0]), 1e-12)) ** -0.25
    scale = 1 / np.sqrt(max(float((variances * weights**2).sum()), 1e-12))
    reduced = np.zeros((embedding.shape[1], width))
    reduced[:, : directions.shape[1]] = directions * weights * scale
    return Reduction(mean.astype(np.float32), reduced.astype(np.float32), kept)
