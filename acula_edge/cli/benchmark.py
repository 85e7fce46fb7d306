"""acula-edge benchmark"""

from __future__ import annotations

from pathlib import Path

import click

from acula_edge.bundle.layout import MODEL_FILE, MODEL_INT8_FILE
from acula_edge.cli.command import verb


@verb(
    "benchmark",
    "acula-edge benchmark runs/latest/export/base-cpu_x86",
    f"acula-edge benchmark --full a/{MODEL_FILE} b/{MODEL_INT8_FILE}",
    "acula-edge benchmark base-cpu_arm --full --json pi5.json",
    "acula-edge benchmark runs/latest/export/base-cpu_x86 --json - | jq .measurements",
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="BUNDLE|MODEL.onnx...")
@click.option("--quick", "mode", flag_value="quick", help="5 loops of at least 2 s per measurement (the default).")
@click.option("--full", "mode", flag_value="full", help="5 loops of at least 10 s per measurement.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Of ONNX Runtime; default the recipe's, or 1.")
@click.option(
    "--json",
    "json_path",
    metavar="FILE",
    help="Write the result to FILE, its raw samples beside it; - prints it instead of tables.",
)
def command(paths: tuple[Path, ...], mode: str | None, threads: int | None, json_path: str | None) -> None:
    """Measure latency, memory and, where sensors allow it, energy on this machine.

    Close other programs first. The provider that ran is asserted, never assumed. With --json FILE a bundle outside its
    run is left as it was made; acula-edge report --compare sets such files side by side.
    """
    from acula_edge import pipeline
    from acula_edge.cli.console import print_json
    from acula_edge.cli.machine_summary import print_machine
    from acula_edge.cli.summary import print_benchmark

    to_stdout = json_path == "-"
    target = None if json_path is None or to_stdout else Path(json_path)
    result = pipeline.benchmark(list(paths), mode=mode, json=target, threads=threads)
    if to_stdout:
        print_json(result)
    else:
        print_benchmark(result)
        print_machine(result)
