"""Decisions that do not flicker: smoothed scores of a stream, with hysteresis around each task's threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.errors import ArtifactError
from acula_edge.runtime.answers import TaskColumns, from_linear, to_linear
from acula_edge.smoothing import SMOOTHING_SCHEMA, SmoothingSettings


def read_smoothing(entry: dict[str, Any] | None) -> SmoothingSettings:
    """Read ``smoothing`` of ``bundle.json``; None for the defaults.

    Raises:
        ArtifactError: it is of another version or cannot be read.
    """
    if entry is None:
        return SmoothingSettings()
    if entry.get("schema") != SMOOTHING_SCHEMA:
        raise ArtifactError(
            "this bundle's smoothing is of another version", given=entry.get("schema"), allowed=SMOOTHING_SCHEMA
        )
    try:
        return SmoothingSettings(**{field.name: float(entry[field.name]) for field in fields(SmoothingSettings)})
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError("this bundle's smoothing cannot be read", given=repr(error)) from error


@dataclass(frozen=True)
class Hysteresis:
    """The two thresholds of a binary task: positive from `enter`, negative again below `leave`."""

    enter: float
    leave: float

    @classmethod
    def around(cls, threshold: float, margin_log_odds: float) -> Hysteresis:
        """Both at the same distance from `threshold` in log odds."""
        center = _log_odds(threshold)
        return cls(_probability(center + margin_log_odds), _probability(center - margin_log_odds))


class Decisions:
    """The state of every task over one stream.

    Binary tasks start by their plain threshold and then change at :class:`Hysteresis`; a multiclass task changes its
    label once another is more probable by the margin; of a regression only the smoothed value is told.
    """

    def __init__(self, tasks: Sequence[TaskColumns], settings: SmoothingSettings) -> None:
        self._tasks = tasks
        self._settings = settings
        self._bounds = {
            task.id: Hysteresis.around(task.threshold, settings.margin_log_odds)
            for task in tasks
            if task.kind == "binary" and task.threshold is not None
        }
        self._linear: NDArray[np.float64] | None = None
        self._measured_s = 0.0
        self._labels: dict[str, int] = {}
        self._since_s: dict[str, float] = {}

    def add(self, scores: NDArray[np.float32], end_s: float, measurable: bool) -> dict[str, dict[str, Any]]:
        """Take the scores of the window that ends at `end_s`; one that is not measurable changes nothing.

        Shape: scores [1, K].

        Returns:
            By task id: ``score`` (smoothed; of a multiclass task that of its label), ``label``, ``since_s`` (end of
            the window that brought the label), ``age_s`` (since the last measurable window), and of a binary task
            ``positive``, ``enter`` and ``leave``. All but the last two are None before the first measurable window,
            and again after ``forget_s`` without one.
        """
        if measurable:
            self._smooth(to_linear(scores, self._tasks)[0], end_s)
        elif self._linear is not None and end_s - self._measured_s > self._settings.forget_s:
            self._linear = None
            self._labels.clear()
            self._since_s.clear()
        smooth = None if self._linear is None else from_linear(self._linear, self._tasks)
        return {task.id: self._describe(task, smooth, end_s) for task in self._tasks}

    def _smooth(self, linear: NDArray[np.float64], end_s: float) -> None:
        if self._linear is None:
            self._linear = linear
        else:
            constant_s, elapsed_s = self._settings.time_constant_s, end_s - self._measured_s
            weight = 1.0 if constant_s == 0 else -math.expm1(-elapsed_s / constant_s)
            self._linear = self._linear + weight * (linear - self._linear)
        self._measured_s = end_s
        for task in self._tasks:
            label = self._decide(task, self._linear[task.start : task.stop])
            if label is not None and label != self._labels.get(task.id):
                self._labels[task.id], self._since_s[task.id] = label, end_s

    def _decide(self, task: TaskColumns, linear: NDArray[np.float64]) -> int | None:
        held = self._labels.get(task.id)
        if task.kind == "multiclass":
            best = int(np.argmax(linear))
            stays = held is not None and linear[best] - linear[held] <= self._settings.margin_log_odds
            return held if stays else best
        if task.id not in self._bounds or task.threshold is None:
            return None
        score, bounds = _probability(float(linear[0])), self._bounds[task.id]
        if held is None:
            return int(score >= task.threshold)
        return int(score >= (bounds.leave if held else bounds.enter))

    def _describe(self, task: TaskColumns, smooth: NDArray[np.float64] | None, end_s: float) -> dict[str, Any]:
        label = self._labels.get(task.id)
        column = task.start + (label or 0 if task.kind == "multiclass" else 0)
        state: dict[str, Any] = {
            "score": None if smooth is None else float(smooth[column]),
            "label": None if label is None else task.labels[label],
            "since_s": self._since_s.get(task.id),
            "age_s": None if smooth is None else end_s - self._measured_s,
        }
        if task.kind == "binary":
            bounds = self._bounds.get(task.id)
            state["positive"] = None if label is None else bool(label)
            state["enter"] = None if bounds is None else bounds.enter
            state["leave"] = None if bounds is None else bounds.leave
        return state


def _log_odds(probability: float) -> float:
    inside = min(max(probability, 1e-7), 1 - 1e-7)
    return math.log(inside) - math.log1p(-inside)


def _probability(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))
