"""acula-edge build-engine"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from acula_edge.cli.command import verb
from acula_edge.cli.options import json_option
from acula_edge.command_line import command_line


@verb(
    "build-engine",
    "acula-edge build-engine base-tensorrt",
    "acula-edge build-engine base-tensorrt --precision int8-fp16 --level 5",
    "acula-edge build-engine base-tensorrt --check",
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--precision",
    type=click.Choice(["int8", "int8-fp16", "fp16", "fp32"]),
    default="int8",
    show_default=True,
    help="The network's; int8-fp16 has float16 around its integers. The front end is float32 always.",
)
@click.option(
    "--fp16/--no-fp16",
    default=True,
    show_default=True,
    help="Let layers outside INT8 run in FP16 where TensorRT can (Python API, below 10.12).",
)
@click.option(
    "--level", type=click.IntRange(0, 5), default=3, show_default=True, help="0 builds quickly, 5 searches long."
)
@click.option(
    "--workspace", type=click.IntRange(1), default=1024, show_default=True, help="Memory for tactics, in MiB."
)
@click.option(
    "--backend",
    type=click.Choice(["auto", "python", "trtexec"]),
    default="auto",
    show_default=True,
    help="What builds it.",
)
@click.option(
    "--timing-cache",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Measured tactics, read and extended; by default one file per GPU and version in ~/.cache/acula-edge.",
)
@click.option("--profile/--no-profile", default=True, show_default=True, help="Time its layers, if trtexec is here.")
@click.option("--only-convert", is_flag=True, help="Write the float16 graph and stop: for devices without onnx.")
@click.option("--check", is_flag=True, help="Say of each engine in the bundle whether it belongs to this machine.")
@json_option
def command(
    bundle: Path,
    precision: str,
    fp16: bool,
    level: int,
    workspace: int,
    backend: str,
    timing_cache: Path | None,
    profile: bool,
    only_convert: bool,
    check: bool,
    as_json: bool,
) -> None:
    """Build a TensorRT engine from a bundle of the tensorrt profile, on the device that will run it.

    Beside the engine lie two files: where it belongs and what it was built from, and its layers with their precisions.
    """
    from acula_edge.bundle.folder import read_bundle
    from acula_edge.bundle.layout import MODEL_FILE, MODEL_INT8_FILE
    from acula_edge.bundle.writer import seal
    from acula_edge.cli.console import print_json, print_line
    from acula_edge.engines.tensorrt import BuildPolicy, build_engine
    from acula_edge.engines.tensorrt.half import convert
    from acula_edge.engines.tensorrt.policy import HALF_PRECISIONS
    from acula_edge.errors import ArtifactError, InputError
    from acula_edge.files import read_json

    info = read_bundle(bundle)
    if info.profile != "tensorrt":
        raise ArtifactError(
            f"the bundle {bundle} was made for another target",
            given=info.profile,
            allowed="tensorrt",
            remedy="acula-edge export --int8 --profile tensorrt",
        )
    if check:
        _check(bundle, backend, as_json)
        return
    model = bundle / (MODEL_INT8_FILE if precision.startswith("int8") else MODEL_FILE)
    if model.name not in info.files:
        raise ArtifactError(
            f"the bundle {bundle} has no {model.name}",
            remedy="acula-edge export --int8 --profile tensorrt, or another --precision",
        )
    if only_convert:
        if precision not in HALF_PRECISIONS:
            raise InputError("only float16 needs a graph of its own", given=precision, allowed=HALF_PRECISIONS)
        written = convert(model)
        seal(bundle)
        print_line(str(written))
        return
    policy = BuildPolicy(
        precision=precision,  # type: ignore[arg-type]
        fp16=fp16,
        workspace_mb=workspace,
        optimization_level=level,
        timing_cache=timing_cache,
        profile=profile,
    )
    plan = build_engine(model, bundle, policy, backend=backend)  # type: ignore[arg-type]
    seal(bundle)
    facts = read_json(plan.with_suffix(".json"))
    if as_json:
        print_json({"plan": str(plan), **facts})
    else:
        _print_engine(plan, facts)


def _print_engine(plan: Path, facts: dict[str, Any]) -> None:
    from acula_edge.cli.console import print_facts

    layers = facts["layers"] or {}

    def shares(name: str) -> str | None:
        found = layers.get(name)
        return None if not found else ", ".join(f"{key} {value:.0%}" for key, value in found.items())

    median_ms = (facts["gpu_compute_ms"] or {}).get("median")
    print_facts(
        {
            "engine": plan,
            "GPU": facts["gpu"],
            "TensorRT": facts["tensorrt"],
            "built by": facts["backend"],
            "typing": facts["typing"],
            "layers": layers.get("count"),
            "precision by layers": shares("share_by_layer"),
            "precision by time": shares("share_by_time"),
            "front end in float32": facts["frontend_in_float32"],
            "GPU time": None if median_ms is None else f"{median_ms:.3f} ms (median, random input)",
        }
    )


def _check(bundle: Path, backend: str, as_json: bool) -> None:
    from acula_edge.cli.console import print_json, print_table
    from acula_edge.engines.tensorrt import check_engine, choose_backend, find_gpu, list_engines
    from acula_edge.errors import ArtifactError

    plans = list_engines(bundle)
    if not plans:
        raise ArtifactError(
            f"the bundle {bundle} holds no engine", remedy=command_line("acula-edge", "build-engine", bundle)
        )
    gpu, version = find_gpu(), choose_backend(backend).version()  # type: ignore[arg-type]
    rows = []
    for plan in plans:
        try:
            check_engine(plan, gpu, version)
            rows.append({"engine": plan.name, "belongs_here": True, "differs": None})
        except ArtifactError as error:
            rows.append({"engine": plan.name, "belongs_here": False, "differs": error.given or error.problem})
    if as_json:
        print_json(rows)
    else:
        print_table(["engine", "belongs here", "what differs"], [list(row.values()) for row in rows])
    if not any(row["belongs_here"] for row in rows):
        raise click.exceptions.Exit(ArtifactError.exit_code)
