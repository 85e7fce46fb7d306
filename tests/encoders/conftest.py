"""Public checkpoints without the public weights: tensors of the published shapes, filled by a hash.

`golden_forward.json` holds what the published networks gave for these weights and for :func:`spectrogram`;
`public_shapes.json` the shapes of the published files, siblings of the same content under one key.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from acula_edge.encoders import AudioEncoder, load_encoder

_HERE = Path(__file__).parent
GOLDEN: dict[str, Any] = json.loads((_HERE / "golden_forward.json").read_text())


@pytest.fixture(scope="module")
def public_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A checkpoint of the encoder that the test module names ENCODER, wrapped as the published ones are."""
    file = tmp_path_factory.mktemp("public") / "encoder.ckpt"
    torch.save({"epoch": 3, "state_dict": public_tensors(request.module.ENCODER)}, file)
    yield file
    file.unlink()


@pytest.fixture(scope="module")
def encoder(request: pytest.FixtureRequest, public_file: Path) -> AudioEncoder:
    """The encoder in that file, in evaluation mode."""
    return load_encoder(request.module.ENCODER, checkpoint=public_file).eval()


def public_tensors(encoder: str) -> dict[str, torch.Tensor]:
    """The tensors of an encoder's public file, filled by the recipe of the golden numbers."""
    nodes = json.loads((_HERE / "public_shapes.json").read_text())[encoder]
    variance = 0.3 if encoder == "opera-ce" else 1.0
    filled = (
        (name, _fill(name, shape, number, variance)) for number, (name, shape) in enumerate(sorted(_flatten(nodes)))
    )
    return {
        name: torch.from_numpy(values if values.dtype == np.int64 else values.astype(np.float32))
        for name, values in filled
    }


def spectrogram(frames: int) -> torch.Tensor:
    """The input of the golden numbers. Shape: [2, F, 64]."""
    return torch.from_numpy(_hash(2 * frames * 64, 999983).astype(np.float32)).reshape(2, frames, 64)


def assert_golden(values: torch.Tensor, golden: dict[str, Any]) -> None:
    """Values of two clips are the published network's, as far as the golden numbers tell, to 1e-4."""
    assert list(values.shape) == golden["shape"]
    values = values.double()
    np.testing.assert_allclose(values.flatten()[:8], golden["first8"], rtol=1e-4, atol=1e-5)
    assert float(values.mean()) == pytest.approx(golden["mean"], abs=1e-4 * golden["std"])
    assert float(values.std(correction=0)) == pytest.approx(golden["std"], rel=1e-4)
    norms = values.flatten(1).norm(dim=1)
    np.testing.assert_allclose(norms, [golden["norm_row0"], golden["norm_row1"]], rtol=1e-4)
    assert float((values[0] - values[1]).abs().mean()) == pytest.approx(golden["absdiff_rows"], rel=1e-4)


def _flatten(nodes: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, tuple[int, ...]]]:
    for names, node in nodes.items():
        for name in names.split():
            if isinstance(node, dict):
                yield from _flatten(node, f"{prefix}{name}.")
            else:
                yield prefix + name, tuple(node)


def _fill(name: str, shape: tuple[int, ...], number: int, variance: float) -> np.ndarray:
    last = name.rpartition(".")[2]
    if name.endswith("pos_embed"):
        return _position_table(shape[2])
    if last == "relative_position_index":
        return _relative_position_index()
    if last == "num_batches_tracked":
        return np.zeros(shape, dtype=np.int64)
    if last in ("attn_mask", "running_mean") or "_extractor." in name:
        return np.zeros(shape)
    if last == "running_var":
        return np.full(shape, variance)
    values = 2 * _hash(int(np.prod(shape)), number).reshape(shape) - 1
    if last in ("relative_position_bias_table", "cls_token", "mask_token"):
        return 0.02 * values
    if len(shape) == 1:
        return 1 + 0.1 * values if last in ("weight", "tau") else 0.02 * values
    return np.sqrt(3 / np.prod(shape[1:])) * values


def _hash(count: int, number: int) -> np.ndarray:
    """Uniform in [0, 1), reproducible in any language."""
    mask = np.uint64(0xFFFFFFFF)
    h = np.arange(count, dtype=np.uint64) * np.uint64(2654435761)
    h = (h + np.uint64((number * 2246822519 + 374761393) % 2**32)) & mask
    h ^= h >> np.uint64(15)
    h = h * np.uint64(2246822519) & mask
    h ^= h >> np.uint64(13)
    h = h * np.uint64(3266489917) & mask
    h ^= h >> np.uint64(16)
    return h.astype(np.float64) / 2**32


def _position_table(width: int) -> np.ndarray:
    table = np.zeros((1, 1025, width))
    frequency = 10000.0 ** (-np.arange(width // 4) / (width // 4))
    for half, place in enumerate((np.arange(1024) % 64, np.arange(1024) // 64)):
        angle = place[:, None] * frequency
        table[0, 1:, half * width // 2 :][:, : width // 2] = np.concatenate([np.sin(angle), np.cos(angle)], axis=1)
    return table


def _relative_position_index() -> np.ndarray:
    place = np.stack(np.divmod(np.arange(64), 8))
    row, column = place[:, :, None] - place[:, None] + 7
    return row * 15 + column
