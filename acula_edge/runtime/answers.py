"""From the graph's score columns to answers per task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.bundle.schema import ScoredTask
from acula_edge.errors import ArtifactError

# Probabilities nearer to 0 or 1 than float32 resolves give no finite logit.
_EPSILON = 1e-7


@dataclass(frozen=True)
class TaskColumns:
    """One task of a bundle and where its scores lie.

    Attributes:
        id, name: of the task.
        kind: ``binary`` (one column, a probability), ``multiclass`` (one probability per label) or ``regression``
            (one column, a value).
        labels: names of the classes; of a binary task ``(absent, present)``.
        unit: of a regression's value.
        threshold: a binary score at or above it is ``labels[1]``; None where none was chosen.
        start, stop: columns.
    """

    id: str
    name: str
    kind: str
    labels: tuple[str, ...]
    unit: str
    threshold: float | None
    start: int
    stop: int

    @classmethod
    def of(cls, entry: ScoredTask) -> TaskColumns:
        """Read one entry of ``bundle.json``'s ``tasks``.

        Raises:
            ArtifactError: labels and columns contradict each other.
        """
        task = cls(
            entry.id,
            entry.name,
            entry.kind,
            tuple(entry.labels),
            entry.unit or "",
            entry.threshold,
            entry.start,
            entry.stop,
        )
        width = len(task.labels) if task.kind == "multiclass" else 1
        if task.stop - task.start != width:
            raise ArtifactError(
                f"the task {task.id} of this bundle contradicts itself",
                given=f"kind {task.kind}, {len(task.labels)} labels, columns {task.start} to {task.stop}",
            )
        if task.kind == "binary" and len(task.labels) != 2:
            raise ArtifactError(f"the binary task {task.id} of this bundle does not name two classes")
        return task


def pool_windows(scores: NDArray[np.float32], tasks: Sequence[TaskColumns]) -> NDArray[np.float64]:
    """Scores of a recording from those of its windows.

    Heads are linear, so averaging before the sigmoid or softmax equals the head applied to the mean embedding,
    which is what thresholds were chosen on.

    Shape: scores [N, K] -> [K].
    """
    return from_linear(to_linear(scores, tasks).mean(axis=0), tasks)


def to_linear(scores: NDArray[np.float32], tasks: Sequence[TaskColumns]) -> NDArray[np.float64]:
    """Undo sigmoid and softmax (up to a constant per window), so that windows can be averaged.

    Shape: [N, K] -> [N, K].
    """
    linear = scores.astype(np.float64)
    for task in tasks:
        block = linear[:, task.start : task.stop]
        if task.kind == "binary":
            np.clip(block, _EPSILON, 1 - _EPSILON, out=block)
            block[:] = np.log(block) - np.log1p(-block)
        elif task.kind == "multiclass":
            block[:] = np.log(np.maximum(block, _EPSILON))
    return linear


def from_linear(linear: NDArray[np.float64], tasks: Sequence[TaskColumns]) -> NDArray[np.float64]:
    """Inverse of :func:`to_linear`. Shape: [K] -> [K]."""
    scores = linear.copy()
    for task in tasks:
        block = scores[task.start : task.stop]
        if task.kind == "binary":
            block[:] = 1 / (1 + np.exp(-block))
        elif task.kind == "multiclass":
            block[:] = np.exp(block - block.max())
            block /= block.sum()
    return scores


class RunningMean:
    """Mean of the rows of windows, one window at a time; over measurable windows only once there is one.

    Attributes:
        measurable: whether any window so far was.
    """

    def __init__(self) -> None:
        self._total: NDArray[np.float64] | float = 0.0
        self._count = 0
        self.measurable = False

    def add(self, row: NDArray[Any], measurable: bool) -> NDArray[np.float64]:
        """Take one window in, return the mean so far. Shape: row [K] -> [K]."""
        if measurable and not self.measurable:
            self.measurable, self._total, self._count = True, 0.0, 0
        if measurable or not self.measurable:
            self._total = self._total + row.astype(np.float64)
            self._count += 1
        return np.asarray(self._total / self._count)


class RunningPool:
    """:func:`pool_windows` one window at a time, over measurable windows only once there is one.

    Attributes:
        measurable: whether any window so far was.
    """

    def __init__(self, tasks: Sequence[TaskColumns]) -> None:
        self._tasks = tasks
        self._mean = RunningMean()

    @property
    def measurable(self) -> bool:
        return self._mean.measurable

    def add(self, scores: NDArray[np.float32], measurable: bool) -> NDArray[np.float64]:
        """Take one window in, return the scores so far. Shape: scores [1, K] -> [K]."""
        return from_linear(self._mean.add(to_linear(scores, self._tasks)[0], measurable), self._tasks)


def describe_scores(
    pooled: NDArray[np.float64], tasks: Sequence[TaskColumns], measurable: bool = True
) -> dict[str, dict[str, Any]]:
    """Answers by task id; plain values, ready for JSON.

    Every task has ``name, kind, score, label``; a binary one also ``threshold, above``, a multiclass one
    ``scores`` by label, a regression ``unit``. Where `measurable` is false nothing is decided: ``label`` and
    ``above`` are None, and so is a regression's ``score``.

    Shape: pooled [K].
    """
    answers: dict[str, dict[str, Any]] = {}
    for task in tasks:
        values = [float(value) for value in pooled[task.start : task.stop]]
        answer: dict[str, Any] = {"name": task.name, "kind": task.kind, "score": values[0], "label": None}
        if task.kind == "binary":
            decided = measurable and task.threshold is not None
            above = decided and values[0] >= (task.threshold or 0.0)
            answer["label"] = task.labels[int(above)] if decided else None
            answer["threshold"] = task.threshold
            answer["above"] = above if decided else None
        elif task.kind == "multiclass":
            best = int(np.argmax(values))
            answer["score"] = values[best]
            answer["label"] = task.labels[best] if measurable else None
            answer["scores"] = dict(zip(task.labels, values, strict=True))
        else:
            answer["score"] = values[0] if measurable else None
            answer["unit"] = task.unit
        answers[task.id] = answer
    return answers
