"""acula-edge bundle ort"""

from __future__ import annotations

from pathlib import Path

import click

from acula_edge.cli.command import verb
from acula_edge.cli.options import json_option


@verb(
    "ort",
    "acula-edge bundle ort runs/latest/export/base-cpu_x86 --out base.ort",
    "acula-edge bundle ort base-cpu_arm --target arm --out app/src/main/assets",
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="DIR",
    help="Folder for the files.",
)
@click.option(
    "--precision", type=click.Choice(["int8", "float"]), default="int8", show_default=True, help="Which model."
)
@click.option(
    "--target", type=click.Choice(["arm", "amd64"]), help="Kind of processor; default what the bundle's profile is for."
)
@json_option
def command(bundle: Path, out: Path, precision: str, target: str | None, as_json: bool) -> None:
    """Convert the model to ONNX Runtime's own format, for builds that hold one model's operators only.

    Writes the .ort file and the list of operators that such a build is made from, after the file has answered the
    golden waveforms as the bundle does, where it is for this kind of processor.
    """
    from acula_edge.cli.console import print_json, print_line
    from acula_edge.engines.ort_format import write_ort_format

    result = write_ort_format(bundle, out, precision, target)
    if as_json:
        print_json(result)
        return
    print_line(result["model"])
    print_line(result["operators"])
    waveforms = result["waveforms"]
    if waveforms is None:
        print_line(f"not run here: it is for {target or result['target']}")
    else:
        worst = min(entry["cosine"] for entry in waveforms)
        print_line(f"{len(waveforms)} golden waveforms, cosine at least {worst:.6f}")
