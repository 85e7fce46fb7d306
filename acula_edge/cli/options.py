"""Options and arguments that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_RUN = Path("runs/latest")
PROFILES = ("cpu_x86", "cpu_arm", "tensorrt")


def _named_corpora(ctx: click.Context, option: click.Parameter, texts: tuple[str, ...]) -> dict[str, Path]:
    """``NAME=DIR`` several times, each with a folder, or a manifest file, that exists."""
    corpora = {}
    for text in texts:
        name, separator, folder = text.partition("=")
        if not separator or not name or not folder:
            raise click.BadParameter(f"{text!r} is not NAME=DIR, for example circor=/data/circor", ctx, option)
        corpora[name] = Path(folder).expanduser()
        if not corpora[name].exists():
            raise click.BadParameter(f"there is no folder {corpora[name]}", ctx, option)
    return corpora


def rate(text: str) -> int:
    """A sample rate as an option has it: a whole number of Hz, 4000 or 4000.0.

    Raises:
        BadParameter: sound cannot have it.
    """
    from acula_edge.audio.samples import check_rate
    from acula_edge.errors import AudioError

    try:
        return check_rate(float(text))
    except (ValueError, AudioError):
        raise click.BadParameter(f"{text!r} is no sample rate of sound: a whole number of Hz, as 4000") from None


def run_argument(function: F) -> F:
    """The argument RUN, a folder that ``acula-edge train`` made."""
    return click.argument("run", type=click.Path(path_type=Path), default=DEFAULT_RUN, metavar="[RUN]")(function)


def json_option(function: F) -> F:
    """The flag ``--json``, given to the function as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")(function)


def data_option(function: F) -> F:
    """The option ``--data NAME=DIR``, several times, given to the function as a mapping."""
    return click.option(
        "--data",
        metavar="NAME=DIR",
        multiple=True,
        callback=_named_corpora,
        help="Folder of a corpus that the recipe names. Repeatable.",
    )(function)


def set_option(function: F) -> F:
    """The option ``--set section.key=value``, several times, given to the function as `overrides`."""
    return click.option(
        "--set",
        "overrides",
        metavar="A.B=C",
        multiple=True,
        help="Override one key of the recipe; the value is YAML. Repeatable.",
    )(function)
