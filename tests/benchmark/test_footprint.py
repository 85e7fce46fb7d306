"""Cold start and memory in a process of their own, and inputs made from what a file declares."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from acula_edge.benchmarking.artifact import guess_precision, guess_stage
from acula_edge.benchmarking.footprint import measure_footprint, peak_rss_mb
from acula_edge.benchmarking.inputs import input_arrays
from acula_edge.engines.ort import OrtEngine
from acula_edge.errors import ArtifactError, InputError


def save_model(path: Path, inputs, outputs, nodes, initializers=()) -> Path:
    graph = helper.make_graph(nodes, "graph", inputs, outputs, list(initializers))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def tensor(name: str, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def doubling(path: Path, shape, name: str = "waveform", output: str = "embedding", kind=TensorProto.FLOAT) -> Path:
    node = helper.make_node("Add", [name, name], [output])
    return save_model(path, [tensor(name, shape, kind)], [tensor(output, shape, kind)], [node])


def test_a_fresh_process_tells_its_start_and_memory(tmp_path: Path) -> None:
    footprint = measure_footprint(doubling(tmp_path / "model.onnx", [1, 100]))
    parts = footprint["import_ms"] + footprint["load_ms"] + footprint["first_run_ms"]
    assert footprint["cold_start_ms"] == pytest.approx(parts)
    assert footprint["import_ms"] > 1, "the runtime was imported before the clock started"
    assert 1 < footprint["baseline_rss_mb"] <= footprint["peak_rss_mb"]


def test_the_peak_is_the_childs_own_not_its_parents(tmp_path: Path) -> None:
    ballast = np.ones(400_000_000 // 8)
    own_mb = peak_rss_mb()
    assert own_mb is not None and own_mb > 400
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6 > 400
    footprint = measure_footprint(doubling(tmp_path / "model.onnx", [1, 100]))
    assert footprint["peak_rss_mb"] < own_mb - 200
    assert ballast.size


def test_a_file_that_does_not_run_is_an_error_that_names_it(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    with pytest.raises(ArtifactError, match=r"broken\.onnx"):
        measure_footprint(broken)


def test_inputs_follow_the_declared_shapes_and_are_the_same_every_time(tmp_path: Path) -> None:
    engine = OrtEngine(doubling(tmp_path / "a.onnx", ["batch", 50]))
    first, second = input_arrays(engine)["waveform"], input_arrays(engine)["waveform"]
    assert first.shape == (1, 50) and first.dtype == np.float32
    assert 0.05 < first.std() < 0.2
    np.testing.assert_array_equal(first, second)
    integers = input_arrays(OrtEngine(doubling(tmp_path / "b.onnx", [2, 3], kind=TensorProto.INT64)))["waveform"]
    assert integers.dtype == np.int64 and not integers.any()
    with pytest.raises(InputError, match="not fixed"):
        input_arrays(OrtEngine(doubling(tmp_path / "c.onnx", [1, "samples"])))


def test_stage_and_precision_are_read_from_the_file(tmp_path: Path) -> None:
    frontend = doubling(tmp_path / "f.onnx", [1, 10], output="mel")
    encoder = doubling(tmp_path / "e.onnx", [1, 10, 4], name="mel")
    model = doubling(tmp_path / "m.onnx", [1, 10])
    stages = [guess_stage(OrtEngine(path)) for path in (frontend, encoder, model)]
    assert stages == ["frontend", "encoder", "end_to_end"]
    assert guess_precision(model) == "float32"

    scale = helper.make_tensor("scale", TensorProto.FLOAT, [], [0.1])
    zero = helper.make_tensor("zero", TensorProto.INT8, [], [0])
    nodes = [
        helper.make_node("QuantizeLinear", ["waveform", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["embedding"]),
    ]
    quantized = save_model(
        tmp_path / "q.onnx", [tensor("waveform", [1, 4])], [tensor("embedding", [1, 4])], nodes, [scale, zero]
    )
    assert guess_precision(quantized) == "int8"
