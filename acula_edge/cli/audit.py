"""acula-edge audit"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from acula_edge.bundle.layout import MODEL_INT8_FILE
from acula_edge.cli.command import verb
from acula_edge.cli.options import PROFILES, json_option


@verb(
    "audit",
    f"acula-edge audit runs/latest/export/base-cpu_x86/{MODEL_INT8_FILE} --profile cpu_x86",
    "acula-edge audit model.onnx --profile tensorrt --tensorrt 10.13 --json",
    "acula-edge audit --rules --profile tensorrt",
)
@click.argument("model", type=click.Path(path_type=Path), metavar="MODEL.onnx", required=False)
@click.option("--profile", type=click.Choice(PROFILES), help="What the model is meant to run on.")
@click.option(
    "--tensorrt",
    metavar="VERSION",
    default="10.3",
    show_default=True,
    help="The oldest TensorRT that must take it (JetPack 6.1 and 6.2 have 10.3); profile tensorrt only.",
)
@click.option("--rules", "list_only", is_flag=True, help="List the rules instead, of one profile or all, with sources.")
@json_option
def command(model: Path | None, profile: str | None, tensorrt: str, list_only: bool, as_json: bool) -> None:
    """Check an ONNX file, float or INT8, against the rules of its target.

    A finding of severity error means that the target will refuse or miscompute the model (exit code 2); a warning,
    that it will be slow there or that another version may refuse it.
    """
    from acula_edge.cli.console import print_json, print_table
    from acula_edge.errors import ArtifactError
    from acula_edge.quantize.audit import audit_model, list_rules

    if list_only:
        rules = list_rules(profile)
        if as_json:
            print_json(rules)
        else:
            columns = ["rule", "severity", "profiles", "what must hold", "source"]
            print_table(columns, [list(rule.values()) for rule in rules])
        return
    if model is None:
        raise click.UsageError("name an ONNX file, or ask for --rules")
    if profile is None:
        raise click.UsageError(f"what is it meant to run on? --profile {'|'.join(PROFILES)}")
    result = audit_model(model, profile, tensorrt)
    if as_json:
        print_json(result)
    else:
        _print_result(result)
    if not result["passed"]:
        raise click.exceptions.Exit(ArtifactError.exit_code)


def _print_result(result: dict[str, Any]) -> None:
    from acula_edge.cli.console import print_facts, print_line, print_table

    share = result["int8_mac_share"]
    print_facts(
        {
            "model": result["model"],
            "profile": result["profile"] + (f", from {result['tensorrt']}" if "tensorrt" in result else ""),
            "passed": result["passed"],
            "nodes": result["nodes"],
            "opset": result["opset"],
            "work": f"{result['macs'] / 1e6:.1f} million multiply-accumulates",
            "of the work in INT8": None if share is None else f"{share:.1%}",
            **_footprint(result["footprint"]),
        }
    )
    rows = list(_rows(result["findings"]))
    if rows:
        print_line()
        print_table(["severity", "rule", "node", "what it means"], rows)


def _footprint(footprint: dict[str, Any] | None) -> dict[str, str]:
    """Flash and RAM of the network, or of the whole graph where no part of it is called so."""
    if footprint is None:
        return {}
    part = footprint["encoder"] or footprint
    facts = {"flash for constants": f"{part['flash_bytes'] / 1e3:.0f} kB"}
    if part["ram_bytes"] is not None:
        facts["RAM for values"] = f"{part['ram_bytes'] / 1e3:.0f} kB at {part['peak_node']}"
        facts["RAM for INT8 values"] = f"at most {part['ram_int8_bytes'] / 1e3:.0f} kB"
    return facts


def _rows(findings: list[dict[str, str]]) -> Iterator[list[str]]:
    """One row per finding; of infos with one rule the first, and how many more there are (all are in the JSON)."""
    infos: dict[str, list[dict[str, str]]] = {}
    for finding in findings:
        if finding["severity"] == "info":
            infos.setdefault(finding["rule"], []).append(finding)
        else:
            yield [finding["severity"], finding["rule"], finding["node"] or "-", finding["message"]]
    for rule, same in infos.items():
        more = f" and {len(same) - 1} more" if len(same) > 1 else ""
        yield ["info", rule, (same[0]["node"] or "-") + more, same[0]["message"]]
