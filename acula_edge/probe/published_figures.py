"""The published probe of every model, for ``verify.json``: figures to set beside published ones, not verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from acula_edge.data.manifest import Recording
from acula_edge.probe.eligibility import why_not_published
from acula_edge.probe.published import published_probe
from acula_edge.probe.scores import MODELS
from acula_edge.probe.tasks import Task


def published_figures(
    task: Task, embeddings: Mapping[str, NDArray[Any]], recordings: Sequence[Recording]
) -> dict[str, Any] | None:
    """Each model's figure by the published protocol, its probe trained on its own embeddings.

    Returns:
        ``reason`` (why there are no figures, or None) and, for each model, value, std, per_seed, ...
        (:class:`acula_edge.probe.published.PublishedResult`) or None; None for a task without published protocol.
    """
    if task.published_probe is None:
        return None
    reason = why_not_published(task, recordings)
    figures: dict[str, Any] = dict.fromkeys(MODELS)
    if reason is None:
        figures.update((model, published_probe(rows, recordings, task).to_dict()) for model, rows in embeddings.items())
    return {"reason": reason, **figures}
