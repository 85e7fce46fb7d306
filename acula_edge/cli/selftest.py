"""acula-edge selftest"""

from __future__ import annotations

from pathlib import Path

import click

from acula_edge.cli.command import verb
from acula_edge.cli.options import json_option


@verb("selftest", "acula-edge selftest runs/latest/export/base-cpu_x86", "acula-edge selftest base-cpu_arm --json")
@click.argument("bundle", type=click.Path(path_type=Path))
@json_option
def command(bundle: Path, as_json: bool) -> None:
    """Check a bundle on this device: checksums, then the golden waveforms that travel with it.

    Every model is run on them, the one that the bundle recommends also a hundred times, on a very short and a long
    recording, and with every execution provider of this machine's ONNX Runtime. Leaves with exit code 2 when a check
    fails. Where only numpy and onnxruntime are installed: python BUNDLE/selftest.py
    """
    from acula_edge.cli.console import print_json, print_line, print_table
    from acula_edge.errors import ArtifactError
    from acula_edge.runtime import selftest

    result = selftest(bundle)
    if as_json:
        print_json(result)
    else:
        print_table(["check", "passed", ""], [[c["name"], c["passed"], c["detail"]] for c in result["checks"]])
        print_line()
        print_table(
            ["provider", "", ""],
            [[p["provider"], _PROVIDER[p["state"], p["passed"]], p["detail"]] for p in result["providers"]],
        )
        runtime = f"{result['machine']}, ONNX Runtime {result['onnxruntime']}"
        print_line(f"\n{result['bundle']} on {runtime}: {result['verdict']}")
    if not result["passed"]:
        raise click.exceptions.Exit(ArtifactError.exit_code)


_PROVIDER = {
    ("present", True): "present, passed",
    ("present", False): "present, failed",
    ("unusable", None): "present, unusable here",
    ("not tried", None): "present, not tried",
    ("absent", None): "absent",
}
