"""Zero-shot prompts as a bundle carries them: vectors and one matrix, scored with NumPy.

``zero_shot.npz`` holds a linear map from the model's embedding [D] to the space of the reports [K] and, per task, the
center of its data set's recordings in that space and one unit vector per class. A recording's score of a class is the
softmax over classes of cosine / temperature; no language model is needed on the device.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.bundle.layout import PROMPTS_FILE
from acula_edge.bundle.schema import Prompts
from acula_edge.errors import ArtifactError
from acula_edge.files import write_bytes
from acula_edge.untrusted.npz import read_npz

SCHEMA = "acula-edge/zero-shot/1"

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class PromptTask:
    """One task and the directions that its prompts point to.

    Attributes:
        id, name, dataset: of the task.
        labels: names of the classes.
        center: [K], the mean of the data set's training recordings in the reports' space.
        vectors: [C, K], one per class, of length 1.
    """

    id: str
    name: str
    dataset: str
    labels: Sequence[str]
    center: Array
    vectors: Array

    @property
    def kind(self) -> str:
        """``binary`` or ``multiclass``."""
        return "binary" if len(self.labels) == 2 else "multiclass"

    def score(self, projected: Array, temperature: float) -> NDArray[np.float64]:
        """Probabilities of the classes. Shape: projected [N, K] -> [N, C]."""
        rows = np.asarray(projected, np.float64) - self.center
        lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        logits = (rows / lengths) @ np.asarray(self.vectors, np.float64).T / temperature
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: NDArray[np.float64] = odds / odds.sum(axis=1, keepdims=True)
        return shares


@dataclass(frozen=True)
class PromptVectors:
    """Everything that zero-shot scores need besides the model.

    Attributes:
        prompts: name of the prompts' file.
        prompts_sha256: of the prompts.
        temperature: by which cosines are divided.
        weight: [D, K], from the embedding to the reports' space.
        tasks: in the order of the prompts' file.
    """

    prompts: str
    prompts_sha256: str
    temperature: float
    weight: Array
    tasks: Sequence[PromptTask]

    def project(self, embeddings: Array) -> NDArray[np.float64]:
        """Shape: [N, D] -> [N, K]."""
        projected: NDArray[np.float64] = np.asarray(embeddings, np.float64) @ np.asarray(self.weight, np.float64)
        return projected

    def score(self, embeddings: Array) -> dict[str, NDArray[np.float64]]:
        """Probabilities of each task's classes by its id. Shape: [N, D] -> [N, C]."""
        projected = self.project(embeddings)
        return {task.id: task.score(projected, self.temperature) for task in self.tasks}

    def answer(self, embedding: Array, measurable: bool = True) -> dict[str, dict[str, Any]]:
        """Answers about one recording by task id; plain values, ready for JSON.

        Every task has ``name``, ``kind``, ``score`` (of the second class of two, else of the likeliest), ``label``
        (the class whose prompts are nearest; None where `measurable` is false) and ``scores`` by class.

        Shape: embedding [D].
        """
        answers = {}
        for task, shares in zip(self.tasks, self.score(embedding[None]).values(), strict=True):
            values = [float(value) for value in shares[0]]
            best = int(np.argmax(values))
            answers[task.id] = {
                "name": task.name,
                "kind": task.kind,
                "score": values[1] if task.kind == "binary" else values[best],
                "label": task.labels[best] if measurable else None,
                "scores": dict(zip(task.labels, values, strict=True)),
            }
        return answers

    def describe(self) -> Prompts:
        """What ``bundle.json`` says of it."""
        ids = [task.id for task in self.tasks]
        return Prompts(PROMPTS_FILE, self.prompts, self.prompts_sha256, self.temperature, ids)


def save_prompt_vectors(folder: str | Path, vectors: PromptVectors) -> None:
    """Write ``zero_shot.npz`` into a bundle's folder; equal vectors give equal bytes."""
    kept = ("id", "name", "dataset")
    header = {
        "schema": SCHEMA,
        **{key: getattr(vectors, key) for key in ("prompts", "prompts_sha256", "temperature")},
        "tasks": [{**{key: getattr(task, key) for key in kept}, "labels": list(task.labels)} for task in vectors.tasks],
    }
    arrays: dict[str, Any] = {"header": np.array(json.dumps(header, allow_nan=False))}
    arrays["weight"] = vectors.weight.astype(np.float32)
    for number, task in enumerate(vectors.tasks):
        arrays[f"center_{number}"] = task.center.astype(np.float32)
        arrays[f"vectors_{number}"] = task.vectors.astype(np.float32)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_bytes(Path(folder) / PROMPTS_FILE, buffer.getvalue())


def load_prompt_vectors(folder: str | Path, embedding_dim: int) -> PromptVectors | None:
    """Read a bundle's prompts; None where it has none.

    Raises:
        ArtifactError: the file is not one of these, or belongs to a model of another embedding width.
    """
    path = Path(folder) / PROMPTS_FILE
    if not path.is_file():
        return None
    arrays = read_npz(path, "zero-shot prompts")
    header = arrays.header(SCHEMA)
    try:
        tasks = [
            PromptTask(
                id=_text(entry["id"]),
                name=_text(entry["name"]),
                dataset=_text(entry["dataset"]),
                labels=[_text(label) for label in entry["labels"]],
                center=arrays.numbers(f"center_{number}", 1),
                vectors=arrays.numbers(f"vectors_{number}", 2),
            )
            for number, entry in enumerate(header["tasks"])
        ]
        temperature = float(header["temperature"])
        if not 0 < temperature < np.inf or not all(len(task.labels) > 1 for task in tasks):
            raise ValueError(f"a temperature of {temperature}, or a task of less than two classes")
        prompts, sha256 = (_text(header[key]) for key in ("prompts", "prompts_sha256"))
        loaded = PromptVectors(prompts, sha256, temperature, weight=arrays.numbers("weight", 2), tasks=tasks)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise arrays.error(error) from error
    width = loaded.weight.shape[1]
    shapes = [(task.center.shape, task.vectors.shape) for task in tasks]
    if loaded.weight.shape[0] != embedding_dim or shapes != [((width,), (len(t.labels), width)) for t in tasks]:
        raise ArtifactError(
            f"{path} belongs to another model",
            given=f"a map of {loaded.weight.shape[0]} dimensions",
            allowed=f"the {embedding_dim} of this bundle's embedding",
            remedy="export the bundle again",
        )
    return loaded


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:80]} is no text")
    return value
