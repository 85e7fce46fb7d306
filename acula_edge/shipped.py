"""Recipes and calibration definitions that ship with acula-edge, and where they lie."""

from __future__ import annotations

from pathlib import Path

from acula_edge.errors import RecipeError, did_you_mean


def recipe_folder() -> Path:
    """Where the recipes that ship with acula-edge lie (inside the wheel, or the checkout's ``recipes/``)."""
    return _shipped_folder("recipes")


def calibration_folder() -> Path:
    """Where the calibration definitions that ship with acula-edge lie."""
    return _shipped_folder("calibration")


def _shipped_folder(name: str) -> Path:
    installed = Path(__file__).parent / f"_{name}"
    return installed if installed.is_dir() else Path(__file__).parent.parent / name


def shipped_recipes() -> list[str]:
    """Names of the recipes that ship with acula-edge."""
    return sorted(path.stem for path in recipe_folder().glob("*.yaml"))


def shipped_prompts() -> list[str]:
    """Names of the zero-shot prompts that ship with acula-edge."""
    return sorted(path.stem for path in (recipe_folder() / "prompts").glob("*.yaml"))


def find_prompts(name: str | Path) -> Path:
    """Path of a file of zero-shot prompts: a file, a shipped one's name or ``recipes/prompts/NAME.yaml``.

    Raises:
        RecipeError: there is none.
    """
    path = Path(name)
    if path.is_file():
        return path
    shipped = recipe_folder() / "prompts" / f"{path.stem}.yaml"
    if path.parent in (Path(), Path("prompts"), Path("recipes/prompts")) and shipped.is_file():
        return shipped
    raise RecipeError(
        f"there are no prompts {name}",
        allowed=[*shipped_prompts(), "or a path to a YAML file"],
        remedy=did_you_mean(path.stem, shipped_prompts()),
    )


def find_recipe(name: str | Path | None) -> Path:
    """Path of a recipe: a file, a shipped recipe's name or ``recipes/NAME.yaml``; None takes ``acula-edge.yaml``
    in the current folder if there is one, else the phantom recipe.

    Raises:
        RecipeError: there is none.
    """
    if name is None:
        local = Path("acula-edge.yaml")
        return local if local.is_file() else recipe_folder() / "phantom.yaml"
    path = Path(name)
    if path.is_file():
        return path
    shipped = recipe_folder() / f"{path.stem}.yaml"
    looks_shipped = path.parent in (Path(), Path("recipes"))
    if looks_shipped and shipped.is_file():
        return shipped
    raise RecipeError(
        f"there is no recipe {name}",
        allowed=[*shipped_recipes(), "or a path to a YAML file"],
        remedy=did_you_mean(path.stem, shipped_recipes()),
    )
