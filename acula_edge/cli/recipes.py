"""acula-edge recipes list|show|check"""

from __future__ import annotations

import click

from acula_edge.cli.command import verb, verb_family
from acula_edge.cli.options import json_option, set_option


@verb_family("recipes", "acula-edge recipes list", "acula-edge recipes check my.yaml")
def command() -> None:
    """List, show and check recipes, the YAML files that say how a run is made."""


@verb("list", "acula-edge recipes list", "acula-edge recipes list --json")
@json_option
def list_recipes(as_json: bool) -> None:
    """List the recipes that ship with acula-edge."""
    from acula_edge.cli.console import print_json, print_table
    from acula_edge.recipe import load_recipe
    from acula_edge.shipped import shipped_recipes

    recipes = {name: load_recipe(name) for name in shipped_recipes()}
    rows = [
        {
            "name": name,
            "encoder": recipe.encoder.name,
            "student": recipe.distill.student,
            "corpora": sorted(recipe.data.sources),
            "description": recipe.description.strip(),
        }
        for name, recipe in recipes.items()
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(["name", "encoder", "student", "corpora", "description"], [list(row.values()) for row in rows])


@verb(
    "show",
    "acula-edge recipes show auscultation",
    "acula-edge recipes show phantom > acula-edge.yaml",
    "acula-edge recipes show my.yaml --set align.epochs=4 --json",
)
@click.argument("recipe", required=False)
@set_option
@json_option
def show_recipe(recipe: str | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Print a recipe with every default filled in, as a run would keep it.

    Without RECIPE: the one that acula-edge train would use in this folder.
    """
    from acula_edge.cli.console import print_json, print_line
    from acula_edge.recipe import dump_recipe, load_recipe

    resolved = load_recipe(recipe, overrides=overrides)
    if as_json:
        print_json(resolved.to_dict())
    else:
        print_line(dump_recipe(resolved).rstrip("\n"))


@verb(
    "check", "acula-edge recipes check my.yaml", "acula-edge recipes check my.yaml --set encoder.name=opera-ce --json"
)
@click.argument("recipe", required=False)
@set_option
@json_option
def check_recipe(recipe: str | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Say whether a recipe is valid; a misspelt key or name, or a value out of range, is an error (exit code 2)."""
    from acula_edge.cli.console import note, print_facts, print_json
    from acula_edge.pipeline.names import check_names
    from acula_edge.recipe import load_recipe
    from acula_edge.shipped import find_recipe

    resolved = load_recipe(recipe, overrides=overrides)
    unchecked = check_names(resolved)
    facts = {
        "recipe": str(find_recipe(recipe)),
        "valid": True,
        "name": resolved.name,
        "sha256": resolved.fingerprint(),
    }
    if as_json:
        print_json({**facts, "not_checked": unchecked})
    else:
        print_facts(facts)
        for kind, remedy in unchecked.items():
            note(f"names of {kind} were not checked, that needs: {remedy}")


for _verb in (list_recipes, show_recipe, check_recipe):
    command.add_command(_verb)
