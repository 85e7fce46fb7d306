"""The self-test passes where nothing changed and names what did; so does the script that travels in the bundle."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from acula_edge.bundle.selftest import read_selftest
from acula_edge.engines import ort
from acula_edge.errors import ArtifactError
from acula_edge.runtime import Bundle, golden_providers, selftest
from tests.tiny_bundle import seal_tiny_bundle, write_info

LINES = 63


@pytest.fixture
def copy(bundle_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle_dir, tmp_path / "copy"))


def scale_weight(path: Path, factor: float) -> None:
    """Another CPU's arithmetic, or a model that was swapped: the same graph with other numbers."""
    model = onnx.load(str(path))
    (node,) = [node for node in model.graph.node if list(node.output) == ["head_weight"]]
    value = numpy_helper.to_array(node.attribute[0].t) * np.float32(factor)
    node.attribute[0].t.CopyFrom(numpy_helper.from_array(value.astype(np.float32), "head_weight"))
    onnx.save(model, str(path))


def failed(result: dict[str, Any]) -> list[str]:
    return [check["name"] for check in result["checks"] if not check["passed"]]


def run_script(folder: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """``python selftest.py`` where only numpy and onnxruntime can be imported."""
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    for name in ("numpy", "numpy.libs", "onnxruntime", "google", "flatbuffers", "packaging"):
        spec = find_spec("numpy")
        assert spec is not None and spec.origin is not None
        place = Path(spec.origin).parents[1] / name
        if place.exists():
            (libraries / name).symlink_to(place)
    script = folder / "selftest.py"
    return subprocess.run(
        [sys.executable, "-S", "-E", "-c", START, str(libraries), str(script)], capture_output=True, text=True
    )


START = """
import runpy, sys
sys.path.append(sys.argv[1])
runpy.run_path(sys.argv[2], run_name="__main__")
"""


def test_an_unaltered_bundle_passes(bundle: Bundle, bundle_dir: Path) -> None:
    result = selftest(bundle)
    json.dumps(result, allow_nan=False)
    assert result["verdict"] == "passed" and result["passed"]
    assert [check["name"] for check in result["checks"]] == [
        "files",
        "model.onnx",
        "frontend.onnx + encoder.onnx",
        "model.int8.onnx",
        "frontend.onnx + encoder.int8.onnx",
        "call 1 and 100 of model.int8.onnx",
        "short recording",
        "long recording",
    ]
    assert len(result["checks"][1]["waveforms"]) == len(read_selftest(bundle_dir).names) == 12
    assert result["calls"]["identical"] is True and result["calls"]["precision"] == "int8"
    again = selftest(bundle_dir)
    assert {**again, "calls": 0, "checks": 0} == {**result, "calls": 0, "checks": 0}


def test_a_model_that_computes_something_else_fails_by_name(copy: Path) -> None:
    scale_weight(copy / "model.int8.onnx", 1.5)
    seal_tiny_bundle(copy)
    result = selftest(copy)
    assert result["verdict"] == "failed"
    assert failed(result) == ["model.int8.onnx", "call 1 and 100 of model.int8.onnx", "short recording",
                              "long recording"]  # fmt: skip
    assert result["providers"][0] == {
        "provider": "CPUExecutionProvider",
        "state": "present",
        "passed": False,
        "detail": result["providers"][0]["detail"],
    }
    (check,) = [check for check in result["checks"] if check["name"] == "model.int8.onnx"]
    assert "heart" in check["detail"]


def test_differences_of_rounding_pass(copy: Path) -> None:
    scale_weight(copy / "model.onnx", 1.00001)
    seal_tiny_bundle(copy)
    assert selftest(copy)["passed"]


def test_a_half_that_differs_from_the_whole_fails(copy: Path) -> None:
    scale_weight(copy / "encoder.onnx", 0.0)
    seal_tiny_bundle(copy)
    assert failed(selftest(copy)) == ["frontend.onnx + encoder.onnx"]


def test_altered_files_and_models_that_do_not_load_are_checks_that_fail(copy: Path) -> None:
    (copy / "model.onnx").write_bytes(b"nothing")
    result = selftest(copy)
    assert failed(result) == ["files", "model.onnx", "recordings"]
    assert "model.onnx was altered" in result["checks"][0]["detail"]


def test_without_golden_waveforms_there_is_no_verdict(copy: Path) -> None:
    (copy / "selftest.npz").unlink()
    with pytest.raises(ArtifactError, match=r"selftest\.npz"):
        selftest(copy)


def test_windows_that_are_cut_elsewhere_fail(copy: Path) -> None:
    """A runtime, or a bundle.json, with another hop than the one that the bundle was made with."""
    info = json.loads((copy / "bundle.json").read_text())
    info["input"]["hop_s"] = 0.5
    write_info(copy, info)
    assert failed(selftest(copy)) == ["long recording"]


class _Drifts(ort.OrtEngine):
    """A kernel that keeps state: every call differs a little more."""

    calls = 0

    def run(self, feeds: Any) -> dict[str, Any]:
        self.calls += 1
        outputs = super().run(feeds)
        return {**outputs, "scores": outputs["scores"] + self.drift * self.calls}

    drift = 0.0


@pytest.mark.parametrize(("drift", "said"), [(1e-6, "within tolerance"), (1e-3, "beyond tolerance")])
def test_the_hundredth_call_is_held_to_the_first(
    bundle_dir: Path, monkeypatch: pytest.MonkeyPatch, drift: float, said: str
) -> None:
    monkeypatch.setattr(_Drifts, "drift", drift)
    monkeypatch.setattr("acula_edge.runtime.golden_calls.OrtEngine", _Drifts)
    result = selftest(bundle_dir)
    (check,) = [check for check in result["checks"] if check["name"].startswith("call 1")]
    assert said in check["detail"] and check["passed"] is (said == "within tolerance")
    assert result["calls"]["identical"] is False


class _OtherNumbers(ort.OrtEngine):
    """A provider that is there, and computes something else."""

    def __init__(self, path: Path, threads: int = 1, provider: str = ort.CPU) -> None:
        if provider == "OpenVINOExecutionProvider":
            raise ArtifactError("no such device")
        super().__init__(path, threads)
        self.asked = provider

    def run(self, feeds: Any) -> dict[str, Any]:
        outputs = super().run(feeds)
        return outputs if self.asked != "CUDAExecutionProvider" else {**outputs, "scores": outputs["scores"] + 1}


def test_every_provider_is_tried_and_named(bundle_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = ["AzureExecutionProvider", "OpenVINOExecutionProvider", "CUDAExecutionProvider", ort.CPU]
    monkeypatch.setattr(golden_providers, "available_providers", lambda: here)
    monkeypatch.setattr(golden_providers, "OrtEngine", _OtherNumbers)
    result = selftest(bundle_dir)
    found = {entry["provider"]: (entry["state"], entry["passed"]) for entry in result["providers"]}
    assert found[ort.CPU] == ("present", True)
    assert found["CUDAExecutionProvider"] == ("present", False)
    assert found["OpenVINOExecutionProvider"] == ("unusable", None)
    assert found["AzureExecutionProvider"] == ("not tried", None)
    assert found["TensorrtExecutionProvider"] == ("absent", None)
    assert failed(result) == ["CUDAExecutionProvider"]


def test_the_script_in_the_bundle_needs_numpy_and_onnxruntime_only(copy: Path, tmp_path: Path) -> None:
    script = (copy / "selftest.py").read_text()
    assert len(script.splitlines()) <= LINES
    done = run_script(copy, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines[:-1]] == ["files", "model.onnx", "model.int8.onnx"]
    assert all(": passed, " in line for line in lines[:-1])
    assert "12 waveforms, cosine at least 1.000000" in lines[1] and "call 1 and 100 equal" in lines[1]
    assert lines[-1].startswith("copy on ") and lines[-1].endswith(": passed")


def test_the_script_looks_where_it_was_called(copy: Path, tmp_path: Path) -> None:
    """In a cache of the hub every file is a link; the script itself may also be linked to from elsewhere."""
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    for number, path in enumerate(sorted(copy.iterdir())):
        path.rename(blobs / str(number))
        path.symlink_to(blobs / str(number))
    done = run_script(copy, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("copy on ")


def test_the_script_is_found_through_a_link_from_elsewhere(copy: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "selftest.py").symlink_to(copy / "selftest.py")
    done = run_script(tools, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("copy on ")


def test_the_script_fails_what_computes_something_else(copy: Path, tmp_path: Path) -> None:
    scale_weight(copy / "model.int8.onnx", 1.5)
    seal_tiny_bundle(copy)
    done = run_script(copy, tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "model.onnx: passed" in done.stdout and "model.int8.onnx: FAILED" in done.stdout
    assert done.stdout.splitlines()[-1].endswith(": FAILED")


@pytest.mark.parametrize("name", ["model.onnx", "selftest.npz", "bundle.json"])
def test_the_script_names_an_altered_file(copy: Path, tmp_path: Path, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    done = run_script(copy, tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout.splitlines()[0] == f"files: FAILED, {name}"
