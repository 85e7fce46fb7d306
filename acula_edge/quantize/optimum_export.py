"""Transformers through Hugging Face Optimum: its ONNX exporter, its dynamic INT8. The only file that imports optimum.

What Optimum's users have today, and so the baseline of our own export: the same network, as ``optimum-cli export onnx``
and ``optimum-cli onnxruntime quantize`` make it, loadable with ``ORTModelForFeatureExtraction``. It covers the network
alone: spectrogram (or waveform) in, hidden states out; front end, pooling and tasks are in this package's own bundles.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from transformers import ClapAudioModel, PreTrainedModel

from acula_edge.errors import InputError, MissingCapability
from acula_edge.files import write_json
from acula_edge.quantize.hub_files import CONFIG_FILE, describe_config

FLOAT_FILE = "model.onnx"
INT8_FILE = "model_quantized.onnx"
TASK = "feature-extraction"

InstructionSet = Literal["arm64", "avx2", "avx512", "avx512_vnni"]


def export_backbone(encoder: Any, folder: str | Path) -> Path:
    """Export an encoder's transformers network with Optimum's exporter.

    Args:
        encoder: an :class:`acula_edge.encoders.base.AudioEncoder` around a transformers model. Optimum knows the
            architectures of ast and, behind ``huggingface``, of HuBERT, wav2vec 2, WavLM and the like; for HTS-AT
            (opera-ct, clap) it is told inputs and outputs here.
        folder: ``model.onnx`` and ``config.json`` are written into it.

    Returns:
        Path of the model.

    Raises:
        InputError: the encoder is not a transformers model, or Optimum has no exporter for its architecture.
        MissingCapability: Optimum is not installed.
    """
    folder = Path(folder)
    network = _backbone(encoder)
    _check_installed()
    from optimum.exporters.onnx import onnx_export_from_model

    configs = {}
    if isinstance(network, ClapAudioModel):
        configs["model"] = _hts_at_config(network, encoder.frontend.n_mels)
    elif not _is_known(network):
        raise InputError("Optimum has no ONNX exporter for this network", given=network.config.model_type)
    with _quiet():
        onnx_export_from_model(
            network, folder, task=TASK, custom_onnx_configs=configs or None, do_validation=False, device="cpu"
        )
    config = describe_config(network.config)
    if config is not None:
        write_json(folder / CONFIG_FILE, config)
    return folder / FLOAT_FILE


def quantize_dynamic(
    folder: str | Path, target: str | Path, instructions: InstructionSet = "avx512_vnni", per_channel: bool = False
) -> Path:
    """Quantize ``model.onnx`` of a folder as ``optimum-cli onnxruntime quantize --avx512_vnni`` does.

    Weights are INT8; activations are quantized while running, with ranges found anew for every input. The target gets
    ``model_quantized.onnx``, ``ort_config.json`` and ``config.json``.

    Args:
        folder: as written by :func:`export_backbone`.
        target: another folder.
        instructions: the command's option of that name.
        per_channel: the command's ``--per_channel``.

    Returns:
        Path of the quantized model.

    Raises:
        InputError: the folders are the same, or the first holds no ``model.onnx``.
        MissingCapability: Optimum is not installed.
    """
    folder, target = Path(folder), Path(target)
    if folder.resolve() == target.resolve() or not (folder / FLOAT_FILE).is_file():
        raise InputError(
            f"a folder with {FLOAT_FILE} and another one are needed", given=f"{folder}, {target}", allowed="two folders"
        )
    _check_installed()
    from optimum.onnxruntime import ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    with _quiet():
        quantizer = ORTQuantizer.from_pretrained(folder, file_name=FLOAT_FILE)
        make = getattr(AutoQuantizationConfig, instructions)
        quantizer.quantize(save_dir=target, quantization_config=make(is_static=False, per_channel=per_channel))
    return target / INT8_FILE


def _backbone(encoder: Any) -> PreTrainedModel:
    network = getattr(encoder, "backbone", None)
    if not isinstance(network, PreTrainedModel):
        raise InputError(
            "only encoders around a transformers model export through Optimum",
            given=encoder.config.encoder,
            allowed="opera-ct, clap, ast, huggingface",
            remedy="acula-edge export writes ONNX for every encoder",
        )
    copied: PreTrainedModel = copy.deepcopy(network).cpu().float().eval()
    return copied


def _is_known(network: PreTrainedModel) -> bool:
    from optimum.exporters.tasks import TasksManager

    try:
        known = TasksManager.get_supported_tasks_for_model_type(
            network.config.model_type, exporter="onnx", library_name="transformers"
        )
    except KeyError:
        return False
    return TASK in known


def _hts_at_config(network: ClapAudioModel, n_mels: int) -> Any:
    """Inputs and outputs of HTS-AT at its one size, in Optimum's form."""
    from optimum.exporters.onnx import OnnxConfig
    from optimum.utils import NormalizedConfig

    class HtsAtOnnxConfig(OnnxConfig):  # type: ignore[misc]
        NORMALIZED_CONFIG_CLASS: ClassVar = NormalizedConfig

        @property
        def inputs(self) -> dict[str, dict[int, str]]:
            return {"input_features": {0: "batch_size"}}

        @property
        def outputs(self) -> dict[str, dict[int, str]]:
            return {"last_hidden_state": {0: "batch_size"}, "pooler_output": {0: "batch_size"}}

        def generate_dummy_inputs(self, framework: str = "pt", **_: Any) -> dict[str, Any]:
            size = network.config.spec_size
            features = torch.rand(1, 1, size * size // n_mels, n_mels)
            return {"input_features": features if framework == "pt" else features.numpy()}

    return HtsAtOnnxConfig(network.config, task=TASK)


def _check_installed() -> None:
    try:
        import optimum.exporters.onnx
        import optimum.onnxruntime  # noqa: F401
    except ImportError as error:
        raise MissingCapability(
            "Optimum's ONNX Runtime part is not installed here",
            given=error,
            remedy="pip install 'optimum-onnx>=0.1,<0.2' 'transformers<4.58'",
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The TorchScript exporter warns of every branch that it traced."""
    former = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(former)
