"""TensorRT engines of a bundle that were built on this device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from acula_edge.benchmark.subject import Subject
from acula_edge.errors import AculaEdgeError
from acula_edge.progress import notify


def engine_subjects(bundle: Path, feed: Mapping[str, NDArray[Any]]) -> list[Subject]:
    """The engines that belong here; those that do not are named, with the reason, and left out.

    ``verify.json`` does not evaluate an engine, so none carries an accuracy.

    Args:
        feed: of the whole model.
    """
    plans = sorted(bundle.glob("engine-*.plan"))
    subjects = []
    for plan in plans:
        try:
            subjects.append(_open(plan, dict(feed)))
        except AculaEdgeError as error:
            notify("%s is not measured: %s", plan.name, error.problem + (f": {error.given}" if error.given else ""))
    return subjects


def _open(plan: Path, feed: dict[str, NDArray[Any]]) -> Subject:
    from acula_edge.engines.tensorrt import check_engine, choose_backend, find_gpu
    from acula_edge.engines.tensorrt.inference import TensorRtEngine
    from acula_edge.engines.tensorrt.records import check_mark

    facts = check_engine(plan, find_gpu(), choose_backend("python").version())
    check_mark(plan, facts)
    engine = TensorRtEngine(plan)
    return Subject(plan.name, "end_to_end", facts["precision"], engine.provider, 1, lambda: engine.run(feed))
