"""Two small files that let Hugging Face Optimum load a bundle: config.json and ort_config.json.

    ORTModelForCustomTasks.from_pretrained(BUNDLE, file_name="model.int8.onnx")(waveform=...)

They are written without Optimum, which a machine that exports need not have.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import nn
from transformers import CONFIG_MAPPING, PretrainedConfig

from acula_edge.files import write_json
from acula_edge.quantize.graph import OPSET
from acula_edge.quantize.profiles import WEIGHTED_OPERATORS, Profile

CONFIG_FILE = "config.json"
ORT_CONFIG_FILE = "ort_config.json"

# Models that AutoConfig knows only as a part of another: which, and under what key.
_PARTS = {"clap_audio_model": ("clap", "audio_config")}


def write_hub_files(folder: Path, encoder: Any, architecture: str, profile: Profile | None) -> None:
    """Write both files beside the ONNX files of a bundle.

    Args:
        encoder: the exported encoder. Around a transformers model, config.json is that model's; for any other network
            it names the architecture in the form that transformers has for networks of timm.
        architecture: name of the network where it is not transformers'.
        profile: of the INT8 files; None where there are none.
    """
    write_json(folder / CONFIG_FILE, describe_network(encoder, architecture))
    write_json(folder / ORT_CONFIG_FILE, describe_runtime(profile))


def describe_network(encoder: Any, architecture: str) -> dict[str, Any]:
    """config.json: what ``transformers.AutoConfig`` can read without this package."""
    backbone = getattr(encoder, "backbone", None)
    config = backbone.config if isinstance(backbone, nn.Module) and hasattr(backbone, "config") else None
    values = describe_config(config) if isinstance(config, PretrainedConfig) else None
    if values is not None:
        return values
    return {"model_type": "timm_wrapper", "architecture": architecture, "num_classes": 0, "label_names": []}


def describe_config(config: PretrainedConfig) -> dict[str, Any] | None:
    """A transformers configuration as ``AutoConfig`` reads it; None where it would not know the model.

    A model that is a part of another, as HTS-AT is of CLAP, stands in the whole one's configuration.
    """
    values: dict[str, Any] = json.loads(config.to_json_string())
    values.pop("_name_or_path", None)  # where the weights lay on this machine
    if config.model_type in _PARTS:
        whole, part = _PARTS[config.model_type]
        return {"model_type": whole, part: values}
    return values if config.model_type in CONFIG_MAPPING else None


def describe_runtime(profile: Profile | None) -> dict[str, Any]:
    """ort_config.json: how the INT8 files were made, in the words of Optimum's ORTConfig."""
    quantization: dict[str, Any] = {}
    if profile is not None:
        quantization = {
            "is_static": True,
            "format": "QDQ",
            "mode": "QLinearOps",
            "activations_dtype": "QUInt8" if profile.activation_type == "uint8" else "QInt8",
            "activations_symmetric": profile.symmetric_activations,
            "weights_dtype": "QInt8",
            "weights_symmetric": True,
            "per_channel": True,
            "reduce_range": False,
            "nodes_to_quantize": [],
            "nodes_to_exclude": [],
            "operators_to_quantize": [*WEIGHTED_OPERATORS, *profile.carriers],
            "qdq_add_pair_to_weight": not profile.quantized_weights,
        }
    return {
        "opset": OPSET,
        "use_external_data_format": False,
        "one_external_file": True,
        "optimization": {},
        "quantization": quantization,
    }
