"""acula-edge demo"""

from __future__ import annotations

from pathlib import Path

import click

from acula_edge.cli.command import verb
from acula_edge.cli.options import json_option


@verb("demo", "acula-edge demo", "acula-edge demo --out /tmp/demo")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs/demo"),
    show_default=True,
    metavar="DIR",
    help="Folder of the run.",
)
@json_option
def command(out: Path, as_json: bool) -> None:
    """The whole line on generated recordings, from training to the report; needs no download.

    It shows that everything works and how results look. Generated recordings say nothing about patients.
    """
    from acula_edge import pipeline
    from acula_edge.cli.summary import newest_bundle, print_bundle_summary
    from acula_edge.errors import GateRefused

    try:
        pipeline.demo(out)
    except GateRefused:
        print_bundle_summary(newest_bundle(out), as_json)
        raise
    print_bundle_summary(newest_bundle(out), as_json)
