"""acula-edge bundle verify|sign, and what converts a bundle"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

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
    "acula-edge bundle verify base-cpu_arm --public-key maker.pem --json",
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--public-key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="PEM",
    help="The bundle must be signed by this Ed25519 key.",
)
@json_option
def verify_evidence(bundle: Path, public_key: Path | None, as_json: bool) -> None:
    """Check what a bundle says about itself, without running it.

    Its files and nothing beside them, the schemas of its JSON, where it comes from, the bill of materials' hashes, the
    criteria that were fixed before the run, the model card, and the signature where there is one. Leaves with exit
    code 2 when a check fails; a dash stands for what is not there and need not be.
    """
    from acula_edge.bundle.checks import verify_bundle
    from acula_edge.cli.console import print_json, print_line, print_table
    from acula_edge.errors import ArtifactError

    result = verify_bundle(bundle, public_key)
    if as_json:
        print_json(result)
    else:
        print_table(["check", "passed", ""], [[c["name"], c["passed"], c["detail"]] for c in result["checks"]])
        print_line(f"\n{result['bundle']}: {result['verdict']}")
    if not result["passed"]:
        raise click.exceptions.Exit(ArtifactError.exit_code)


@verb(
    "sign",
    "acula-edge bundle sign runs/latest/export/base-cpu_x86 --key maker-private.pem",
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    metavar="KEY.pem",
    help="Ed25519 private key; openssl genpkey -algorithm ed25519 -out KEY.pem makes one.",
)
def sign(bundle: Path, key: Path) -> None:
    """Sign a bundle: bundle.sig, over bundle.json, which holds the hashes of all other files.

    Every file is checked first. Whatever is sealed into the bundle later (verify.json, benchmark.json, an engine)
    removes the signature; sign last. A signature shows who made a bundle to those who run with --public-key; without
    it one that is there must still be right, where the package cryptography is installed.
    """
    from acula_edge.bundle.folder import read_bundle
    from acula_edge.bundle.signature import sign_bundle
    from acula_edge.cli.console import print_line

    read_bundle(bundle)
    print_line(f"{bundle / 'bundle.sig'}: signed by {sign_bundle(bundle, key)}")


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
def to_ort(bundle: Path, out: Path, precision: str, target: str | None, as_json: bool) -> None:
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
def to_c_header(
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


for _verb in (verify_evidence, sign, to_ort, to_web, to_c_header):
    command.add_command(_verb)
