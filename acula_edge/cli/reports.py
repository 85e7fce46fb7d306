"""acula-edge reports write"""

from __future__ import annotations

from pathlib import Path

import click

from acula_edge.cli.command import verb, verb_family
from acula_edge.cli.options import set_option


@verb_family("reports", "acula-edge reports write runs/latest/recordings.jsonl")
def command() -> None:
    """Clinical reports written from metadata."""


@verb(
    "write",
    "acula-edge reports write runs/latest/recordings.jsonl",
    "acula-edge reports write runs/circor/recordings.jsonl --set reports.variants=2 --out reports.jsonl",
)
@click.argument("manifest", type=click.Path(path_type=Path), metavar="MANIFEST")
@click.option("--recipe", metavar="RECIPE", help="Take the writer and its settings from this recipe.")
@set_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to; default reports.jsonl beside the manifest.",
)
def write_reports(manifest: Path, recipe: str | None, overrides: tuple[str, ...], out: Path | None) -> None:
    """Write the reports that alignment would read, one JSON line each, to look at them.

    MANIFEST is a run's recordings.jsonl (see acula-edge data prepare). Test recordings are left out: a report of one
    would leak its label.
    """
    from acula_edge.cli.console import note, print_line
    from acula_edge.data.manifest import read_manifest
    from acula_edge.data.reports import write_corpus
    from acula_edge.recipe import load_recipe

    target = out or manifest.with_name("reports.jsonl")
    count = write_corpus(read_manifest(manifest), load_recipe(recipe, overrides=overrides).reports, target)
    print_line(str(target))
    note(f"{count} reports")


command.add_command(write_reports)
