"""Do the names in a recipe exist? Asked before hours of training, not after."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from acula_edge.doctor import list_registered
from acula_edge.errors import RecipeError, did_you_mean
from acula_edge.recipe import Recipe

GROUPS = ("all", "published")
"""Words that stand for several tasks (:func:`acula_edge.probe.tasks.resolve_tasks`)."""


def check_names(recipe: Recipe) -> dict[str, str]:
    """Look up every name that a recipe uses: encoder, student, objectives, readers, writer, tasks, calibration.

    Returns:
        The kinds that could not be looked up here, each with the command that makes it possible.

    Raises:
        InputError: a name that nothing has; says where and what was likely meant.
    """
    from acula_edge.clinical_text.corpus import check_reports_config
    from acula_edge.clinical_text.writer import writers
    from acula_edge.quantize.calibration import load_definition
    from acula_edge.zero_shot.prompts import load_prompts

    registered, missing = list_registered()
    registered["writers"] = writers.names()
    if "encoders" in registered and "students" in registered:
        registered["encoders"] = [*registered["encoders"], *registered["students"]]  # one trained without a teacher
    for key, kind, name in _used(recipe):
        known = registered.get(kind)
        if known is not None and name not in known:
            raise RecipeError(
                f"{key} names something that does not exist",
                given=name,
                allowed=known,
                remedy=did_you_mean(name, known),
            )
    check_reports_config(recipe.reports)
    load_definition(recipe.quantize.calibration)
    if recipe.zero_shot.prompts is not None:
        load_prompts(recipe.zero_shot.prompts)
    return missing


def _used(recipe: Recipe) -> Iterator[tuple[str, str, str]]:
    """Key, kind and name."""
    yield "encoder.name", "encoders", recipe.encoder.name
    if recipe.distill.student is not None:
        yield "distill.student", "students", recipe.distill.student
    yield from _each("align.objectives", "objectives", recipe.align.objectives)
    yield from _each("align.self_supervised", "self_supervised", recipe.align.self_supervised)
    for name, source in recipe.data.sources.items():
        yield f"data.sources.{name}.reader", "readers", source.reader or name
    yield "reports.writer", "writers", recipe.reports.writer
    wanted = [task for task in recipe.verify.tasks if task not in GROUPS and not set(task) & set("*?[")]
    yield from _each("verify.tasks", "tasks", wanted)
    yield from _each("verify.gate.require_tasks", "tasks", recipe.verify.gate.require_tasks)


def _each(key: str, kind: str, names: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    for name in names:
        yield key, kind, name
