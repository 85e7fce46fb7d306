"""Where a training begins: its recipe made complete, its folder made or taken up again."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from acula_edge.bundle.criteria import fix_criteria
from acula_edge.errors import InputError, RecipeError
from acula_edge.folder_lock import LOCK_FILE, locked, move_locked
from acula_edge.processes import broadcast_object, is_main, main_first
from acula_edge.progress import notify
from acula_edge.recipe import Recipe, load_recipe
from acula_edge.run import Run


@contextlib.contextmanager
def training_run(
    recipe: str | Path | Recipe | None,
    data: Mapping[str, str | Path] | None,
    overrides: Sequence[str],
    out: Path,
    resume: bool,
) -> Iterator[tuple[Run, bool]]:
    """The run to train (see :func:`acula_edge.pipeline.train`), locked, and whether it is aligned already.

    Of several processes the main one makes the folder, and the others take it up.
    """
    aligned = False
    with contextlib.ExitStack() as held:
        with main_first():
            if is_main():
                resolved = _resolve(recipe, data, overrides, Run(out), resume)
                held.enter_context(locked(out, "train"))
                aligned = _take_up(resolved, Run(out), resume)
        yield Run.open(out), broadcast_object(aligned)


def complete(recipe: Recipe) -> Recipe:
    """The recipe with everything filled in that its encoder decides.

    Raises:
        RecipeError: public weights would hear through another front end than the one that they were trained with.
    """
    from acula_edge.encoders.base import frontend_for
    from acula_edge.pipeline.names import check_names

    check_names(recipe)
    encoder = recipe.encoder
    if recipe.frontend is not None and encoder.checkpoint is None:
        return recipe
    own = frontend_for(encoder.name, encoder.checkpoint, encoder.options)
    if recipe.frontend is not None and recipe.frontend != own:
        differ = [name for name, value in own.to_dict().items() if recipe.frontend.to_dict().get(name) != value]
        raise RecipeError(
            f"the weights of {encoder.name} were trained with another front end than the recipe's",
            given=", ".join(f"{name} {recipe.frontend.to_dict().get(name)}" for name in differ),
            allowed=", ".join(f"{name} {own.to_dict()[name]}" for name in differ),
            remedy="--set frontend=null takes theirs; without encoder.checkpoint any front end can be trained",
        )
    return dataclasses.replace(recipe, frontend=own)


def _resolve(
    recipe: str | Path | Recipe | None,
    data: Mapping[str, str | Path] | None,
    overrides: Sequence[str],
    run: Run,
    resume: bool,
) -> Recipe:
    if resume and run.recipe_path.is_file() and recipe is None and not data and not overrides:
        return complete(run.recipe)
    return complete(recipe if isinstance(recipe, Recipe) else load_recipe(recipe, data=data, overrides=overrides))


def _take_up(resolved: Recipe, run: Run, resume: bool) -> bool:
    """Make or check the run's folder; whether there is nothing left to do."""
    if run.recipe_path.is_file():
        if not resume and _has_begun(run):
            notify("the run that was at %s is kept as %s", run.path, _set_aside(run.path))
        elif resume and run.recipe.fingerprint() != resolved.fingerprint():
            raise RecipeError(
                f"{run.path} was begun with another recipe",
                remedy="resume it without naming a recipe, or train into another folder with --out",
            )
        elif resume and "align" in run.manifest["stages"]:
            notify("%s is already aligned; nothing to do", run.path)
            return True
    elif run.path.is_dir() and any(path.name != LOCK_FILE for path in run.path.iterdir()):
        raise InputError(f"{run.path} holds something that is no run", remedy="choose another folder with --out")
    fix_criteria(Run.create(run.path, resolved).path, resolved)
    return False


def _has_begun(run: Run) -> bool:
    """Whether a run holds anything that training made; what comes before is made again at once."""
    return run.metrics_path.is_file() or run.encoder_dir.is_dir() or run.checkpoints_dir.is_dir()


def _set_aside(path: Path) -> Path:
    kept = path.with_name(f"{path.name}-{datetime.now():%Y%m%d-%H%M%S}")
    move_locked(path, kept)
    return kept
