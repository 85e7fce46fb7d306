"""acula-edge audit"""

from __future__ import annotations

from pathlib import Path

import click

from acula_edge.cli.command import verb
from acula_edge.cli.options import PROFILES, json_option


@verb(
    "audit",
    "acula-edge audit runs/latest/export/base-cpu_x86/model.int8.onnx --profile cpu_x86",
    "acula-edge audit model.onnx --profile tensorrt --json",
)
@click.argument("model", type=click.Path(path_type=Path), metavar="MODEL.onnx")
@click.option("--profile", type=click.Choice(PROFILES), required=True, help="What the model is meant to run on.")
@json_option
def command(model: Path, profile: str, as_json: bool) -> None:
    """Check an ONNX file, float or INT8, against the rules of its target.

    A finding of severity error means that the target will refuse or miscompute the model (exit code 2); a warning,
    that it will be slow there or that another version may refuse it.
    """
    from acula_edge.cli.console import print_facts, print_json, print_line, print_table
    from acula_edge.errors import ArtifactError
    from acula_edge.quantize.audit import audit_model

    result = audit_model(model, profile)
    if as_json:
        print_json(result)
    else:
        share = result["int8_mac_share"]
        print_facts(
            {
                "model": result["model"],
                "profile": result["profile"],
                "passed": result["passed"],
                "nodes": result["nodes"],
                "opset": result["opset"],
                "work": f"{result['macs'] / 1e6:.1f} million multiply-accumulates",
                "of it in INT8": None if share is None else f"{share:.1%}",
            }
        )
        findings = result["findings"]
        if findings:
            print_line()
            print_table(
                ["severity", "rule", "node", "what it means"],
                [[f["severity"], f["rule"], f["node"] or "-", f["message"]] for f in findings],
            )
    if not result["passed"]:
        raise click.exceptions.Exit(ArtifactError.exit_code)
