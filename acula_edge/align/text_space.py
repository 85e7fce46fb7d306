"""The space that reports and recordings share after alignment, kept beside the encoder for zero-shot and retrieval.

Both sides are stacks of affine layers with ReLU between them: one each for the fixed, whitened target, two where the
text side is projected. Reports are then centered within data set: the origin is the mean training report, so that a
direction says how a report differs from the others of its data set.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from acula_edge.errors import ArtifactError, InputError
from acula_edge.untrusted.safetensors import open_safetensors
from acula_edge.untrusted.texts import parse_json

SCHEMA = "acula-edge/text-space/1"
FILE = "text_space.safetensors"

Array = NDArray[np.floating]
Layer = tuple[Array, Array]
"""Weight [I, O] and bias [O]."""


@dataclass(frozen=True)
class TextSpace:
    """From report vectors and audio embeddings to one space of K dimensions.

    Attributes:
        target: ``whitened`` or ``projected`` (:class:`acula_edge.recipe.AlignConfig`).
        text: layers from a report's vector [W] to [K].
        audio: layers from the encoder's embedding [D] to [K]; none where the encoder's heads were not kept.
        means: [K] per data set, of its training reports.
    """

    target: str
    text: Sequence[Layer]
    audio: Sequence[Layer]
    means: dict[str, Array]

    def project_text(self, vectors: Array, datasets: Sequence[str]) -> NDArray[np.float64]:
        """Report vectors [N, W] of the data sets [N] -> [N, K], centered within data set.

        Raises:
            InputError: a data set that the encoder was not aligned on has no center, or vectors have another width.
        """
        unknown = sorted(set(datasets) - set(self.means))
        if unknown:
            raise InputError(f"no report of {', '.join(unknown)} was aligned to", allowed=sorted(self.means))
        return run_layers(self.text, vectors) - np.stack([self.means[dataset] for dataset in datasets])

    def project_audio(self, embeddings: Array) -> NDArray[np.float64]:
        """The encoder's embeddings [N, D] -> [N, K]; not centered."""
        return run_layers(self.audio, embeddings)


def run_layers(layers: Sequence[Layer], rows: Array) -> NDArray[np.float64]:
    """Affine layers with ReLU between them. Shape: [N, I] -> [N, O].

    Raises:
        InputError: the rows have another width than the first layer.
    """
    result = np.asarray(rows, dtype=np.float64)
    if result.shape[1] != layers[0][0].shape[0]:
        raise InputError(
            "vectors do not fit the space that was aligned to",
            given=f"width {result.shape[1]}",
            allowed=f"width {layers[0][0].shape[0]}",
            remedy="use the language model and the encoder of the run",
        )
    for number, (weight, bias) in enumerate(layers):
        result = (np.maximum(result, 0.0) if number else result) @ weight.astype(np.float64) + bias
    return result


def make_text_space(
    target: str, text: Sequence[Layer], audio: Sequence[Layer], vectors: Array, datasets: Sequence[str]
) -> TextSpace:
    """Center a space on its training reports: vectors [N, W] of the data sets [N]."""
    names = np.array(datasets)
    projected = run_layers(text, vectors)
    means = {str(name): projected[names == name].mean(axis=0) for name in sorted(set(datasets))}
    return TextSpace(target, text, audio, means)


def save_text_space(folder: str | Path, space: TextSpace) -> None:
    """Write it into an encoder's folder, as float32."""
    arrays = {f"mean.{name}": mean for name, mean in space.means.items()}
    for side, layers in (("text", space.text), ("audio", space.audio)):
        for number, (weight, bias) in enumerate(layers):
            arrays[f"{side}.{number}.weight"], arrays[f"{side}.{number}.bias"] = weight, bias
    facts = {"schema": SCHEMA, "target": space.target, "text": len(space.text), "audio": len(space.audio)}
    values = {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in arrays.items()}
    save_file(values, Path(folder) / FILE, metadata={"facts": json.dumps(facts)})


def load_text_space(folder: str | Path) -> TextSpace | None:
    """Read what :func:`save_text_space` wrote; None where an earlier version left none.

    Raises:
        ArtifactError: the file is damaged or of another version.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return None
    try:
        with open_safetensors(path, "numpy") as file:
            facts = parse_json((file.metadata() or {}).get("facts", "{}"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if not isinstance(facts, dict) or facts.get("schema") != SCHEMA:
            found = facts.get("schema") if isinstance(facts, dict) else None
            raise ArtifactError(f"{path} has another schema", given=found, allowed=SCHEMA)
        if not all(array.dtype.kind == "f" and np.isfinite(array).all() for array in arrays.values()):
            raise ValueError("it holds NaN, infinite or no numbers")
        sides = {side: _layers(arrays, side, int(facts[side])) for side in ("text", "audio")}
        means = {name.removeprefix("mean."): array for name, array in arrays.items() if name.startswith("mean.")}
        width = sides["text"][-1][0].shape[1]
        if any(mean.shape != (width,) for mean in means.values()):
            raise ValueError(f"a mean does not have the {width} dimensions of the space")
        return TextSpace(str(facts["target"]), sides["text"], sides["audio"], means)
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ArtifactError(
            f"{path} cannot be read", given=error, remedy="train again, or delete it: a ridge map takes its place"
        ) from error


def _layers(arrays: dict[str, Array], side: str, count: int) -> list[Layer]:
    """One side's layers, each of which takes what the one before gives."""
    layers = [(arrays[f"{side}.{n}.weight"], arrays[f"{side}.{n}.bias"]) for n in range(min(count, len(arrays)))]
    for weight, bias in layers:
        if weight.ndim != 2 or bias.shape != weight.shape[1:]:
            raise ValueError(f"a layer of the shapes {weight.shape} and {bias.shape}")
    if [weight.shape[0] for weight, _ in layers[1:]] != [bias.shape[0] for _, bias in layers[:-1]]:
        raise ValueError("layers that do not fit each other")
    return layers
