"""Task heads: one linear layer per task on the embedding, exported inside the model, always in float."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from acula_edge.errors import ArtifactError, InputError
from acula_edge.files import write_bytes
from acula_edge.untrusted.npz import read_npz

SCHEMA = "acula-edge/heads/1"
Kind = Literal["binary", "multiclass", "regression"]


@dataclass(frozen=True)
class TaskHead:
    """A linear head; any standardization of the embedding is folded into it.

    Attributes:
        task_id, name: of the task.
        kind: ``binary`` (one column), ``multiclass`` (one column per label) or ``regression`` (one column).
        labels: names of the classes; of a binary task ``[absent, present]``; empty for a regression.
        unit: of a regression's value; "" for none.
        weight: [D, K] float32.
        bias: [K] float32.
        threshold: probability from which a binary score counts as positive; None where none was chosen.
        dataset: the data set that the task was learned on.
    """

    task_id: str
    name: str
    kind: Kind
    labels: list[str] = field(default_factory=list)
    unit: str = ""
    weight: NDArray[np.float32] = field(default_factory=lambda: np.zeros((1, 1), np.float32))
    bias: NDArray[np.float32] = field(default_factory=lambda: np.zeros(1, np.float32))
    threshold: float | None = None
    dataset: str = ""

    def __post_init__(self) -> None:
        weight, bias = np.asarray(self.weight, np.float32), np.asarray(self.bias, np.float32)
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "bias", bias)
        if self.kind not in ("binary", "multiclass", "regression"):
            raise InputError(f"the head {self.task_id} has an unknown kind", given=self.kind)
        columns = len(self.labels) if self.kind == "multiclass" else 1
        if weight.ndim != 2 or weight.shape[1] != columns or bias.shape != (columns,):
            raise InputError(
                f"the head {self.task_id} has the wrong shape",
                given=f"weight {weight.shape}, bias {bias.shape}",
                allowed=f"weight [D, {columns}], bias [{columns}] for kind {self.kind}",
            )
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise InputError(f"the head {self.task_id} holds NaN or infinite weights")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise InputError(
                f"the threshold of {self.task_id} is no probability", given=self.threshold, allowed="0 to 1"
            )

    @property
    def columns(self) -> int:
        """Score columns K of this head."""
        return int(self.bias.shape[0])

    def describe(self) -> dict[str, Any]:
        """Everything but the arrays, as plain values."""
        return {
            "id": self.task_id,
            "name": self.name,
            "dataset": self.dataset,
            "kind": self.kind,
            "labels": list(self.labels),
            "unit": self.unit,
            "threshold": self.threshold,
        }


def column_ranges(heads: Sequence[TaskHead]) -> list[tuple[int, int]]:
    """First and one-past-last score column of every head."""
    stops = np.cumsum([head.columns for head in heads], dtype=int).tolist()
    return list(zip([0, *stops[:-1]], stops, strict=True)) if stops else []


def score(heads: Sequence[TaskHead], embedding: NDArray[Any]) -> NDArray[np.float32]:
    """What the exported graph's ``scores`` holds: probabilities of binary and multiclass heads, values of regressions.

    Shape: embedding [N, D] -> [N, K], heads side by side.
    """
    rows = np.asarray(embedding, np.float64)
    blocks = []
    for head in heads:
        logits = rows @ head.weight.astype(np.float64) + head.bias
        if head.kind == "binary":
            logits = np.exp(-np.logaddexp(0.0, -logits))
        elif head.kind == "multiclass":
            logits = np.exp(logits - logits.max(axis=-1, keepdims=True))
            logits /= logits.sum(axis=-1, keepdims=True)
        blocks.append(logits)
    return np.concatenate(blocks, axis=-1).astype(np.float32) if blocks else np.zeros((len(rows), 0), np.float32)


def check_heads(heads: Sequence[TaskHead], embedding_dim: int) -> None:
    """Refuse heads that were fitted on another embedding, or two heads of one task.

    Raises:
        InputError: names the head.
    """
    seen: set[str] = set()
    for head in heads:
        if head.weight.shape[0] != embedding_dim:
            raise InputError(
                f"the head {head.task_id} was fitted on another embedding",
                given=f"{head.weight.shape[0]} dimensions",
                allowed=f"{embedding_dim}, the encoder's",
                remedy="fit the heads again on this encoder",
            )
        if head.task_id in seen:
            raise InputError(f"there are two heads for the task {head.task_id}")
        seen.add(head.task_id)


def save_heads(path: str | Path, heads: Sequence[TaskHead]) -> None:
    """Write heads to one ``.npz``: a JSON text and two arrays per head; equal heads give equal bytes."""
    header = {"schema": SCHEMA, "heads": [head.describe() for head in heads]}
    arrays: dict[str, NDArray[Any]] = {"header": np.array(json.dumps(header, allow_nan=False))}
    for index, head in enumerate(heads):
        arrays[f"weight_{index}"] = head.weight
        arrays[f"bias_{index}"] = head.bias
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(path, buffer.getvalue())


def load_heads(path: str | Path) -> list[TaskHead]:
    """Inverse of :func:`save_heads`.

    Raises:
        ArtifactError: no such file, or not one of these.
    """
    arrays = read_npz(path, "task heads")
    header = arrays.header(SCHEMA)
    try:
        return [
            TaskHead(
                task_id=entry["id"],
                **{key: entry[key] for key in ("name", "kind", "labels", "unit", "threshold", "dataset")},
                weight=arrays.numbers(f"weight_{index}", 2),
                bias=arrays.numbers(f"bias_{index}", 1),
            )
            for index, entry in enumerate(header["heads"])
        ]
    except ArtifactError:
        raise
    except (AttributeError, InputError, KeyError, TypeError, ValueError) as error:
        raise arrays.error(error) from error
