"""acula-edge distill"""

from __future__ import annotations

from pathlib import Path

import click

from acula_edge.cli.command import verb
from acula_edge.cli.options import run_argument


@verb("distill", "acula-edge distill", "acula-edge distill runs/latest --student tiny --resume")
@run_argument
@click.option("--student", metavar="NAME", help="A registered student instead of the recipe's; see acula-edge doctor.")
@click.option("--resume", is_flag=True, help="Go on where this was interrupted.")
def command(run: Path, student: str | None, resume: bool) -> None:
    """Teach a student to reproduce the aligned encoder's embedding."""
    from acula_edge import pipeline
    from acula_edge.cli.console import print_line

    taught = pipeline.distill(run, student=student, resume=resume)
    print_line(str(taught.student_dir(student or taught.recipe.distill.student or "")))
