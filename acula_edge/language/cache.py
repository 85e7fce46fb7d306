"""Report embeddings are computed once: safetensors files of many rows each, beside a key that names all they depend on.

Distinct reports are embedded in chunks, each written to its own file when it is done. An interrupted embedding goes on
after the last finished one, several processes share the chunks, and no more than one chunk is held in memory.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file

from acula_edge.errors import ArtifactError, InputError
from acula_edge.files import atomic_path, read_json, sha256_json, sha256_text, write_json
from acula_edge.language.fingerprint import model_fingerprint
from acula_edge.language.loading import locate_model, resolve_dtype
from acula_edge.language.teacher import TextEncoder
from acula_edge.processes import broadcast_object, is_main, main_first, rank, together, world_size
from acula_edge.progress import track
from acula_edge.recipe import LanguageConfig
from acula_edge.untrusted.safetensors import open_safetensors

SCHEMA = "acula-edge/text/2"
# Small enough that a killed run loses minutes even of a large model on a CPU, at a few reports a second.
CHUNK = 1024


def embed_reports(
    reports: Sequence[str], config: LanguageConfig, folder: str | Path, device: str | torch.device = "cpu"
) -> np.ndarray:
    """Embeddings of reports, read from the cache when nothing that decides them has changed.

    Equal reports are embedded once. The key is made of the model (name, revision, content of a local folder), its
    precision, layer, pooling, length, casing, the cache's number format, and the hash of every report.

    Args:
        reports: not empty.
        config: the language model and how it is used.
        folder: of the cache; several processes must share it.
        device: torch device; with several processes ``"cuda"`` is each one's own GPU.

    Returns:
        float32 [N, W], one row per report in the order given.

    Raises:
        InputError: there are no reports, the model cannot be used, or a vector does not fit ``storage: float16``.
    """
    return embed_recordings([[report] for report in reports], config, folder, device)


def embed_recordings(
    reports: Sequence[Sequence[str]], config: LanguageConfig, folder: str | Path, device: str | torch.device = "cpu"
) -> np.ndarray:
    """Mean embedding of each recording's phrasings, through the same cache as :func:`embed_reports`.

    Holds one row per recording and one chunk, never one row per phrasing.

    Args:
        reports: phrasings of each recording, at least one of each.

    Returns:
        float32 [R, W], one row per recording in the order given.
    """
    # Longest first: chunks hold reports of like length, which wastes no time on padding.
    distinct = sorted({text for texts in reports for text in texts}, key=lambda text: (-len(text), text))
    if not distinct or not all(reports):
        raise InputError("there are no reports to embed")
    chunks = _Chunks(Path(folder), _key(distinct, config, torch.device(device)), len(distinct))
    unfinished = broadcast_object(chunks.unfinished() if is_main() else [])
    if unfinished:
        with together():
            _embed(distinct, unfinished[rank() :: world_size()], chunks, config, device)
    with main_first():
        if is_main():
            chunks.finish()
    position = {text: index for index, text in enumerate(distinct)}
    return _means([[position[text] for text in texts] for texts in reports], chunks)


@dataclass(frozen=True)
class _Chunks:
    """The files of one embedding: number `c` holds the rows from ``c * CHUNK`` on."""

    folder: Path
    key: dict[str, Any]
    rows: int

    def __len__(self) -> int:
        return math.ceil(self.rows / CHUNK)

    def rows_of(self, number: int) -> range:
        return range(number * CHUNK, min((number + 1) * CHUNK, self.rows))

    def path(self, number: int) -> Path:
        return self.folder / f"embeddings-{sha256_json(self.key)[:16]}-{number:05}.safetensors"

    def write(self, number: int, vectors: np.ndarray) -> None:
        with np.errstate(over="ignore"):
            stored = vectors.astype(self.key["storage"])
        if not np.isfinite(stored).all():
            raise InputError(
                "report embeddings are too large for float16",
                given=f"a value of {np.abs(vectors).max():.3g}",
                remedy="--set language.storage=float32, or --set language.normalize=true",
            )
        with atomic_path(self.path(number)) as temporary:
            save_file({"embeddings": stored}, temporary, metadata={"key": sha256_json(self.key)})

    def read(self, number: int) -> np.ndarray:
        """Rows of a finished chunk, float32.

        Raises:
            ArtifactError: there is no such file, it is torn, or it belongs to another embedding.
        """
        with self._open(number) as file:
            vectors: np.ndarray = file.get_tensor("embeddings")
        return vectors.astype(np.float32)

    def unfinished(self) -> list[int]:
        """Numbers of chunks whose file is not there or not whole."""
        return [number for number in range(len(self)) if not self._is_whole(number)]

    def _is_whole(self, number: int) -> bool:
        try:
            with self._open(number):
                return True
        except ArtifactError:
            return False

    @contextlib.contextmanager
    def _open(self, number: int) -> Iterator[Any]:
        path = self.path(number)
        try:
            # Opening compares the file's length with its header: a torn file does not pass.
            with open_safetensors(path, "numpy") as file:
                shape = file.get_slice("embeddings").get_shape() if "embeddings" in file.keys() else []  # noqa: SIM118
                named = file.metadata() == {"key": sha256_json(self.key)}
                if not named or len(shape) != 2 or shape[0] != len(self.rows_of(number)):
                    raise ArtifactError(f"{path} holds other reports", remedy="delete it and run the command again")
                yield file
        except OSError as error:
            raise ArtifactError(f"{path} cannot be read", given=error, remedy="run the command again") from error

    def finish(self) -> None:
        """Write the key file where it does not say the same already, and delete what belongs to other embeddings."""
        index = self.folder / "embeddings.json"
        files = [self.path(number).name for number in range(len(self))]
        facts = {
            "schema": SCHEMA,
            "key": self.key,
            "reports": self.rows,
            "width": int(self.read(0).shape[1]),
            "files": files,
        }
        try:
            if read_json(index) == facts:
                return
        except ArtifactError:
            pass
        write_json(index, facts)
        for path in self.folder.glob("embeddings*.safetensors"):
            if path.name not in files:
                path.unlink()


def _key(distinct: Sequence[str], config: LanguageConfig, device: torch.device) -> dict[str, Any]:
    return {
        "model": config.model,
        "content": model_fingerprint(locate_model(config.model)),
        "revision": config.revision,
        "precision": str(resolve_dtype(config.precision, device)).removeprefix("torch."),
        "random_weights": config.random_weights,
        "layer": config.layer,
        "pooling": config.pooling,
        "normalize": config.normalizes,
        "max_length": config.max_length,
        "lowercase": config.lowercase,
        "storage": config.storage,
        "chunk": CHUNK,
        "reports": sha256_json([sha256_text(report) for report in distinct]),
    }


def _embed(
    distinct: Sequence[str],
    numbers: Sequence[int],
    chunks: _Chunks,
    config: LanguageConfig,
    device: str | torch.device,
) -> None:
    """Embed chunks and write each when it is done."""
    if not numbers:
        return
    encoder = TextEncoder(config, device)

    def work() -> Iterator[None]:
        for number in numbers:
            rows = chunks.rows_of(number)
            vectors: dict[int, np.ndarray] = {}
            for indices, batch in encoder.batches(distinct[rows.start : rows.stop]):
                vectors.update(zip(indices, batch, strict=True))
                yield
            chunks.write(number, np.stack([vectors[index] for index in range(len(rows))]))

    total = sum(math.ceil(len(chunks.rows_of(number)) / config.batch_size) for number in numbers)
    for _ in track(work(), "reading reports", total):
        pass


def _means(groups: Sequence[Sequence[int]], chunks: _Chunks) -> np.ndarray:
    """Mean row of each group of rows, reading each chunk once: float32 [R, W]."""
    members: list[list[tuple[int, int]]] = [[] for _ in range(len(chunks))]
    for group, rows in enumerate(groups):
        for row in rows:
            members[row // CHUNK].append((group, row % CHUNK))
    sums: np.ndarray | None = None
    for number, pairs in enumerate(members):
        vectors = chunks.read(number)
        if sums is None:
            sums = np.zeros((len(groups), vectors.shape[1]), np.float32)
        for group, row in pairs:  # ten times as fast as np.add.at
            sums[group] += vectors[row]
    assert sums is not None
    counts = np.array([len(rows) for rows in groups], np.float32)
    sums /= counts[:, None]
    return sums
