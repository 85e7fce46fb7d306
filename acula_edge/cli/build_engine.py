"""acula-edge build-engine"""

from __future__ import annotations

from pathlib import Path

import click

from acula_edge.cli.command import verb


@verb("build-engine", "acula-edge build-engine base-tensorrt", "acula-edge build-engine base-tensorrt --level 5")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--fp16/--no-fp16",
    default=True,
    show_default=True,
    help="Let layers outside INT8 run in FP16 where TensorRT can (below 10.12).",
)
@click.option(
    "--level", type=click.IntRange(0, 5), default=3, show_default=True, help="0 builds quickly, 5 searches long."
)
@click.option(
    "--backend",
    type=click.Choice(["auto", "python", "trtexec"]),
    default="auto",
    show_default=True,
    help="What builds it.",
)
def command(bundle: Path, fp16: bool, level: int, backend: str) -> None:
    """Build a TensorRT engine from a bundle of the tensorrt profile, on the device that will run it."""
    from acula_edge.cli.console import print_line
    from acula_edge.engines.bundle_files import read_bundle, seal
    from acula_edge.engines.tensorrt import BuildPolicy, build_engine
    from acula_edge.errors import ArtifactError

    info = read_bundle(bundle)
    if info.get("profile") != "tensorrt":
        raise ArtifactError(
            f"the bundle {bundle} was made for another target",
            given=info.get("profile"),
            allowed="tensorrt",
            remedy="acula-edge export --int8 --profile tensorrt",
        )
    model = bundle / ("model.int8.onnx" if "model.int8.onnx" in info["files"] else "model.onnx")
    policy = BuildPolicy(fp16=fp16, optimization_level=level, timing_cache=bundle / "timing.cache")
    plan = build_engine(model, bundle, policy, backend=backend)  # type: ignore[arg-type]
    seal(bundle)
    print_line(str(plan))
