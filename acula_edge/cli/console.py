"""What the terminal shows: results on stdout, everything else on stderr; nothing that a file holds acts on it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from acula_edge.cli.display import tell
from acula_edge.errors import StorageError
from acula_edge.plain_text import make_plain
from acula_edge.processes import is_main

# A pipe has no width; rows are not folded there.
_PIPE_WIDTH = 1000


def _print(table: Table) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        _echo(line.rstrip())


def _echo(text: str) -> None:
    """Of several processes only the main one speaks."""
    if not is_main():
        return
    if sys.stdout is None:
        raise StorageError("standard output is closed, so this result goes nowhere", remedy="redirect it: > FILE")
    click.echo(text)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None, numeric: Sequence[str] = ()
) -> None:
    """Print a table on stdout; None is shown as a dash, the columns named in `numeric` are set flush right."""
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_shown(cell)) for cell in row))
    _print(table)


def print_facts(facts: Mapping[str, object], *, title: str | None = None) -> None:
    """Print names and values in two columns on stdout."""
    table = Table(title=title, title_justify="left", box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(Text(name), Text(_shown(value)))
    _print(table)


def print_json(value: Any) -> None:
    """Print JSON on stdout, and nothing else; paths become text, NaN is refused."""
    _echo(json.dumps(value, indent=2, allow_nan=False, default=str))


def print_line(text: str = "") -> None:
    """Print one line on stdout."""
    _echo(make_plain(text))


def note(text: str) -> None:
    """Say something that is not a result, on stderr."""
    if is_main():
        tell(make_plain(text))


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple, set)):
        return ", ".join(_shown(item) for item in value)
    return make_plain(str(value))
