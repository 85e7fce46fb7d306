"""Zero-shot scores on test recordings, judged by the same statistics as probes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.bundle.prompt_vectors import PromptTask
from acula_edge.data.manifest import Recording
from acula_edge.probe.analysis import analyze
from acula_edge.probe.scores import TaskScores
from acula_edge.probe.tasks import Task, tasks
from acula_edge.recipe import VerifyConfig

PROTOCOL = (
    "no probe: softmax over classes of the cosine between the recording and the place of a class's text prompts among "
    "the training reports, in the space of the alignment, centered within data set on training recordings; a recording "
    "is the mean embedding of its windows; held-out subjects"
)


def score_prompts(
    projected: Mapping[str, NDArray[Any]],
    pointed: Mapping[str, Sequence[PromptTask]],
    temperature: float,
    recordings: Sequence[Recording],
) -> tuple[list[TaskScores], list[dict[str, str]]]:
    """Scores of every task's test recordings, and why tasks have none.

    Args:
        projected: model -> [R, K] in the reports' space, not centered.
        pointed: model -> the prompts beside that model's recordings; the same tasks for all.
        recordings: R recordings with their splits.

    Returns:
        Scores are the second class's probability [N], of more than two classes all of them [N, C]. The threshold is
        even odds: the nearer prompts win.
    """
    scored, missing = [], []
    for number, task in enumerate(tasks[asked.id] for asked in next(iter(pointed.values()))):
        positions, targets = task.values(recordings, "test")
        reason = _why_not_scored(task, targets)
        if reason is not None:
            missing.append({"id": task.id, "reason": reason})
            continue
        scores = {}
        for model, rows in projected.items():
            shares = pointed[model][number].score(rows[positions], temperature)
            scores[model] = shares[:, 1] if task.kind == "binary" else shares
        scored.append(
            TaskScores(
                task=task,
                recordings=[recordings[position].key for position in positions],
                subjects=np.array([recordings[position].subject for position in positions]),
                targets=np.array(targets),
                scores=scores,
                thresholds=dict.fromkeys(projected, 0.5 if task.kind == "binary" else None),
                uninformed=0.5,
                synthetic=any(recordings[position].synthetic for position in positions),
            )
        )
    return scored, missing


def judge_prompts(scored: Sequence[TaskScores], config: VerifyConfig) -> list[dict[str, Any]]:
    """One entry per task, as in ``verify.json``'s ``tasks`` but for the probe that does not exist."""
    entries = []
    for item in scored:
        facts = {**analyze(item, config).facts, "protocol": PROTOCOL}
        facts.pop("retrained_probe", None)
        entries.append(facts)
    return entries


def _why_not_scored(task: Task, targets: Sequence[float]) -> str | None:
    if not targets:
        return "no usable recordings in the test split"
    absent = [label for number, label in enumerate(task.labels) if number not in targets]
    return f"no recordings with {', '.join(absent)} in the test split" if absent else None
