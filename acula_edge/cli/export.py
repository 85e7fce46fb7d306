"""acula-edge export"""

from __future__ import annotations

from pathlib import Path

import click

from acula_edge.cli.command import verb
from acula_edge.cli.options import PROFILES, json_option, run_argument, set_option


@verb(
    "export",
    "acula-edge export --int8",
    "acula-edge export runs/latest --int8 --profile cpu_arm",
    "acula-edge export runs/latest --int8 --student none",
    "acula-edge export --int8 --set quantize.method=entropy --set quantize.aware=never",
)
@run_argument
@click.option(
    "--int8", is_flag=True, help="Quantize to INT8 as well; without it the bundle holds the float model only."
)
@click.option(
    "--student",
    metavar="NAME|none",
    help="A registered student instead of the recipe's; `none` exports the encoder itself.",
)
@click.option(
    "--profile", type=click.Choice(PROFILES), help="What the artifact is for, instead of the recipe's choice."
)
@click.option(
    "--no-gate", is_flag=True, help="Write the bundle even if the quality gate refuses it; its verdict stays."
)
@click.option(
    "--sign",
    "key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="KEY.pem",
    help="Sign the finished bundle with this Ed25519 private key.",
)
@set_option
@json_option
def command(
    run: Path,
    int8: bool,
    student: str | None,
    profile: str | None,
    no_gate: bool,
    key: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make a bundle for the device: distill if needed, quantize, verify, benchmark, report.

    INT8 that misses the gate's limits on validation persons is fine-tuned first (quantize.aware in the recipe), unless
    there is --no-gate. Test persons are asked once, about what comes out of that.

    --set changes quantize.*, benchmark.* and runtime.* for this bundle, which records it; what made the run, and the
    limits that judge it, are the run's own.

    Leaves with exit code 3 when the quality gate refuses the INT8 model.
    """
    from acula_edge import pipeline
    from acula_edge.bundle.signature import check_private_key, sign_bundle
    from acula_edge.cli.console import note
    from acula_edge.cli.summary import newest_bundle, print_bundle_summary
    from acula_edge.errors import GateRefused

    if key is not None:
        check_private_key(key)
    try:
        bundle = pipeline.export(
            run, int8=int8, profile=profile, gate=not no_gate, overrides=overrides, student=student
        )
    except GateRefused:
        print_bundle_summary(newest_bundle(run), as_json)
        raise
    if key is not None:
        note(f"signed by {sign_bundle(bundle, key)}")
    print_bundle_summary(bundle, as_json)
