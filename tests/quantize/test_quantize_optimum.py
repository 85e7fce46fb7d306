from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from transformers import AutoConfig

from acula_edge.encoders.base import AudioEncoder, make_encoder
from acula_edge.engines.ort import OrtEngine
from acula_edge.errors import InputError
from acula_edge.quantize.export import FloatExport
from acula_edge.quantize.hub_files import describe_network, describe_runtime, write_hub_files
from acula_edge.quantize.optimum_export import export_backbone, quantize_dynamic
from acula_edge.quantize.profiles import profiles
from acula_edge.quantize.qdq import quantize_encoder
from tests.quantize.conftest import SAMPLES, make_windows

TINY_AST = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
TINY_HTS_AT = {
    "hidden_size": 32, "patch_embeds_hidden_size": 16, "depths": [1, 1], "num_attention_heads": [2, 2],
}  # fmt: skip


@pytest.fixture(scope="module")
def encoder() -> AudioEncoder:
    torch.manual_seed(0)
    return make_encoder("ast", options={"frames": 64, "config": TINY_AST}).eval()


@pytest.fixture(scope="module")
def folders(encoder: AudioEncoder, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Optimum's export and its dynamic INT8."""
    root = tmp_path_factory.mktemp("optimum")
    model = export_backbone(encoder, root / "float")
    quantized = quantize_dynamic(root / "float", root / "int8")
    return model, quantized


def test_optimums_export_loads_as_a_feature_extractor_and_computes_the_same(
    encoder: AudioEncoder, folders: tuple[Path, Path]
) -> None:
    from optimum.onnxruntime import ORTModelForFeatureExtraction

    mel = torch.randn(1, 64, 128)
    with torch.no_grad():
        expected = encoder.backbone(mel).last_hidden_state  # type: ignore[operator]
    for path, tolerance in zip(folders, (1e-5, 0.2), strict=True):
        model = ORTModelForFeatureExtraction.from_pretrained(path.parent, file_name=path.name)
        found = model(input_values=mel).last_hidden_state
        assert found.shape == expected.shape
        assert float((found - expected).abs().max()) < tolerance


def test_hts_at_exports_at_its_own_size(tmp_path: Path) -> None:
    from optimum.onnxruntime import ORTModelForFeatureExtraction

    torch.manual_seed(0)
    encoder = make_encoder("clap", options={"config": TINY_HTS_AT}).eval()
    path = export_backbone(encoder, tmp_path)
    features = torch.rand(1, 1, 1024, 64)
    with torch.no_grad():
        expected = encoder.backbone(input_features=features, return_dict=True).last_hidden_state  # type: ignore[operator]
    found = ORTModelForFeatureExtraction.from_pretrained(tmp_path)(input_features=features).last_hidden_state
    assert path.name == "model.onnx"
    assert AutoConfig.from_pretrained(tmp_path).audio_config.depths == [1, 1]
    assert describe_network(encoder, "clap")["model_type"] == "clap"
    assert float((found - expected).abs().max()) < 1e-4


def test_dynamic_int8_is_what_the_command_makes(folders: tuple[Path, Path]) -> None:
    from optimum.onnxruntime import ORTConfig

    quantization = ORTConfig.from_pretrained(folders[1].parent).quantization
    assert (quantization.is_static, quantization.per_channel, quantization.weights_dtype.name) == (
        False, False, "QInt8",
    )  # fmt: skip
    operators = {node.op_type for node in onnx.load(folders[1]).graph.node}
    assert {"DynamicQuantizeLinear", "MatMulInteger"} <= operators


def test_encoders_that_optimum_cannot_export_are_refused(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match="around a transformers model"):
        export_backbone(make_encoder("opera-ce"), tmp_path)
    with pytest.raises(InputError, match="another one"):
        quantize_dynamic(folders[0].parent, folders[0].parent)


def test_a_bundles_models_load_with_optimum(
    exported: tuple[Path, FloatExport], mels: list[np.ndarray], tmp_path: Path, encoder: AudioEncoder
) -> None:
    from optimum.onnxruntime import ORTConfig, ORTModelForCustomTasks

    for name in ("frontend.onnx", "encoder.onnx", "model.onnx"):
        shutil.copy(exported[0] / name, tmp_path)
    quantize_encoder(tmp_path, "cpu_x86", mels[:4])
    write_hub_files(tmp_path, torch.nn.Linear(1, 1), "tiny", profiles["cpu_x86"])
    wave = make_windows(1, 9)
    for name in ("model.onnx", "model.int8.onnx"):
        model = ORTModelForCustomTasks.from_pretrained(tmp_path, file_name=name)
        found = model(waveform=wave)
        expected = OrtEngine(tmp_path / name).run({"waveform": wave})
        assert wave.shape == (1, SAMPLES)
        assert found.keys() == expected.keys()
        for key in expected:
            np.testing.assert_allclose(found[key], expected[key], rtol=1e-5, atol=1e-6)
    quantization = ORTConfig.from_pretrained(tmp_path).quantization
    assert (quantization.is_static, quantization.format.name, quantization.activations_dtype.name) == (
        True, "QDQ", "QUInt8",
    )  # fmt: skip


def test_configurations_say_what_they_describe(encoder: AudioEncoder) -> None:
    values = describe_network(encoder, "ast")
    assert (values["model_type"], values["hidden_size"]) == ("audio-spectrogram-transformer", 32)
    assert "_name_or_path" not in values
    assert describe_runtime(None)["quantization"] == {}
    tensorrt = describe_runtime(profiles["tensorrt"])["quantization"]
    assert tensorrt["activations_symmetric"]
    assert tensorrt["qdq_add_pair_to_weight"]
    assert json.loads(json.dumps(tensorrt)) == tensorrt
