"""From a model to an engine with its records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from acula_edge.engines.tensorrt import half, trtexec
from acula_edge.engines.tensorrt.backends import Backend, choose_backend
from acula_edge.engines.tensorrt.caches import timing_cache_path
from acula_edge.engines.tensorrt.hardware import find_gpu
from acula_edge.engines.tensorrt.inspection import (
    describe_layers,
    frontend_in_float32,
    parse_layers,
    parse_profile,
)
from acula_edge.engines.tensorrt.policy import HALF_PRECISIONS, BackendName, BuildPolicy, typing_of
from acula_edge.engines.tensorrt.records import LAYERS_SUFFIX, SCHEMA, engine_name, mark, platform_text
from acula_edge.engines.tensorrt.versions import Version, check_version, version_text
from acula_edge.errors import ArtifactError
from acula_edge.files import sha256_file, write_json
from acula_edge.progress import notify
from acula_edge.untrusted.onnx_file import inspect_onnx


def build_engine(
    onnx: str | Path, folder: str | Path, policy: BuildPolicy | None = None, backend: BackendName = "auto"
) -> Path:
    """Build an engine and write ``engine-<gpu>-<version>.plan`` (INT8; others end in their precision).

    Beside it lie ``.json`` (where it belongs and what it was built from) and ``.layers.json`` (the engine inspector's
    layers, the share of each precision by layers and, where trtexec is at hand, by time).

    Args:
        onnx: a model of the ``tensorrt`` profile: of a bundle ``model.int8.onnx``, for ``fp16`` and ``fp32``
            ``model.onnx``.
        folder: where all go; of a bundle, seal it afterwards.
        backend: ``auto`` takes the Python API where it is installed, else ``trtexec``.

    Raises:
        MissingCapability: no GPU or no TensorRT of a known version here.
        ArtifactError: the model is none that may be run (:func:`acula_edge.untrusted.onnx_file.inspect_onnx`), or
            TensorRT refused it; its own words are given.
    """
    onnx, folder, policy = Path(onnx), Path(folder), policy or BuildPolicy()
    if not onnx.is_file():
        raise ArtifactError(f"there is no model {onnx}")
    inspect_onnx(onnx)
    chosen = choose_backend(backend)
    gpu = find_gpu()
    version = chosen.version()
    check_version(version)
    typing = typing_of(version, policy.precision)
    allows_fp16 = policy.fp16 and policy.precision == "int8" and typing == "weak" and chosen.holds_frontend
    policy = replace(policy, fp16=allows_fp16, timing_cache=policy.timing_cache or timing_cache_path(gpu, version))
    assert policy.timing_cache is not None
    source = half.convert(onnx) if policy.precision in HALF_PRECISIONS else onnx
    plan = folder / engine_name(gpu, version, policy.precision)
    chosen.build(source, plan, policy.timing_cache, policy, version)
    sha256 = sha256_file(plan)
    write_json(
        plan.with_suffix(".json"),
        {
            "schema": SCHEMA,
            "gpu": gpu.name,
            "compute_capability": gpu.compute_capability,
            "tensorrt": version_text(version),
            "platform": platform_text(),
            "backend": chosen.name,
            "precision": policy.precision,
            "typing": typing,
            "policy": policy.describe(),
            "model": {"file": source.name, "sha256": sha256_file(source)},
            "engine": {"file": plan.name, "sha256": sha256, "bytes": plan.stat().st_size},
            "mark": mark(sha256),
            **_describe_layers(chosen, plan, policy, version),
        },
    )
    return plan


def _describe_layers(backend: Backend, plan: Path, policy: BuildPolicy, version: Version) -> dict[str, Any]:
    """Write the layers beside the engine; what the record says of them. The engine stands even if this fails."""
    empty = {"layers": None, "gpu_compute_ms": None, "frontend_in_float32": None}
    try:
        raw = backend.inspect(plan)
        layers = parse_layers(raw)
    except (ArtifactError, OSError) as error:
        notify("the engine was built, but its layers could not be listed: %s", str(error).splitlines()[0])
        return empty
    times_ms, gpu_compute_ms = _time_layers(plan, version) if policy.profile else (None, None)
    facts = describe_layers(layers, times_ms, raw)
    write_json(plan.with_suffix(LAYERS_SUFFIX), facts)
    held = frontend_in_float32(layers)
    if held is False:
        notify("layers of the front end run below float32; build again with --no-fp16")
    return {
        "layers": {key: facts[key] for key in ("count", "share_by_layer", "share_by_time")},
        "gpu_compute_ms": gpu_compute_ms or None,
        "frontend_in_float32": held,
    }


def _time_layers(plan: Path, version: Version) -> tuple[dict[str, float] | None, dict[str, float] | None]:
    """Times by trtexec, if one of the same version is here."""
    program = trtexec.find_program()
    if program is None or trtexec.version(program) != version:
        return None, None
    try:
        profile, gpu_compute_ms = trtexec.profile(program, plan)
        return parse_profile(profile), gpu_compute_ms
    except (ArtifactError, OSError) as error:
        notify("the engine was built, but its layers could not be timed: %s", str(error).splitlines()[0])
        return None, None
