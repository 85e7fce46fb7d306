"""The self-test passes where nothing changed and names what did."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from acula_edge.errors import ArtifactError
from acula_edge.runtime import Bundle, selftest
from tests.tiny_bundle import seal_tiny_bundle


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


def failed(result: dict) -> list[str]:
    return [check["name"] for check in result["checks"] if not check["passed"]]


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
    ]
    assert len(result["checks"][1]["waveforms"]) == 7
    assert selftest(bundle_dir) == result


def test_a_model_that_computes_something_else_fails_by_name(copy: Path) -> None:
    scale_weight(copy / "model.int8.onnx", 1.5)
    seal_tiny_bundle(copy)
    result = selftest(copy)
    assert result["verdict"] == "failed"
    assert failed(result) == ["model.int8.onnx"]
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
    assert failed(result) == ["files", "model.onnx"]
    assert "model.onnx was altered" in result["checks"][0]["detail"]


def test_without_golden_waveforms_there_is_no_verdict(copy: Path) -> None:
    (copy / "selftest.npz").unlink()
    with pytest.raises(ArtifactError, match=r"selftest\.npz"):
        selftest(copy)
