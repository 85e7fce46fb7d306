from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from acula_edge.engines.ort import OrtEngine
from acula_edge.errors import InputError
from acula_edge.quantize.export import FloatExport, export_float
from acula_edge.quantize.heads import TaskHead, score
from tests.quantize.conftest import EMBEDDING_DIM, SAMPLES, SPEC, TinyEncoder, make_heads, make_windows

FILES = ("frontend.onnx", "encoder.onnx", "model.onnx")
ROOT = Path(__file__).resolve().parents[2]


def hashes(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}


def test_names_shapes_and_versions(exported: tuple[Path, FloatExport]) -> None:
    folder, facts = exported
    engine = OrtEngine(folder / "model.onnx")
    assert {n: s.shape for n, s in engine.inputs.items()} == {"waveform": (1, SAMPLES)}
    assert {n: s.shape for n, s in engine.outputs.items()} == {"embedding": (1, EMBEDDING_DIM), "scores": (1, 5)}
    assert (facts.frames, facts.bands) == (SPEC.frames(SAMPLES), SPEC.n_mels)
    assert OrtEngine(folder / "encoder.onnx").inputs["mel"].shape == (1, facts.frames, facts.bands)
    for name in FILES:
        model = onnx.load(folder / name)
        assert [(item.domain, item.version) for item in model.opset_import] == [("", 18)]
        assert model.ir_version <= 10
        assert model.producer_name == "acula-edge"
        node_names = [node.name for node in model.graph.node]
        assert len(set(node_names)) == len(node_names)
        assert all(node.startswith(("frontend/", "encoder/")) for node in node_names)


def test_files_carry_no_path_and_no_trace_of_the_exporter(exported: tuple[Path, FloatExport]) -> None:
    for name in FILES:
        data = (exported[0] / name).read_bytes()
        for trace in (b".py", b"pkg.torch", str(Path(__file__).parent).encode(), str(ROOT).encode()):
            assert trace not in data


def test_the_graph_computes_what_pytorch_computes(exported: tuple[Path, FloatExport]) -> None:
    folder, facts = exported
    assert facts.parity.cosine_min > 0.99999
    windows = make_windows(4, 9)
    whole = OrtEngine(folder / "model.onnx")
    front, back = OrtEngine(folder / "frontend.onnx"), OrtEngine(folder / "encoder.onnx")
    for window in windows:
        together = whole.run({"waveform": window[None]})
        mel = front.run({"waveform": window[None]})["mel"]
        apart = back.run({"mel": mel})
        with torch.inference_mode():
            reference = TinyEncoder().embed_mel(torch.from_numpy(mel)).numpy()
        np.testing.assert_allclose(together["embedding"], apart["embedding"], atol=1e-5)
        np.testing.assert_allclose(apart["embedding"], reference, atol=1e-4)


def test_scores_are_the_heads_applied_to_the_embedding(
    exported: tuple[Path, FloatExport], heads: list[TaskHead]
) -> None:
    engine = OrtEngine(exported[0] / "model.onnx")
    for window in make_windows(4, 8):
        out = engine.run({"waveform": window[None]})
        np.testing.assert_allclose(out["scores"], score(heads, out["embedding"]), atol=2e-5)
        assert out["scores"][0, 1:4].sum() == pytest.approx(1, abs=1e-5)


def test_the_mean_over_the_map_became_a_pooling_that_runs_on_integers(exported: tuple[Path, FloatExport]) -> None:
    operators = [node.op_type for node in onnx.load(exported[0] / "encoder.onnx").graph.node]
    assert "GlobalAveragePool" in operators
    assert not {"ReduceMean", "Identity", "Constant"} & set(operators)


def test_another_process_exports_the_same_bytes(exported: tuple[Path, FloatExport], tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from tests.quantize.conftest import *\n"
        "export_float(TinyEncoder(), make_heads(), SAMPLES, Path(sys.argv[1]))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "123", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, cwd=ROOT, check=True, timeout=120)
    assert hashes(tmp_path) == hashes(exported[0])


class Average(nn.Module):
    """The smallest front end and encoder there are."""

    frontend = SPEC

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        return wave.reshape(1, 8, -1)[:, :, : SPEC.n_mels].abs()

    def embed_mel(self, mel: torch.Tensor) -> torch.Tensor:
        return mel.mean(1)


def test_without_heads_there_are_no_score_columns(tmp_path: Path) -> None:
    facts = export_float(Average(), [], SAMPLES, tmp_path, frontend=Average())
    out = OrtEngine(tmp_path / "model.onnx").run({"waveform": make_windows(1, 0)})
    assert facts.columns == 0
    assert out["scores"].shape == (1, 0)
    assert out["embedding"].shape == (1, SPEC.n_mels)


def test_heads_of_another_encoder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="another embedding"):
        export_float(Average(), make_heads(), SAMPLES, tmp_path, frontend=Average())
    assert not list(tmp_path.iterdir())
