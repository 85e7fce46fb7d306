"""acula-edge bundle verify|sign, and what converts a bundle"""

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


for _verb in (verify_evidence, sign, to_ort, to_web, to_c_header):
    command.add_command(_verb)
