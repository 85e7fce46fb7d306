"""Students as this project exports them, for TensorRT: nothing to find but what no export can help."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from acula_edge.bundle.layout import ENCODER_FILE, FRONTEND_FILE
from acula_edge.encoders.students import make_student
from acula_edge.quantize.audit import audit_model
from acula_edge.quantize.calibration import make_mels
from acula_edge.quantize.export import export_float, merge_files
from acula_edge.quantize.graph import load_graph, save_graph
from acula_edge.quantize.placement import place
from acula_edge.quantize.profiles import profiles
from acula_edge.quantize.qdq import insert_qdq
from acula_edge.quantize.ranges import find_ranges, float_values
from tests.quantize.conftest import SAMPLES, SPEC, make_heads, make_windows


@pytest.mark.parametrize("name", ["base"])
def test_students_keep_to_every_rule(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    student = make_student(name, frontend=SPEC, embedding_dim=24).deployable()
    export_float(student, make_heads(), SAMPLES, tmp_path)
    model, profile = load_graph(tmp_path / ENCODER_FILE), profiles["tensorrt"]
    ranges = find_ranges(model, make_mels(tmp_path / FRONTEND_FILE, make_windows(1, 1)), float_values(model), "minmax")
    save_graph(insert_qdq(model, profile, place(model, profile), ranges), tmp_path / "int8.onnx")
    merge_files(tmp_path / FRONTEND_FILE, tmp_path / "int8.onnx", tmp_path / "whole.onnx")
    for tensorrt in ("10.3", "10.13", "11.4"):
        result = audit_model(tmp_path / "whole.onnx", "tensorrt", tensorrt)
        assert result["passed"]
        assert [f for f in result["findings"] if f["severity"] != "info"] == []
