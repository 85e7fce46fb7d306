"""The speed guard's decisions, with given measurements; what ONNX Runtime runs, looked at for real."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from msgspec import UNSET
from torch import nn
from torch.nn import functional

from acula_edge.benchmarking.encoders import compare_encoders
from acula_edge.bundle.json_files import plain
from acula_edge.bundle.layout import ENCODER_FILE, ENCODER_INT8_FILE, FRONTEND_FILE
from acula_edge.bundle.schema import Quantize, Speed
from acula_edge.errors import InputError
from acula_edge.quantize import speed
from acula_edge.quantize.calibration import make_mels
from acula_edge.quantize.execution import Execution, inspect_execution
from acula_edge.quantize.export import FloatExport, export_float
from acula_edge.quantize.qdq import quantize_encoder
from acula_edge.quantize.speed import REASON, guard_speed
from tests.quantize.conftest import SAMPLES, SPEC, make_windows
from tests.quantize.test_quantize_qdq import copy_of


class SqueezeExcite(nn.Module):
    """MobileNetV3 in little: hard-swish and squeeze-excite between every two convolutions. mel [B, F, M] -> [B, 16]"""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.frontend = SPEC
        self.stem = nn.Conv2d(1, 8, 3, 2, 1)
        self.expand = nn.Conv2d(8, 32, 1)
        self.depthwise = nn.Conv2d(32, 32, 3, 1, 1, groups=32)
        self.squeeze = nn.Conv2d(32, 8, 1)
        self.excite = nn.Conv2d(8, 32, 1)
        self.project = nn.Conv2d(32, 8, 1)
        self.projection = nn.Linear(8, 16)
        self.eval()

    def embed_mel(self, mel: torch.Tensor) -> torch.Tensor:
        low = functional.hardswish(self.stem(mel[:, None]))
        wide = functional.hardswish(self.depthwise(functional.hardswish(self.expand(low))))
        gate = self.excite(torch.relu(self.squeeze(wide.mean((2, 3), keepdim=True))))
        return self.projection((low + self.project(wide * functional.hardsigmoid(gate))).mean((2, 3)))


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[np.ndarray]]:
    folder = tmp_path_factory.mktemp("slow")
    export_float(SqueezeExcite(), [], SAMPLES, folder)
    return folder, make_mels(folder / FRONTEND_FILE, make_windows(4, 1))


def said(verdict: str, speedup: float) -> dict[str, Any]:
    return {"verdict": verdict, "speedup": speedup, "speedup_ci95": [speedup - 0.05, speedup + 0.05]}


ANY = Quantize(
    **{field.name: None for field in msgspec.structs.fields(Quantize) if field.required}  # type: ignore[arg-type]
)
LAST = "encoder/projection/Gemm"
FASTER, SLOWER, ALIKE = said("faster", 1.5), said("slower", 0.5), said("no difference shown", 1.0)


class Line:
    """Stands for an export: a folder with INT8 files, a way to make them again, and answers to give."""

    def __init__(self, source: Path, mels: list[np.ndarray], folder: Path, *answers: dict[str, Any]) -> None:
        self.folder = copy_of((source, None), folder)  # type: ignore[arg-type]
        self.mels, self.answers = mels, list(answers)
        self.asked: list[Mapping[str, str]] = []
        self.first = self.make({})
        self.asked.clear()

    def make(self, left_float: Mapping[str, str]) -> Quantize:
        self.asked.append(left_float)
        return quantize_encoder(self.folder, "cpu_x86", self.mels, left_float=left_float)

    def measure(self, reference: Path, candidate: Path) -> dict[str, Any]:
        assert (reference.name, candidate.name) == (ENCODER_FILE, ENCODER_INT8_FILE)
        return self.answers.pop(0)

    def bytes(self) -> bytes:
        return (self.folder / ENCODER_INT8_FILE).read_bytes()

    def guard(self) -> tuple[Quantize, dict[str, Any]]:
        """How the INT8 model came about but for speed, and what is said of that."""
        return split(guard_speed(self.folder, "cpu_x86", self.first, self.make, self.measure))


def split(quantized: Quantize) -> tuple[Quantize, dict[str, Any]]:
    assert isinstance(quantized.speed, Speed)
    return msgspec.structs.replace(quantized, speed=UNSET), plain(quantized.speed)


Make = Callable[..., Line]


@pytest.fixture
def line(
    exported: tuple[Path, FloatExport],
    mels: list[np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Make:
    monkeypatch.setattr(speed, "is_native", lambda profile: True)
    return lambda *answers: Line(exported[0], mels[:4], tmp_path, *answers)


@pytest.fixture
def slow_line(slow: tuple[Path, list[np.ndarray]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """`worth` names a layer that counts as worth its conversions."""
    monkeypatch.setattr(speed, "is_native", lambda profile: True)

    def make(*answers: dict[str, Any], worth: str = "") -> Line:
        def look(path: Path) -> Execution:
            found = inspect_execution(path)
            return replace(found, islands=tuple(name for name in found.islands if name != worth))

        monkeypatch.setattr(speed, "inspect_execution", look)
        return Line(*slow, tmp_path, *answers)

    return make


@pytest.mark.parametrize("answer", [FASTER, ALIKE])
def test_int8_that_is_not_slower_is_left_alone(line: Make, answer: dict[str, Any]) -> None:
    export = line(answer)
    before = export.bytes()
    facts, found = export.guard()
    assert (facts, export.asked, export.bytes()) == (export.first, [], before)
    assert (found["measured"], found["recommended"], len(found["trail"])) == (True, "int8", 1)
    assert ("no difference" in found["reason"]) == (answer is ALIKE)


def test_layers_that_cost_more_than_they_save_are_named_and_left_in_float(slow_line: Make) -> None:
    export = slow_line(SLOWER, SLOWER, FASTER, worth=LAST)
    facts, found = export.guard()
    assert found["recommended"] == "int8"
    first, second = found["trail"]
    assert set(first["islands"]) >= {"encoder/expand/Conv", "encoder/depthwise/Conv", "encoder/project/Conv"}
    assert export.asked == [dict.fromkeys(second["left_float"], REASON)]
    reasons = {entry.node: entry.reason for entry in facts.nodes.float}
    assert all(reasons[name] == REASON for name in second["left_float"])
    assert "left in float" in found["reason"]
    assert facts.int8_mac_share < export.first.int8_mac_share


def test_float_is_recommended_where_planning_again_does_not_help(slow_line: Make) -> None:
    export = slow_line(SLOWER, SLOWER, said("no difference shown", 0.98), worth=LAST)
    facts, found = export.guard()
    assert found["recommended"] == "float"
    assert "even with layers left in float" in found["reason"]
    assert facts.nodes != export.first.nodes  # it is the better one of the two, and stays in the bundle


def test_the_first_plan_comes_back_where_the_second_is_no_quicker(slow_line: Make) -> None:
    export = slow_line(SLOWER, SLOWER, said("slower", 0.4), worth=LAST)
    before = export.bytes()
    facts, found = export.guard()
    assert (facts, export.bytes()) == (export.first, before)
    assert (found["recommended"], len(found["trail"])) == ("float", 2)


def test_float_is_recommended_where_no_layer_would_be_left_on_integers(slow_line: Make) -> None:
    export = slow_line(SLOWER, SLOWER)
    before = export.bytes()
    facts, found = export.guard()
    assert (facts, export.bytes(), found["recommended"]) == (export.first, before, "float")
    assert len(export.asked) == 1 and len(found["trail"]) == 1
    with pytest.raises(InputError, match="nothing is left"):
        export.make(dict.fromkeys(found["trail"][0]["islands"], REASON))


def test_float_is_recommended_where_integers_are_slower_for_no_visible_reason(line: Make) -> None:
    export = line(SLOWER, SLOWER)
    assert export.guard()[1]["recommended"] == "float"
    assert export.asked == []


def test_a_machine_that_was_disturbed_once_changes_nothing(line: Make) -> None:
    export = line(SLOWER, ALIKE)
    before = export.bytes()
    facts, found = export.guard()
    assert (facts, export.asked, export.bytes()) == (export.first, [], before)
    assert found["recommended"] == "int8" and found["trail"][0]["again"] == ALIKE


@pytest.mark.parametrize("profile", ["cpu_x86", "cpu_arm", "tensorrt"])
def test_speed_is_measured_only_on_the_machine_that_a_profile_is_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: str
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    facts, found = split(guard_speed(tmp_path, profile, ANY, pytest.fail, pytest.fail))
    assert facts == ANY
    assert not found["measured"] and found["recommended"] == "int8"
    assert "another machine" in found["reason"]


def test_what_was_not_asked_for_is_not_measured(tmp_path: Path) -> None:
    _, found = split(guard_speed(tmp_path, "cpu_x86", ANY, pytest.fail, None))
    assert (found["measured"], found["reason"]) == (False, "not measured: not asked for")


def test_a_relu_network_runs_on_integers_from_end_to_end(line: Make) -> None:
    export = line()
    found = inspect_execution(export.folder / ENCODER_INT8_FILE)
    assert set(found.integer) == {f"encoder/{name}/Conv" for name in ("widen", "deep", "mix")} | {
        "encoder/projection/Gemm"
    }
    assert not found.fell_back
    assert "encoder/mix/Conv" not in found.islands


def test_the_whole_path_on_this_machine(slow: tuple[Path, list[np.ndarray]], tmp_path: Path) -> None:
    """Whatever comes out: it is measured, or says why not, and names what it recommends."""
    export = Line(*slow, tmp_path)
    measure = functools.partial(compare_encoders, mode="smoke", threads=1)
    facts, found = split(guard_speed(export.folder, "cpu_x86", export.first, export.make, measure))
    assert found["recommended"] in ("int8", "float") and found["reason"]
    assert facts.int8_mac_share > 0
    for step in found["trail"]:
        assert step["speedup"] > 0 and step["mode"] == "smoke" and step["integer_layers"] > 0
