"""acula-edge report"""

from __future__ import annotations

from pathlib import Path

import click

from acula_edge.cli.command import verb
from acula_edge.cli.options import DEFAULT_RUN

DEFAULT_PAGE = Path("compare.html")


@verb(
    "report",
    "acula-edge report",
    "acula-edge report runs/demo",
    "acula-edge report --compare pi5.json orin-nano.json base-cpu_x86 --out compare.html",
)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[RUN]")
@click.option(
    "--compare", is_flag=True, help="Set benchmarks side by side: JSON files of acula-edge benchmark, or bundles."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help=f"With --compare: the page; default {DEFAULT_PAGE}.",
)
@click.option("--json", "as_json", is_flag=True, help="With --compare: print the comparison as JSON.")
def command(paths: tuple[Path, ...], compare: bool, out: Path | None, as_json: bool) -> None:
    """Write RUN/report.html and RUN/report.md from the run's JSON files.

    With --compare, one page that sets any number of machines and artifacts side by side. A bundle among them brings the
    accuracy of its files, for every machine that ran the same ones.
    """
    from acula_edge.cli.console import print_json, print_line

    if compare:
        from acula_edge.reporting.compare import comparison, write_comparison

        if as_json:
            print_json(comparison(paths))
        if out is not None or not as_json:
            page = write_comparison(paths, out or DEFAULT_PAGE)
            if not as_json:
                print_line(str(page))
        return
    if out is not None or as_json:
        raise click.UsageError("--out and --json go with --compare")
    if len(paths) > 1:
        raise click.UsageError("several runs or files are set side by side with --compare")

    from acula_edge import pipeline

    print_line(str(pipeline.report(paths[0] if paths else DEFAULT_RUN)))
