"""Building, inspecting and timing through TensorRT's program ``trtexec``, by its help text of 10.3 to 11."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from acula_edge.command_line import command_line
from acula_edge.engines.tensorrt.caches import read_cache, store_cache
from acula_edge.engines.tensorrt.policy import BuildPolicy, typing_of
from acula_edge.engines.tensorrt.versions import Version, audit_line, parse_version
from acula_edge.errors import ArtifactError
from acula_edge.files import atomic_path

JETPACK_PROGRAM = Path("/usr/src/tensorrt/bin/trtexec")


def find_program() -> str | None:
    """``trtexec`` on the path or where JetPack puts it; None if it is at neither."""
    return shutil.which("trtexec") or (str(JETPACK_PROGRAM) if JETPACK_PROGRAM.is_file() else None)


def version(program: str) -> Version:
    """Version that trtexec says in its banner."""
    done = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=60, check=False)
    return parse_version(done.stdout + done.stderr)


def build_command(
    program: str, onnx: Path, plan: Path, timing_cache: Path, policy: BuildPolicy, version: Version
) -> list[str]:
    """Command line that builds an engine and runs nothing."""
    command = [
        program,
        f"--onnx={onnx}",
        f"--saveEngine={plan}",
        f"--memPoolSize=workspace:{policy.workspace_mb}",
        f"--builderOptimizationLevel={policy.optimization_level}",
        f"--timingCacheFile={timing_cache}",
        "--profilingVerbosity=detailed",
        "--noTF32",
        "--skipInference",
    ]
    typing = typing_of(version, policy.precision)
    if typing == "weak" and policy.precision == "int8":
        command.append("--int8")
    elif typing == "strong":
        command.append("--stronglyTyped")
    return command


def build(program: str, onnx: Path, plan: Path, timing_cache: Path, policy: BuildPolicy, version: Version) -> None:
    """Build an engine.

    Raises:
        ArtifactError: trtexec refused; what it said is given.
    """
    with tempfile.TemporaryDirectory() as folder, atomic_path(plan) as engine:
        cache = Path(folder) / "timing.cache"
        known = read_cache(timing_cache)
        if known:
            cache.write_bytes(known)
        _run(
            build_command(program, onnx, engine, cache, policy, version),
            f"trtexec could not build an engine from {onnx.name}",
            audit_line(onnx, version),
        )
        if not engine.is_file() or engine.stat().st_size == 0:
            raise ArtifactError(f"trtexec says that it built an engine from {onnx.name}, but wrote none")
        measured = read_cache(cache)
    if measured:
        store_cache(timing_cache, measured)


def inspect(program: str, plan: Path) -> str:
    """The engine inspector's JSON of a finished engine; a single inference is run for it.

    Raises:
        ArtifactError: trtexec cannot load the engine.
    """
    with tempfile.TemporaryDirectory() as folder:
        layers = Path(folder) / "layers.json"
        command = [
            program,
            f"--loadEngine={plan}",
            "--profilingVerbosity=detailed",
            f"--exportLayerInfo={layers}",
            "--warmUp=0",
            "--duration=0",
            "--iterations=1",
        ]
        _run(
            command,
            f"trtexec cannot load the engine {plan.name}",
            command_line("acula-edge", "build-engine", plan.parent),
        )
        return layers.read_text(encoding="utf-8")


def profile(program: str, plan: Path) -> tuple[str, dict[str, float]]:
    """Times of an engine on random input: the JSON of ``--exportProfile``, and GPU time per inference.

    The second comes from a run of its own, without the profiler: ``min, max, mean, median`` and ``p90``... in
    milliseconds, as far as trtexec prints them.

    Raises:
        ArtifactError: trtexec cannot load the engine.
    """
    with tempfile.TemporaryDirectory() as folder:
        times = Path(folder) / "profile.json"
        command = [
            program,
            f"--loadEngine={plan}",
            "--separateProfileRun",
            "--dumpProfile",
            f"--exportProfile={times}",
        ]
        said = _run(
            command,
            f"trtexec cannot load the engine {plan.name}",
            command_line("acula-edge", "build-engine", plan.parent),
        )
        return times.read_text(encoding="utf-8"), parse_gpu_time(said)


def parse_gpu_time(log: str) -> dict[str, float]:
    """GPU time per inference in milliseconds from trtexec's performance summary; empty where there is none."""
    lines = re.findall(r"^.*\bGPU Compute Time: (min = .*)$", log, re.MULTILINE)
    if not lines:
        return {}
    found = {}
    for name, value in re.findall(r"(min|max|mean|median|percentile\(\d+%\)) = ([\d.eE+-]+) ms", lines[-1]):
        percentile = re.search(r"\d+", name)
        found[f"p{percentile[0]}" if percentile else name] = float(value)
    return found


def parse_errors(log: str) -> list[str]:
    """Lines that trtexec marks as errors, without time and mark."""
    return [match[1].strip() for match in re.finditer(r"^.*?\[E\](.*)$", log, re.MULTILINE)]


def _run(command: list[str], problem: str, remedy: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    # The exit code alone is not enough: some versions end with 0 after "&&&& FAILED".
    if done.returncode != 0 or "&&&& FAILED" in said:
        reasons = "; ".join(parse_errors(said)[:5])
        raise ArtifactError(problem, given=reasons or f"exit code {done.returncode}", remedy=remedy)
    return said
