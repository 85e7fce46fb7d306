"""Building and inspecting through TensorRT's Python API, by its documentation of 10.3 to 11."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from acula_edge.command_line import command_line
from acula_edge.engines.tensorrt.caches import read_cache, store_cache
from acula_edge.engines.tensorrt.hardware import find_gpu
from acula_edge.engines.tensorrt.policy import FRONTEND_PREFIX, BuildPolicy, typing_of
from acula_edge.engines.tensorrt.records import check_engine
from acula_edge.engines.tensorrt.versions import Version, audit_line, parse_version, version_text
from acula_edge.errors import ArtifactError
from acula_edge.files import write_bytes


def is_installed() -> bool:
    """Whether the package is there with NVIDIA's libraries; its bindings alone have no Builder."""
    try:
        import tensorrt
    except (ImportError, OSError):
        return False
    return hasattr(tensorrt, "Builder")


def version() -> Version:
    """Version of the installed package."""
    import tensorrt

    return parse_version(tensorrt.__version__)


def build(onnx: Path, plan: Path, timing_cache: Path, policy: BuildPolicy, version: Version) -> None:
    """Build an engine.

    Raises:
        ArtifactError: TensorRT cannot parse or build the model.
    """
    import tensorrt

    typing = typing_of(version, policy.precision)
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
            given="; ".join(_describe(parser.get_error(index)) for index in range(parser.num_errors)),
            remedy=audit_line(onnx, version),
        )
    config = builder.create_builder_config()
    config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, policy.workspace_mb << 20)
    config.builder_optimization_level = policy.optimization_level
    config.profiling_verbosity = tensorrt.ProfilingVerbosity.DETAILED
    config.clear_flag(tensorrt.BuilderFlag.TF32)
    if typing == "weak" and policy.precision == "int8":
        config.set_flag(tensorrt.BuilderFlag.INT8)
        if policy.fp16:
            config.set_flag(tensorrt.BuilderFlag.FP16)
            _hold_frontend(network, config)
    _attach_cache(config, timing_cache)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise ArtifactError(
            f"TensorRT {version_text(version)} could not build an engine from {onnx.name}",
            remedy="its log above says which layer; free memory or give less workspace if it ran out",
        )
    write_bytes(plan, bytes(engine))
    cache = config.get_timing_cache()
    if cache is not None:
        store_cache(timing_cache, bytes(cache.serialize()))


def inspect(plan: Path) -> str:
    """The engine inspector's JSON of a finished engine.

    Raises:
        ArtifactError: TensorRT cannot read the engine.
    """
    import tensorrt

    inspector = _deserialize(plan).create_engine_inspector()
    return str(inspector.get_engine_information(tensorrt.LayerInformationFormat.JSON))


def open_engine(plan: str | Path) -> Any:
    """A ``tensorrt.ICudaEngine``, after it was checked that the engine belongs to this machine.

    Raises:
        ArtifactError: it was built elsewhere or from another model, or TensorRT cannot read it.
        MissingCapability: no GPU here.
    """
    check_engine(plan, find_gpu(), version())
    return _deserialize(Path(plan))


def _deserialize(plan: Path) -> Any:
    import tensorrt

    runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.WARNING))
    engine = runtime.deserialize_cuda_engine(plan.read_bytes())
    if engine is None:
        raise ArtifactError(
            f"TensorRT cannot read the engine {plan.name}",
            remedy=f"build it on this device: {command_line('acula-edge', 'build-engine', plan.parent)}",
        )
    return engine


def _hold_frontend(network: Any, config: Any) -> None:
    """Keep the front end in FP32: powers of a quiet recording vanish in FP16."""
    import tensorrt

    for index in range(network.num_layers):
        layer = network.get_layer(index)
        outputs = range(layer.num_outputs)
        is_float = all(layer.get_output(output).dtype == tensorrt.float32 for output in outputs)
        if layer.name.startswith(FRONTEND_PREFIX) and is_float and layer.type != tensorrt.LayerType.CONSTANT:
            layer.precision = tensorrt.float32
            for output in outputs:
                layer.set_output_type(output, tensorrt.float32)
    config.set_flag(tensorrt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)


def _attach_cache(config: Any, path: Path) -> None:
    """Use the tactics measured before; a cache of another GPU or version is refused by TensorRT and starts anew."""
    cache = config.create_timing_cache(read_cache(path))
    if cache is None or not config.set_timing_cache(cache, ignore_mismatch=False):
        config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)


def _describe(error: Any) -> str:
    """What the parser says, with the node where it knows it (TensorRT 10 and later)."""
    node = error.node_name() if hasattr(error, "node_name") else ""
    return f"{node}: {error.desc()}" if node else str(error.desc())
