"""acula-edge data reports"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from acula_edge.cli.command import verb
from acula_edge.cli.options import json_option, set_option

if TYPE_CHECKING:
    from acula_edge.data.manifest import Recording
    from acula_edge.recipe import ReportsConfig


@verb(
    "reports",
    "acula-edge data reports runs/latest/recordings.jsonl",
    "acula-edge data reports runs/circor/recordings.jsonl --set reports.variants=2 --out reports.jsonl",
    "acula-edge data reports runs/circor/recordings.jsonl --set reports.writer=local-llm --set reports.local.model=DIR",
    "acula-edge data reports runs/circor/recordings.jsonl --set reports.writer=http "
    "--set reports.http.url=http://127.0.0.1:8000/v1 --set reports.http.model=NAME",
)
@click.argument("manifest", type=click.Path(path_type=Path), metavar="MANIFEST")
@click.option(
    "--recipe", metavar="RECIPE", help="Take the writer and its settings from this recipe; default the run's own."
)
@set_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to; default reports.jsonl beside the manifest, which training on that run then reads.",
)
@click.option("--yes", is_flag=True, help="Send facts to the HTTP writer's endpoint without asking.")
@json_option
def write_reports(
    manifest: Path, recipe: str | None, overrides: tuple[str, ...], out: Path | None, yes: bool, as_json: bool
) -> None:
    """Write the reports that alignment reads, one JSON line each, and check them against their facts.

    MANIFEST is a run's recordings.jsonl (see acula-edge data prepare). Test recordings, and what the leak guard
    withholds, are left out: a report of one would leak its label. After an interruption run the same command again:
    finished reports are kept.
    """
    from acula_edge.cli.console import note, print_json, print_line
    from acula_edge.clinical_text.corpus import REMOTE, write_corpus
    from acula_edge.data.manifest import read_manifest
    from acula_edge.recipe import load_recipe

    beside = manifest.with_name("recipe.yaml")
    config = load_recipe(recipe or (beside if beside.is_file() else None), overrides=overrides).reports
    target = out or manifest.with_name("reports.jsonl")
    recordings = read_manifest(manifest)
    if config.writer in REMOTE and not yes:
        partial = target.with_name(f"{target.name}.partial")
        done = partial.read_bytes().count(b"\n") if partial.exists() else 0
        _ask(recordings, config, done)
    summary = write_corpus(recordings, config, target)
    if as_json:
        print_json({"reports_file": target, **summary})
        return
    print_line(str(target))
    shown = {name.replace("_", " "): value for name, value in summary.items() if value is not None}
    for name, value in shown.items():
        note(f"{name}: {value}")
    if summary["set_aside"]:
        note(f"{summary['set_aside']} rows have no report; reasons are in {target.stem}.set-aside.jsonl")


def _ask(recordings: list[Recording], config: ReportsConfig, done: int) -> None:
    """Show what would be sent and ask; only a person, or --yes, can agree."""
    import sys

    from acula_edge.cli.console import note
    from acula_edge.clinical_text.consent import estimate
    from acula_edge.errors import InputError

    for line in estimate(recordings, config, done).lines():
        note(line)
    if sys.stdin is None or not sys.stdin.isatty():
        raise InputError("facts of the recordings are sent to another machine only with consent", remedy="add --yes")
    click.confirm("Send?", abort=True, err=True)
