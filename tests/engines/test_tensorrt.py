"""Arguments, versions and refusals. No engine is built: no machine with TensorRT was at hand."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from acula_edge.engines import tensorrt as trt
from acula_edge.engines.tensorrt import BuildPolicy, Gpu
from acula_edge.errors import ArtifactError, InputError, MissingCapability
from acula_edge.files import read_json, sha256_file


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.3.0", (10, 3, 0)),
        ("10.13.2.6", (10, 13, 2)),
        ("11.4.1", (11, 4, 1)),
        ("&&&& RUNNING TensorRT.trtexec [TensorRT v100300] # trtexec --help", (10, 3, 0)),
        ("[TensorRT v101303] [b9]", (10, 13, 3)),
        ("[TensorRT v110401]", (11, 4, 1)),
        ("[TensorRT v8502]", (8, 5, 2)),
    ],
)
def test_versions_are_read_from_packages_and_banners(text: str, expected: tuple[int, int, int]) -> None:
    assert trt.parse_version(text) == expected


def test_an_unknown_or_old_version_is_refused() -> None:
    with pytest.raises(MissingCapability, match="does not say"):
        trt.parse_version("trtexec")
    with pytest.raises(MissingCapability, match="too old"):
        trt.check_version((8, 6, 1))
    trt.check_version((10, 0, 0))


@pytest.mark.parametrize(
    ("version", "expected"),
    [((10, 3, 0), ["--int8", "--fp16"]), ((10, 12, 0), ["--stronglyTyped"]), ((11, 4, 1), [])],
)
def test_the_precision_flags_follow_the_version(version: tuple[int, int, int], expected: list[str]) -> None:
    policy = BuildPolicy(workspace_mb=512, optimization_level=4, timing_cache=Path("t.cache"))
    command = trt.trtexec_command(Path("m.onnx"), Path("e.plan"), policy, version)
    assert command == [
        "trtexec",
        "--onnx=m.onnx",
        "--saveEngine=e.plan",
        "--memPoolSize=workspace:512",
        "--builderOptimizationLevel=4",
        "--skipInference",
        "--timingCacheFile=t.cache",
        *expected,
    ]


def test_fp16_can_be_forbidden() -> None:
    command = trt.trtexec_command(Path("m"), Path("e"), BuildPolicy(fp16=False), (10, 3, 0))
    assert "--int8" in command and "--fp16" not in command


def test_the_file_name_says_where_an_engine_belongs() -> None:
    gpu = Gpu("NVIDIA Jetson Orin Nano Developer Kit", None)
    assert trt.engine_name(gpu, (10, 3, 0)) == "engine-nvidia-jetson-orin-nano-developer-kit-10.3.0.plan"


def test_policies_out_of_range_are_refused() -> None:
    with pytest.raises(InputError):
        BuildPolicy(optimization_level=6)
    with pytest.raises(InputError):
        BuildPolicy(workspace_mb=0)


def test_without_tensorrt_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(trt, "_has_python", lambda: False)
    monkeypatch.setattr(trt.shutil, "which", lambda name: None)
    (tmp_path / "m.onnx").write_bytes(b"x")
    for backend in ("auto", "python", "trtexec"):
        with pytest.raises(MissingCapability, match="JetPack") as caught:
            trt.build_engine(tmp_path / "m.onnx", tmp_path, backend=backend)  # type: ignore[arg-type]
        assert caught.value.exit_code == 4
    with pytest.raises(InputError, match="unknown TensorRT backend"):
        trt.choose_backend("polygraphy")  # type: ignore[arg-type]
    with pytest.raises(ArtifactError, match="no model"):
        trt.build_engine(tmp_path / "missing.onnx", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_without_a_gpu_the_device_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*args: object, **kwargs: object) -> None:
        raise FileNotFoundError("nvidia-smi")

    monkeypatch.setattr(trt.subprocess, "run", absent)
    if not Path("/proc/device-tree/model").exists():
        with pytest.raises(MissingCapability, match="on the device that will run it"):
            trt.find_gpu()


def test_the_gpu_is_read_from_nvidia_smi(monkeypatch: pytest.MonkeyPatch) -> None:
    done = types.SimpleNamespace(returncode=0, stdout="NVIDIA A10, 8.6\nNVIDIA A10, 8.6\n")
    monkeypatch.setattr(trt.subprocess, "run", lambda *args, **kwargs: done)
    assert trt.find_gpu() == Gpu("NVIDIA A10", "8.6")


class Recorder:
    """Stands where the tensorrt package would; remembers what was asked of it."""

    def __init__(self, refuse: bool = False) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.refuse = refuse

    def module(self) -> types.ModuleType:
        calls, refuse = self.calls, self.refuse

        class Config:
            builder_optimization_level = None

            def set_memory_pool_limit(self, pool: str, size: int) -> None:
                calls.append(("memory", pool, size))

            def set_flag(self, flag: str) -> None:
                calls.append(("flag", flag))

            def create_timing_cache(self, data: bytes) -> Any:
                calls.append(("cache", data))
                return types.SimpleNamespace(serialize=lambda: b"tactics")

            def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> None:
                calls.append(("set_cache", ignore_mismatch))

        class Builder:
            def __init__(self, logger: Any) -> None: ...

            def create_network(self, flags: int) -> str:
                calls.append(("network", flags))
                return "network"

            def create_builder_config(self) -> Config:
                return Config()

            def build_serialized_network(self, network: str, config: Config) -> bytes:
                calls.append(("level", config.builder_optimization_level))
                return b"engine"

        class Logger:
            WARNING = 2

            def __init__(self, level: int) -> None: ...

        class Parser:
            num_errors = 1

            def __init__(self, network: str, logger: Any) -> None: ...

            def parse(self, data: bytes) -> bool:
                calls.append(("parse", data))
                return not refuse

            def get_error(self, index: int) -> Any:
                return types.SimpleNamespace(desc=lambda: "zero point is not zero")

        module = types.ModuleType("tensorrt")
        vars(module).update(
            Logger=Logger,
            Builder=Builder,
            OnnxParser=Parser,
            MemoryPoolType=types.SimpleNamespace(WORKSPACE="workspace"),
            BuilderFlag=types.SimpleNamespace(INT8="int8", FP16="fp16"),
            NetworkDefinitionCreationFlag=types.SimpleNamespace(STRONGLY_TYPED=1),
        )
        return module


@pytest.mark.parametrize(
    ("version", "flags", "network"),
    [("10.3.0", ["int8", "fp16"], 0), ("10.13.2", [], 2), ("11.4.1", [], 0)],
)
def test_the_python_backend_asks_for_what_the_version_wants(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, flags: list[str], network: int
) -> None:
    recorder = Recorder()
    monkeypatch.setitem(sys.modules, "tensorrt", recorder.module())
    monkeypatch.setattr(trt.importlib.metadata, "version", lambda name: version)
    monkeypatch.setattr(trt, "find_gpu", lambda: Gpu("NVIDIA A10", "8.6"))
    (tmp_path / "m.onnx").write_bytes(b"onnx")
    plan = trt.build_engine(tmp_path / "m.onnx", tmp_path, BuildPolicy(timing_cache=tmp_path / "t.cache"))
    assert plan.name == f"engine-nvidia-a10-{version}.plan"
    assert plan.read_bytes() == b"engine"
    assert (tmp_path / "t.cache").read_bytes() == b"tactics"
    assert [call[1] for call in recorder.calls if call[0] == "flag"] == flags
    assert ("network", network) in recorder.calls
    assert ("memory", "workspace", 1 << 30) in recorder.calls
    assert ("parse", b"onnx") in recorder.calls
    facts = read_json(plan.with_suffix(".json"), schema="acula-edge/engine/1")
    assert (facts["gpu"], facts["compute_capability"], facts["tensorrt"]) == ("NVIDIA A10", "8.6", version)
    assert facts["engine"]["sha256"] == sha256_file(plan)
    assert str(tmp_path) not in str(facts)


def test_what_the_parser_says_reaches_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", Recorder(refuse=True).module())
    monkeypatch.setattr(trt.importlib.metadata, "version", lambda name: "10.3.0")
    monkeypatch.setattr(trt, "find_gpu", lambda: Gpu("NVIDIA A10", "8.6"))
    (tmp_path / "m.onnx").write_bytes(b"onnx")
    with pytest.raises(ArtifactError, match="zero point is not zero"):
        trt.build_engine(tmp_path / "m.onnx", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
