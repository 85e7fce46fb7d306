"""The .ort form of a bundle's model: the same answers, by ONNX Runtime's own converter."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import pytest

from acula_edge.bundle.selftest import read_selftest
from acula_edge.engines.ort import OrtEngine
from acula_edge.engines.ort_format import write_ort_format
from acula_edge.errors import ArtifactError, InputError
from tests.tiny_bundle import write_tiny_bundle

HERE, ELSEWHERE = ("arm", "amd64") if platform.machine() in ("aarch64", "arm64") else ("amd64", "arm")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("ort") / "bundle")


@pytest.mark.parametrize("precision", ["int8", "float"])
def test_the_file_answers_as_the_model_does(bundle: Path, tmp_path: Path, precision: str) -> None:
    before = sorted(path.name for path in bundle.iterdir())
    result = write_ort_format(bundle, tmp_path / "new" / "folder", precision, HERE)
    assert result["waveforms"] and all(entry["passed"] for entry in result["waveforms"])
    model = OrtEngine(bundle / ("model.int8.onnx" if precision == "int8" else "model.onnx"))
    converted = OrtEngine(result["model"], made_here=True)
    for wave in read_selftest(bundle).waves:
        expected, found = (engine.run({"waveform": wave[None]}) for engine in (model, converted))
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, atol=1e-5)
    operators = Path(result["operators"]).read_text()
    assert "MatMul" in operators and ";18;" in operators
    assert sorted(path.name for path in bundle.iterdir()) == before
    assert sorted(path.suffix for path in (tmp_path / "new" / "folder").iterdir()) == [".config", ".ort"]


def test_another_processors_file_is_written_and_not_run(bundle: Path, tmp_path: Path) -> None:
    assert write_ort_format(bundle, tmp_path, target=ELSEWHERE)["waveforms"] is None
    assert (tmp_path / "model.int8.ort").is_file()


def test_what_cannot_be_converted_is_refused_and_nothing_written(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one kind of processor"):
        write_ort_format(bundle, tmp_path / "out", target="riscv")
    with pytest.raises(ArtifactError, match="is no bundle"):
        write_ort_format(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
