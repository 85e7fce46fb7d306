"""TensorRT engines, built on the device that runs them: by TensorRT's Python API or by its program ``trtexec``.

Written against the documented interfaces of TensorRT 10 and 11. No machine with TensorRT was at hand, so no engine
was ever built with this file: tests cover arguments, versions and refusals only.

Precision follows the version. Below 10.12 a network is weakly typed: Q/DQ nodes decide where INT8 is used, the INT8
and FP16 flags allow those types, and layers outside Q/DQ may run in FP16. From 10.12 a network is built strongly typed:
types come from the graph alone, so that layers outside Q/DQ run in FP32. In 11 that is the only form.

An engine is neither portable nor bit-reproducible; the JSON file beside it says where it belongs. Inference without
ONNX Runtime's overhead is ``trtexec --loadEngine``; from Python, ``OrtEngine(provider="TensorrtExecutionProvider")``.
"""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from acula_edge.errors import ArtifactError, InputError, MissingCapability
from acula_edge.files import atomic_path, sha256_file, write_bytes, write_json

SCHEMA = "acula-edge/engine/1"

Version = tuple[int, int, int]
Backend = Literal["auto", "python", "trtexec"]
Typing = Literal["weak", "strong", "always strong"]

OLDEST: Version = (10, 0, 0)
STRONG_SINCE: Version = (10, 12, 0)
ALWAYS_STRONG_SINCE: Version = (11, 0, 0)

_INSTALL = (
    "on a Jetson: sudo apt install tensorrt (it comes with JetPack); elsewhere: "
    'pip install "acula-edge[tensorrt]" with NVIDIA\'s package index within reach'
)


@dataclass(frozen=True)
class BuildPolicy:
    """How an engine is built.

    Attributes:
        fp16: let layers outside Q/DQ run in FP16 where the network is weakly typed (below 10.12).
        workspace_mb: memory that tactics may use.
        optimization_level: 0 (quick build) to 5 (long search).
        timing_cache: file with measured tactics, read and extended; makes the next build quick.
    """

    fp16: bool = True
    workspace_mb: int = 1024
    optimization_level: int = 3
    timing_cache: Path | None = None

    def __post_init__(self) -> None:
        if self.workspace_mb < 1 or not 0 <= self.optimization_level <= 5:
            raise InputError(
                "an engine needs some workspace and an optimization level of 0 to 5",
                given=f"{self.workspace_mb} MB, level {self.optimization_level}",
            )


@dataclass(frozen=True)
class Gpu:
    """The GPU that an engine is built for; unknown facts are None."""

    name: str
    compute_capability: str | None


def build_engine(
    onnx: str | Path, folder: str | Path, policy: BuildPolicy | None = None, backend: Backend = "auto"
) -> Path:
    """Build an engine from a model of the ``tensorrt`` profile and write ``engine-<gpu>-<version>.plan`` and its JSON.

    Args:
        onnx: usually a bundle's ``model.int8.onnx``.
        folder: where both go; of a bundle, seal it afterwards.
        backend: ``auto`` takes the Python API where it is installed, else ``trtexec``.

    Raises:
        MissingCapability: no GPU or no TensorRT of a known version here.
        ArtifactError: TensorRT refused the model; its own words are given.
    """
    onnx, folder, policy = Path(onnx), Path(folder), policy or BuildPolicy()
    if not onnx.is_file():
        raise ArtifactError(f"there is no model {onnx}")
    chosen = choose_backend(backend)
    gpu = find_gpu()
    version = python_version() if chosen == "python" else trtexec_version()
    check_version(version)
    plan = folder / engine_name(gpu, version)
    if chosen == "python":
        _build_with_python(onnx, plan, policy, version)
    else:
        _build_with_trtexec(onnx, plan, policy, version)
    values = asdict(policy)
    values["timing_cache"] = policy.timing_cache.name if policy.timing_cache else None
    write_json(
        plan.with_suffix(".json"),
        {
            "schema": SCHEMA,
            "gpu": gpu.name,
            "compute_capability": gpu.compute_capability,
            "tensorrt": version_text(version),
            "platform": f"{platform.system()} {platform.machine()}",
            "backend": chosen,
            "typing": typing_of(version),
            "policy": values,
            "model": {"file": onnx.name, "sha256": sha256_file(onnx)},
            "engine": {"file": plan.name, "sha256": sha256_file(plan), "bytes": plan.stat().st_size},
        },
    )
    return plan


def typing_of(version: Version) -> Typing:
    """How a network of this version is typed."""
    if version >= ALWAYS_STRONG_SINCE:
        return "always strong"
    return "strong" if version >= STRONG_SINCE else "weak"


def check_version(version: Version) -> None:
    """Refuse versions that this file was not written for.

    Raises:
        MissingCapability: older than TensorRT 10.
    """
    if version < OLDEST:
        raise MissingCapability(
            "this TensorRT is too old", given=version_text(version), allowed="10.0 or later", remedy=_INSTALL
        )


def engine_name(gpu: Gpu, version: Version) -> str:
    """File name of an engine: it says by itself where it belongs."""
    name = re.sub(r"[^a-z0-9]+", "-", gpu.name.lower()).strip("-")
    return f"engine-{name}-{version_text(version)}.plan"


def version_text(version: Version) -> str:
    """``10.3.0``"""
    return ".".join(str(part) for part in version)


def parse_version(text: str) -> Version:
    """Version from ``10.3.0`` or from trtexec's banner ``[TensorRT v100300]``.

    Raises:
        MissingCapability: neither.
    """
    banner = re.search(r"TensorRT v(\d{6,})", text)
    if banner:
        number = int(banner[1])
        return number // 10000, number // 100 % 100, number % 100
    older = re.search(r"TensorRT v(\d)(\d)(\d\d)\b", text)
    if older:
        return int(older[1]), int(older[2]), int(older[3])
    dotted = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text.strip())
    if dotted:
        return int(dotted[1]), int(dotted[2]), int(dotted[3] or 0)
    raise MissingCapability("TensorRT does not say which version it is", given=text[:80], remedy=_INSTALL)


def trtexec_command(onnx: Path, plan: Path, policy: BuildPolicy, version: Version) -> list[str]:
    """Command line that builds an engine and runs nothing."""
    command = [
        "trtexec",
        f"--onnx={onnx}",
        f"--saveEngine={plan}",
        f"--memPoolSize=workspace:{policy.workspace_mb}",
        f"--builderOptimizationLevel={policy.optimization_level}",
        "--skipInference",
    ]
    if policy.timing_cache is not None:
        command.append(f"--timingCacheFile={policy.timing_cache}")
    typing = typing_of(version)
    if typing == "weak":
        command += ["--int8", "--fp16"] if policy.fp16 else ["--int8"]
    elif typing == "strong":
        command.append("--stronglyTyped")
    return command


def choose_backend(backend: Backend) -> Literal["python", "trtexec"]:
    """The backend to use.

    Raises:
        InputError: an unknown one.
        MissingCapability: it is not installed here.
    """
    if backend not in ("auto", "python", "trtexec"):
        raise InputError("unknown TensorRT backend", given=backend, allowed=("auto", "python", "trtexec"))
    if backend in ("auto", "python") and _has_python():
        return "python"
    if backend in ("auto", "trtexec") and shutil.which("trtexec"):
        return "trtexec"
    what = {"auto": "TensorRT", "python": "TensorRT's Python package", "trtexec": "the program trtexec"}[backend]
    raise MissingCapability(f"{what} is not installed here", remedy=_INSTALL)


def python_version() -> Version:
    """Version of the installed Python package."""
    return parse_version(importlib.metadata.version("tensorrt"))


def trtexec_version() -> Version:
    """Version that trtexec says in its banner."""
    done = subprocess.run(["trtexec", "--help"], capture_output=True, text=True, timeout=60)
    return parse_version(done.stdout + done.stderr)


def find_gpu() -> Gpu:
    """The first NVIDIA GPU.

    Raises:
        MissingCapability: there is none.
    """
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=30,
        )
        lines = done.stdout.splitlines() if done.returncode == 0 else []
    except (OSError, subprocess.TimeoutExpired):
        lines = []
    board = Path("/proc/device-tree/model")
    jetson = board.read_text(errors="replace").strip("\0 \n") if board.is_file() else ""
    if lines and lines[0].strip():
        name, _, capability = (part.strip() for part in lines[0].partition(","))
        known = capability if re.fullmatch(r"\d+\.\d+", capability) else None
        return Gpu(jetson if "Jetson" in jetson else name, known)
    if "Jetson" in jetson:
        return Gpu(jetson, None)
    raise MissingCapability(
        "there is no NVIDIA GPU here; an engine is built on the device that will run it",
        remedy="copy the bundle to that device and run there: acula-edge build-engine BUNDLE",
    )


def _has_python() -> bool:
    try:
        importlib.metadata.version("tensorrt")
        import tensorrt
    except (ImportError, OSError):  # not installed, or bindings without NVIDIA's libraries
        return False
    return hasattr(tensorrt, "Builder")


def _build_with_python(onnx: Path, plan: Path, policy: BuildPolicy, version: Version) -> None:
    import tensorrt

    typing = typing_of(version)
    logger = tensorrt.Logger(tensorrt.Logger.WARNING)
    builder = tensorrt.Builder(logger)
    flags = 0
    if typing == "strong":
        flags = 1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(flags)
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(onnx.read_bytes()):
        raise ArtifactError(
            f"TensorRT {version_text(version)} cannot parse {onnx.name}",
            given="; ".join(parser.get_error(index).desc() for index in range(parser.num_errors)),
            remedy=f"acula-edge audit {onnx} --profile tensorrt",
        )
    config = builder.create_builder_config()
    config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, policy.workspace_mb << 20)
    config.builder_optimization_level = policy.optimization_level
    if typing == "weak":
        config.set_flag(tensorrt.BuilderFlag.INT8)
        if policy.fp16:
            config.set_flag(tensorrt.BuilderFlag.FP16)
    cache: Any = None
    if policy.timing_cache is not None:
        known = policy.timing_cache.read_bytes() if policy.timing_cache.is_file() else b""
        cache = config.create_timing_cache(known)
        config.set_timing_cache(cache, ignore_mismatch=False)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise ArtifactError(
            f"TensorRT {version_text(version)} could not build an engine from {onnx.name}",
            remedy="its log above says which layer; free memory or lower workspace_mb if it ran out",
        )
    write_bytes(plan, bytes(engine))
    if policy.timing_cache is not None:
        write_bytes(policy.timing_cache, bytes(cache.serialize()))


def _build_with_trtexec(onnx: Path, plan: Path, policy: BuildPolicy, version: Version) -> None:
    with atomic_path(plan) as temporary:
        done = subprocess.run(
            trtexec_command(onnx, temporary, policy, version), capture_output=True, text=True, check=False
        )
        if done.returncode != 0 or temporary.stat().st_size == 0:
            said = [line for line in (done.stdout + done.stderr).splitlines() if "[E]" in line]
            raise ArtifactError(
                f"trtexec could not build an engine from {onnx.name}",
                given="; ".join(said[:5]) or f"exit code {done.returncode}",
                remedy=f"acula-edge audit {onnx} --profile tensorrt",
            )
