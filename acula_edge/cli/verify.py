"""acula-edge verify"""

from __future__ import annotations

from pathlib import Path

import click

from acula_edge.cli.command import verb
from acula_edge.cli.options import DEFAULT_RUN, json_option


@verb(
    "verify",
    "acula-edge verify",
    "acula-edge verify runs/latest/export/base-cpu_x86 --tasks C1,T10",
    "acula-edge verify runs/latest --zero-shot prompts.yaml",
    "acula-edge verify runs/latest --json",
)
@click.argument("target", type=click.Path(path_type=Path), default=DEFAULT_RUN, metavar="[RUN|BUNDLE]")
@click.option(
    "--tasks",
    metavar="ID,ID|all|published",
    help="Tasks to evaluate instead of the recipe's; see acula-edge data list.",
)
@click.option(
    "--zero-shot",
    "zero_shot",
    metavar="PROMPTS",
    help="Text prompts to score without a probe: a YAML file or a shipped name; default the recipe's.",
)
@json_option
def command(target: Path, tasks: str | None, zero_shot: str | None, as_json: bool) -> None:
    """Say, task by task and with intervals over subjects, whether INT8 is as good as float."""
    from acula_edge import pipeline
    from acula_edge.cli.console import print_json
    from acula_edge.cli.summary import print_verification

    names = None if tasks is None else [name.strip() for name in tasks.split(",") if name.strip()]
    result = pipeline.verify(target, tasks=names, zero_shot=zero_shot)
    if as_json:
        print_json(result)
    else:
        print_verification(result)
