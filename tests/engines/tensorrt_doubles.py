"""Stand-ins for TensorRT, after its documentation: the Python package and the program trtexec, of three flavors.

10.3 has the precision flags; 10.13 has them still, deprecated; 11.4 has none of them, and another inspector JSON
(docs.nvidia.com: "Migrating from TensorRT 10.x to 11.x"). What a version does not have raises, as the real one would.
"""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

FLAVORS = ("10.3.0", "10.13.2", "11.4.1")
REMOVED_IN_11 = ("--int8", "--fp16", "--bf16", "--fp8", "--int4", "--best", "--calib", "--precisionConstraints")


def inspector_json(version: str) -> str:
    """What the engine inspector says of a small engine, in detail."""
    float32, int8 = "Row major linear FP32", "Thirty-two wide channel vectorized row major Int8 format"

    def tensor(name: str, text: str) -> dict[str, Any]:
        common = {"Name": name, "Location": "Device", "Dimensions": [1, 32, 8, 4]}
        if version.startswith("11"):
            return {**common, "DataType": "Int8" if "Int8" in text else "Float", "Format": text}
        return {**common, "Format/Datatype": text}

    layers = [
        {
            "Name": "frontend/power/MatMul + frontend/Log",
            "LayerType": "MatrixMultiply",
            "Inputs": [tensor("waveform", float32)],
            "Outputs": [tensor("mel", float32)],
        },
        {
            "Name": "Reformatting CopyNode for Input Tensor 0 to encoder/stem/Conv",
            "LayerType": "Reformat",
            "Inputs": [tensor("mel", float32)],
            "Outputs": [tensor("q", int8)],
        },
        {
            "Name": "encoder/stem.weight + encoder/stem/Conv + encoder/Relu",
            "LayerType": "CaskConvolution",
            "Inputs": [tensor("q", int8)],
            "Outputs": [tensor("r", int8)],
            "Weights": {"Type": "Int8", "Count": 288},
        },
        {
            "Name": "encoder/projection/Gemm",
            "LayerType": "gemm",
            "Inputs": [tensor("r", int8)],
            "Outputs": [tensor("embedding", float32)],
        },
    ]
    borders = (
        {"I/O Tensors": [{"Name": "waveform", "IOMode": "Input", "DataType": "Float"}]}
        if version.startswith("11")
        else {"Bindings": ["waveform", "embedding"]}
    )
    return json.dumps({"Layers": layers, **borders})


class Package:
    """The package ``tensorrt``; remembers what was asked of it.

    Args:
        version: one of :data:`FLAVORS`.
        refuse: what the parser or the builder does not take: "parse", "build", "cache", "read" or nothing.
    """

    def __init__(self, version: str, refuse: str = "") -> None:
        self.version, self.refuse = version, refuse
        self.calls: list[tuple[Any, ...]] = []
        self.layers = [
            self.layer("frontend/power/MatMul", "float32"),
            self.layer("frontend/Less", "bool"),
            self.layer("frontend/filters", "float32", "constant"),
            self.layer("encoder/stem/Conv", "float32"),
        ]

    @staticmethod
    def layer(name: str, dtype: str, kind: str = "convolution") -> Any:
        layer = types.SimpleNamespace(name=name, type=kind, num_outputs=1, precision=None, output_types={})
        layer.get_output = lambda index: types.SimpleNamespace(dtype=dtype)
        layer.set_output_type = lambda index, kind: layer.output_types.update({index: kind})
        return layer

    def install(self, monkeypatch: pytest.MonkeyPatch) -> Package:
        """Make it what ``import tensorrt`` finds."""
        monkeypatch.setitem(sys.modules, "tensorrt", self.module())
        return self

    def asked(self, what: str) -> list[Any]:
        return [call[1] for call in self.calls if call[0] == what]

    def module(self) -> types.ModuleType:
        calls, refuse, double = self.calls, self.refuse, self

        class Cache:
            def serialize(self) -> bytes:
                return b"tactics"

        class Config:
            def __init__(self) -> None:
                self.builder_optimization_level = 3
                self.profiling_verbosity = "names"
                self._cache: Any = None

            def set_memory_pool_limit(self, pool: str, size: int) -> None:
                calls.append(("memory", (pool, size)))

            def set_flag(self, flag: str) -> None:
                calls.append(("flag", flag))

            def clear_flag(self, flag: str) -> None:
                calls.append(("clear", flag))

            def create_timing_cache(self, data: bytes) -> Cache | None:
                calls.append(("cache", data))
                return None if refuse == "cache" and data else Cache()

            def set_timing_cache(self, cache: Cache, ignore_mismatch: bool) -> bool:
                calls.append(("mismatch", ignore_mismatch))
                self._cache = cache
                return True

            def get_timing_cache(self) -> Cache:
                return self._cache

        class Network:
            num_layers = len(double.layers)

            def get_layer(self, index: int) -> Any:
                return double.layers[index]

        class Builder:
            def __init__(self, logger: Any) -> None: ...

            def create_network(self, flags: int = 0) -> Network:
                calls.append(("network", flags))
                return Network()

            def create_builder_config(self) -> Config:
                return Config()

            def build_serialized_network(self, network: Network, config: Config) -> bytes | None:
                calls.append(("level", config.builder_optimization_level))
                calls.append(("verbosity", config.profiling_verbosity))
                return None if refuse == "build" else b"engine"

        class Logger:
            WARNING = 2

            def __init__(self, level: int) -> None: ...

        class Parser:
            num_errors = 1

            def __init__(self, network: Network, logger: Any) -> None: ...

            def parse(self, data: bytes) -> bool:
                calls.append(("parse", data))
                return refuse != "parse"

            def get_error(self, index: int) -> Any:
                return types.SimpleNamespace(desc=lambda: "zero point is not zero", node_name=lambda: "encoder/Q")

        class Runtime:
            def __init__(self, logger: Any) -> None: ...

            def deserialize_cuda_engine(self, data: bytes) -> Any:
                if refuse == "read":
                    return None
                inspector = types.SimpleNamespace(get_engine_information=lambda kind: inspector_json(double.version))
                return types.SimpleNamespace(create_engine_inspector=lambda: inspector, data=data)

        flags = {"TF32": "tf32"}
        if not self.version.startswith("11"):
            flags |= {"INT8": "int8", "FP16": "fp16", "OBEY_PRECISION_CONSTRAINTS": "obey"}
        module = types.ModuleType("tensorrt")
        vars(module).update(
            __version__=self.version,
            Logger=Logger,
            Builder=Builder,
            OnnxParser=Parser,
            Runtime=Runtime,
            float32="float32",
            LayerType=types.SimpleNamespace(CONSTANT="constant"),
            LayerInformationFormat=types.SimpleNamespace(JSON="json"),
            ProfilingVerbosity=types.SimpleNamespace(DETAILED="detailed"),
            MemoryPoolType=types.SimpleNamespace(WORKSPACE="workspace"),
            BuilderFlag=types.SimpleNamespace(**flags),
            NetworkDefinitionCreationFlag=types.SimpleNamespace(STRONGLY_TYPED=1),
        )
        return module


_PROGRAM = """#!{python}
import json, pathlib, sys
version, broken = {version!r}, {broken!r}
number = "".join(f"{{int(part):02d}}" for part in version.split("."))
command = " ".join(sys.argv)
print(f"&&&& RUNNING TensorRT.trtexec [TensorRT v{{number}}] [b9] # {{command}}")
given = dict(item.partition("=")[::2] for item in sys.argv[1:])
with open({log!r}, "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
removed = {removed!r} if version.startswith("11") else ()
def fail(reason, code=1):
    print(f"[01/01/2026-00:00:00] [E] {{reason}}")
    print(f"&&&& FAILED TensorRT.trtexec [TensorRT v{{number}}] # {{command}}")
    sys.exit(code)
if "--help" in given:
    sys.exit(0)
for name in removed:
    if name in given:
        fail(f"Unknown option: {{name}}")
if broken == "parse":
    fail("ModelImporter.cpp: encoder/Q: zero point is not zero", 0)
if "--onnx" in given:
    if "--skipInference" not in given:
        fail("inference was not asked for")
    pathlib.Path(given["--saveEngine"]).write_bytes(b"" if broken == "empty" else b"engine")
    cache = pathlib.Path(given["--timingCacheFile"])
    cache.write_bytes((cache.read_bytes() if cache.exists() else b"") + b"tactics;")
if "--exportLayerInfo" in given:
    if broken == "inspect":
        fail("cannot deserialize")
    pathlib.Path(given["--exportLayerInfo"]).write_text({inspector!r})
if "--exportProfile" in given:
    rows = [{{"count": 9}}]
    for layer, time in zip(json.loads({inspector!r})["Layers"], (0.1, 0.1, 0.2, 0.1)):
        rows.append({{"name": layer["Name"], "timeMs": 9 * time, "averageMs": time, "medianMs": time, "percentage": 0}})
    pathlib.Path(given["--exportProfile"]).write_text(json.dumps(rows))
    print("[01/01/2026-00:00:00] [I] Latency: min = 0.6 ms, max = 0.9 ms, mean = 0.7 ms, median = 0.7 ms")
    print("[01/01/2026-00:00:00] [I] GPU Compute Time: min = 0.5 ms, max = 0.8 ms, mean = 0.62 ms, median = 0.61 ms, "
          "percentile(90%) = 0.7 ms, percentile(95%) = 0.75 ms, percentile(99%) = 0.79 ms")
print(f"&&&& PASSED TensorRT.trtexec [TensorRT v{{number}}] # {{command}}")
"""


class Program:
    """The program ``trtexec`` as a real executable in `folder`; keeps a log of its arguments."""

    def __init__(self, folder: Path, version: str, broken: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self.log = folder / "trtexec", folder / "calls.jsonl"
        self.path.write_text(
            _PROGRAM.format(
                python=sys.executable,
                version=version,
                broken=broken,
                log=str(self.log),
                removed=REMOVED_IN_11,
                inspector=inspector_json(version),
            )
        )
        self.path.chmod(0o755)

    def calls(self) -> list[list[str]]:
        """Arguments of every run but the one that asks for the version."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [call for call in map(json.loads, lines) if call != ["--help"]]
