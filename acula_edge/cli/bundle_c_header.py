"""acula-edge bundle c-header"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from acula_edge.cli.command import verb
from acula_edge.cli.options import json_option


@verb(
    "c-header",
    "acula-edge bundle c-header runs/latest/export/tiny-cpu_arm --out golden.h",
    "acula-edge bundle c-header tiny-cpu_arm --input mel --wave heart --wave lung --out golden.h",
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="The header.",
)
@click.option(
    "--input",
    "feed",
    type=click.Choice(["waveform", "mel"]),
    default="waveform",
    show_default=True,
    help="int16 samples for the whole model, or mel frames for the encoder alone.",
)
@click.option(
    "--precision", type=click.Choice(["int8", "float"]), default="int8", show_default=True, help="Which model."
)
@click.option("--wave", "waves", multiple=True, metavar="NAME", help="A golden waveform; repeatable. Default: three.")
@json_option
def command(
    bundle: Path,
    out: Path,
    feed: Literal["waveform", "mel"],
    precision: str,
    waves: tuple[str, ...],
    as_json: bool,
) -> None:
    """Golden vectors as a C header, to check a microcontroller's port of the model with.

    Holds inputs, expected embeddings and scores, their tolerances, and a function that judges what the port computed.
    """
    from acula_edge.cli.console import note, print_json, print_line
    from acula_edge.engines.c_header import DEFAULT_WAVES, write_c_header

    result = write_c_header(bundle, out, feed=feed, precision=precision, waves=waves or DEFAULT_WAVES)
    if as_json:
        print_json(result)
        return
    print_line(result["header"])
    note(f"{', '.join(result['vectors'])}: {result['flash_bytes'] / 1024:.0f} KiB of flash, for {result['model']}")
