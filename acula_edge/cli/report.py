"""acula-edge report"""

from __future__ import annotations

from pathlib import Path

from acula_edge.cli.command import verb
from acula_edge.cli.options import run_argument


@verb("report", "acula-edge report", "acula-edge report runs/demo")
@run_argument
def command(run: Path) -> None:
    """Write RUN/report.html and RUN/report.md from the run's JSON files."""
    from acula_edge import pipeline
    from acula_edge.cli.console import print_line

    print_line(str(pipeline.report(run)))
