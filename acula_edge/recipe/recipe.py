"""The whole recipe: its sections, YAML overlays on them, and ``--set a.b=c`` on top."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from acula_edge.errors import RecipeError
from acula_edge.files import sha256_json
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.limits import MAX_DEPTH
from acula_edge.recipe.device import RuntimeConfig
from acula_edge.recipe.learning import AlignConfig, DistillConfig, EncoderConfig
from acula_edge.recipe.proof import BenchmarkConfig, QuantizeConfig, VerifyConfig, ZeroShotConfig
from acula_edge.recipe.reports import ReportsConfig
from acula_edge.recipe.sources import DataConfig, LanguageConfig
from acula_edge.shipped import find_recipe
from acula_edge.typed_values import build_typed
from acula_edge.untrusted.texts import check_depth
from acula_edge.untrusted.yaml_text import parse_yaml, read_yaml


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a run does.

    Attributes:
        frontend: what the encoder listens through; null takes the one that its public weights were trained with.
    """

    name: str = "unnamed"
    description: str = ""
    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    frontend: FrontendSpec | None = None
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    language: LanguageConfig = field(default_factory=LanguageConfig)
    reports: ReportsConfig = field(default_factory=ReportsConfig)
    align: AlignConfig = field(default_factory=AlignConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)
    quantize: QuantizeConfig = field(default_factory=QuantizeConfig)
    verify: VerifyConfig = field(default_factory=VerifyConfig)
    zero_shot: ZeroShotConfig = field(default_factory=ZeroShotConfig)
    benchmark: BenchmarkConfig = field(default_factory=BenchmarkConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for YAML and JSON."""
        return dataclasses.asdict(self)

    def fingerprint(self) -> str:
        """SHA-256 of the resolved recipe."""
        return sha256_json(self.to_dict())


def load_recipe(
    name: str | Path | None = None,
    *,
    data: Mapping[str, str | Path] | None = None,
    overrides: Sequence[str] = (),
) -> Recipe:
    """Load a recipe file, put data folders and ``a.b=c`` overrides on top, and validate.

    Args:
        name: see :func:`acula_edge.shipped.find_recipe`.
        data: folder per source name, as ``--data NAME=DIR`` gives it; a name that the recipe does not list is added
            when a reader of that name exists.
        overrides: texts of the form ``section.key=value``; values are YAML.
    """
    path = find_recipe(name)
    try:
        values = read_yaml(path) or {}
    except (OSError, ValueError) as error:
        raise RecipeError(f"the recipe {path} cannot be read as YAML", given=error) from error
    if not isinstance(values, dict):
        raise RecipeError(f"the recipe {path} is not a mapping", given=type(values).__name__)
    for text in overrides:
        _override(values, text)
    for source, root in (data or {}).items():
        sources = _section(_section(values, "data", str(path)), "sources", str(path))
        sources.setdefault(source, {"reader": source})
        _section(sources, source, str(path))["root"] = str(root)
    return recipe_from_dict(values, where=str(path))


def recipe_from_dict(values: Mapping[str, Any], where: str = "recipe") -> Recipe:
    """Validate plain values into a :class:`Recipe`."""
    recipe = build_typed(Recipe, values, where)
    assert isinstance(recipe, Recipe)
    return recipe


def override_recipe(recipe: Recipe, overrides: Sequence[str], sections: Sequence[str]) -> Recipe:
    """A resolved recipe with ``section.key=value`` on top, where only some sections may still change.

    Raises:
        RecipeError: another section is named, or what comes out is no recipe.
    """
    values = recipe.to_dict()
    for text in overrides:
        section = text.partition("=")[0].split(".")[0]
        if section not in sections:
            raise RecipeError(
                "what this run was made or is judged by cannot change any more",
                given=f"--set {text}",
                allowed=[f"{name}.*" for name in sections],
                remedy="set it where the run begins: acula-edge train --set ... --out ANOTHER-RUN",
            )
        _override(values, text)
    return recipe_from_dict(values, where="the run's recipe with --set")


def frontend_of(recipe: Recipe) -> FrontendSpec:
    """The front end of a run's recipe, where it always is filled in.

    Raises:
        RecipeError: this recipe is of no run yet.
    """
    if recipe.frontend is None:
        raise RecipeError("the recipe leaves the front end to the encoder", remedy="give it a section frontend")
    return recipe.frontend


def dump_recipe(recipe: Recipe) -> str:
    """YAML text of a resolved recipe."""
    return yaml.safe_dump(recipe.to_dict(), sort_keys=False, allow_unicode=True)


def _override(values: dict[str, Any], text: str) -> None:
    key, separator, raw = text.partition("=")
    if not separator or not key:
        raise RecipeError("--set needs a key and a value", given=text, allowed="section.key=value")
    node = values
    *parents, last = key.split(".")
    if len(parents) >= MAX_DEPTH:
        raise RecipeError("--set names a place too deep in the recipe", given=text, allowed=f"{MAX_DEPTH} levels")
    for parent in parents:
        node = _section(node, parent, f"--set {key}")
    try:
        node[last] = parse_yaml(raw)
        check_depth(values)
    except ValueError as error:
        raise RecipeError(f"--set {key}: the value cannot be read as YAML ({error})", given=raw) from error


def _section(values: dict[str, Any], name: str, where: str) -> dict[str, Any]:
    """A mapping in a mapping, made where it is not there or empty."""
    found = values.get(name)
    if found is None:
        found = values[name] = {}
    if not isinstance(found, dict):
        raise RecipeError(f"{where}: {name} is not a section", given=found)
    return found
