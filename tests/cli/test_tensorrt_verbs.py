"""acula-edge audit and build-engine as they are typed, TensorRT by its stand-in."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from acula_edge.bundle.folder import read_bundle
from acula_edge.engines import tensorrt as trt
from acula_edge.engines.tensorrt import Gpu, build, trtexec
from tests.cli.conftest import Invoke
from tests.engines.tensorrt_doubles import Package
from tests.tiny_bundle import reseal


@pytest.fixture
def device(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle for TensorRT on a machine with a GPU, without TensorRT."""
    folder = tmp_path / "tiny-tensorrt"
    shutil.copytree(bundle, folder)
    reseal(folder, profile="tensorrt")
    for module in (build, trt):
        monkeypatch.setattr(module, "find_gpu", lambda: Gpu("NVIDIA A10", "8.6"))
    monkeypatch.setattr(trtexec, "find_program", lambda: None)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def test_an_engine_is_built_sealed_and_described(invoke: Invoke, device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Package("10.13.2").install(monkeypatch)
    result = invoke("build-engine", device, "--level", 5, "--workspace", 256)
    assert result.exit_code == 0, result.stderr
    assert "engine-nvidia-a10-10.13.2.plan" in result.stdout
    assert "int8 50%" in result.stdout and "front end in float32" in result.stdout
    files = read_bundle(device).files
    assert {"engine-nvidia-a10-10.13.2.plan", "engine-nvidia-a10-10.13.2.layers.json"} <= set(files)
    facts = json.loads(invoke("build-engine", device, "--json").stdout)
    assert facts["precision"] == "int8" and facts["plan"].endswith(".plan")
    assert read_bundle(device).files, "a second build leaves the bundle whole"


def test_float16_takes_a_graph_of_its_own(invoke: Invoke, device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    converted = invoke("build-engine", device, "--precision", "fp16", "--only-convert")
    assert converted.exit_code == 0, converted.stderr
    assert "model.fp16.onnx" in converted.stdout and "model.fp16.onnx" in read_bundle(device).files
    package = Package("10.3.0").install(monkeypatch)
    assert invoke("build-engine", device, "--precision", "fp16").exit_code == 0
    assert package.asked("parse") == [(device / "model.fp16.onnx").read_bytes()]
    assert invoke("build-engine", device, "--only-convert").exit_code == 2


def test_engines_are_checked_where_they_lie(invoke: Invoke, device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert invoke("build-engine", device, "--check").exit_code == 2
    Package("10.13.2").install(monkeypatch)
    invoke("build-engine", device)
    result = invoke("build-engine", device, "--check")
    assert result.exit_code == 0 and "yes" in result.stdout
    monkeypatch.setattr(trt, "find_gpu", lambda: Gpu("NVIDIA Jetson Orin", "8.7"))
    elsewhere = invoke("build-engine", device, "--check", "--json")
    assert elsewhere.exit_code == 2
    (row,) = json.loads(elsewhere.stdout)
    assert not row["belongs_here"] and "here NVIDIA Jetson Orin" in row["differs"]


def test_without_tensorrt_the_way_to_get_it_is_named(invoke: Invoke, device: Path) -> None:
    result = invoke("build-engine", device)
    assert result.exit_code == 4
    assert "apt install tensorrt" in result.stderr


def test_the_rules_are_listed_with_their_documents(invoke: Invoke) -> None:
    result = invoke("audit", "--rules", "--profile", "tensorrt")
    assert result.exit_code == 0
    assert "residual-float" in result.stdout and "docs.nvidia.com" in result.stdout
    everything = json.loads(invoke("audit", "--rules", "--json").stdout)
    assert {"rule", "severity", "profiles", "summary", "source"} == set(everything[0])


def test_an_audit_needs_a_model_and_a_profile(invoke: Invoke, bundle: Path) -> None:
    assert invoke("audit").exit_code == 2
    assert "--profile" in invoke("audit", bundle / "model.onnx").stderr
    result = invoke("audit", bundle / "model.onnx", "--profile", "tensorrt", "--tensorrt", "10.13")
    assert "tensorrt, from 10.13" in result.stdout
    assert invoke("audit", bundle / "model.onnx", "--profile", "tensorrt", "--tensorrt", "new").exit_code == 2
