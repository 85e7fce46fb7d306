"""acula-edge bundle verify"""

from __future__ import annotations

from pathlib import Path

import click

from acula_edge.cli.bundle_c_header import command as to_c_header
from acula_edge.cli.bundle_ort import command as to_ort
from acula_edge.cli.bundle_web import WebAsOption
from acula_edge.cli.bundle_web import command as to_web
from acula_edge.cli.command import verb
from acula_edge.cli.options import json_option


@click.group("bundle", cls=WebAsOption, examples=["acula-edge bundle verify runs/latest/export/base-cpu_x86"])
def command(web: str | None) -> None:
    """A finished bundle: check its evidence, convert it, make a page in the browser of it."""


@verb(
    "verify",
    "acula-edge bundle verify runs/latest/export/base-cpu_x86",
    "acula-edge bundle verify runs/latest/export/base-cpu_x86 --json",
)
@click.argument("bundle", type=click.Path(path_type=Path))
@json_option
def verify_evidence(bundle: Path, as_json: bool) -> None:
    """Check what a bundle says about itself: its files, and nothing beside them.

    Leaves with exit code 2 when a check fails.
    """
    from acula_edge.cli.console import print_json, print_line, print_table
    from acula_edge.errors import ArtifactError
    from acula_edge.evidence.checks import verify_bundle

    result = verify_bundle(bundle)
    if as_json:
        print_json(result)
    else:
        print_table(["check", "passed", ""], [[c["name"], c["passed"], c["detail"]] for c in result["checks"]])
        print_line(f"\n{result['bundle']}: {result['verdict']}")
    if not result["passed"]:
        raise click.exceptions.Exit(ArtifactError.exit_code)


for _verb in (verify_evidence, to_ort, to_web, to_c_header):
    command.add_command(_verb)
