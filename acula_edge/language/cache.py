"""Report embeddings are computed once: safetensors beside a key that names all they depend on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from acula_edge.errors import ArtifactError
from acula_edge.files import atomic_path, read_json, sha256_json, sha256_text, write_json
from acula_edge.language.teacher import TextEncoder, locate_model
from acula_edge.recipe import LanguageConfig

SCHEMA = "acula-edge/text/1"


def embed_reports(
    reports: Sequence[str], config: LanguageConfig, folder: str | Path, device: str | torch.device = "cpu"
) -> np.ndarray:
    """Embeddings of reports, read from the cache when nothing that decides them has changed.

    Equal reports are embedded once. The key is made of model, revision, pooling, length, casing, and the hash of
    every report; a model that is a local folder counts by the hash of its configuration as well.

    Returns:
        float32 [N, W], one row per report in the order given.
    """
    folder = Path(folder)
    distinct = sorted(set(reports))
    key = {
        "model": config.model,
        "model_config": _configuration_hash(config.model),
        "revision": config.revision,
        "pooling": config.pooling,
        "max_length": config.max_length,
        "lowercase": config.lowercase,
        "reports": sha256_json([sha256_text(report) for report in distinct]),
    }
    tensors, keyfile = folder / "embeddings.safetensors", folder / "embeddings.json"
    vectors = None
    if keyfile.is_file() and tensors.is_file():
        try:
            if read_json(keyfile, schema=SCHEMA)["key"] == key:
                vectors = load_file(tensors)["embeddings"]
        except (ArtifactError, KeyError, OSError, ValueError, SafetensorError):
            vectors = None
    if vectors is None:
        vectors = TextEncoder(config, device).embed(distinct)
        with atomic_path(tensors) as temporary:
            save_file({"embeddings": np.ascontiguousarray(vectors)}, temporary)
        write_json(keyfile, {"schema": SCHEMA, "key": key, "reports": len(distinct), "width": int(vectors.shape[1])})
    position = {report: index for index, report in enumerate(distinct)}
    return vectors[[position[report] for report in reports]]


def _configuration_hash(model: str) -> str | None:
    file = Path(locate_model(model)) / "config.json"
    return sha256_text(file.read_text(encoding="utf-8")) if file.is_file() else None
