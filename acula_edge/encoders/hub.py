"""Encoders published through Hugging Face: weights only, no remote code, and offline once they are saved here.

A saved encoder's folder holds the Hugging Face configuration among its options, so that it needs nothing else.
"""

from __future__ import annotations

import contextlib
import pickle
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import FeatureExtractionMixin, PretrainedConfig, PreTrainedModel
from transformers.utils import logging

from acula_edge.errors import ArtifactError
from acula_edge.untrusted.model_folders import check_config, check_model_folder, check_model_size

# What transformers raises for a folder or id that lacks something depends on what it lacks.
_UNUSABLE = (AttributeError, ImportError, KeyError, OSError, RuntimeError, TypeError, ValueError, SafetensorError,
             pickle.UnpicklingError)  # fmt: skip
_ALLOWED = "a folder with config.json and model.safetensors, or a Hugging Face id that this machine can reach"
_REMEDY = "where there is no network, download it elsewhere (hf download ID --local-dir FOLDER) and give the folder"
# Of no use to an encoder, or bound to the machine that wrote them.
_DROPPED = ("_name_or_path", "architectures", "dtype", "id2label", "label2id", "torch_dtype", "transformers_version")


def read_config(checkpoint: str | Path, kinds: Mapping[str, type[PretrainedConfig]]) -> Any:
    """Configuration of a model by folder or id.

    Args:
        kinds: values of ``model_type`` that will do, each with its class.

    Raises:
        ArtifactError: there is no such model, or it is of another kind.
    """
    _check_folder(checkpoint)
    try:
        with _quiet():
            values, _ = PretrainedConfig.get_config_dict(str(checkpoint))
            check_config(values, checkpoint)
            kind = values.get("model_type", "a configuration without model_type")
            if kind not in kinds:
                raise ArtifactError(f"{checkpoint} is a model of another kind", given=kind, allowed=kinds)
            return kinds[kind].from_dict(values)
    except _UNUSABLE as error:
        raise _unusable(checkpoint, error) from error


def read_module(
    checkpoint: str | Path, config: PretrainedConfig, kind: type[PreTrainedModel], part: str = ""
) -> nn.Module:
    """A model with its weights in float32, or a part of one.

    Read from safetensors, or from a ``pytorch_model.bin`` that holds nothing but weights. What a checkpoint holds
    beside the part (heads, decoders, text towers) is left out.

    Args:
        config: of the model, as :func:`read_config` gave it or changed in what has no weights.
        kind: class of transformers that reads the checkpoint.
        part: attribute of that class; "" for the whole model.

    Raises:
        ArtifactError: the weights cannot be read, or are not exactly those of the part.
    """
    _check_folder(checkpoint)
    with _quiet():
        try:
            check_model_size(checkpoint, lambda: kind(config))
            model, report = _load(kind, checkpoint, config, use_safetensors=True)
        except OSError as error:
            try:
                model, report = _load(kind, checkpoint, config, use_safetensors=False)
            except _UNUSABLE:
                raise _unusable(checkpoint, error) from error
        except _UNUSABLE as error:
            raise _unusable(checkpoint, error) from error
    module: nn.Module = getattr(model, part) if part else model
    missing = [key for key in report["missing_keys"] if key.startswith(f"{part}." if part else "")]
    own = tuple(f"{part}.{name}." if part else f"{name}." for name, _ in module.named_children())
    prefix = f"{kind.base_model_prefix}."
    unexpected = [key for key in report["unexpected_keys"] if key.removeprefix(prefix).startswith(own)]
    damaged = [key for key, value in module.state_dict().items() if not torch.isfinite(value).all()]
    found = {"missing": missing, "unexpected": unexpected, "NaN or infinite": damaged}
    if any(found.values()):
        raise ArtifactError(
            f"{checkpoint} does not hold the encoder of {kind.__name__}",
            given="; ".join(f"{len(keys)} {what}: {min(keys)}" for what, keys in found.items() if keys),
            remedy="check that the checkpoint is complete and of this architecture",
        )
    return module.float()


def fill_module(module: nn.Module, state: Mapping[str, torch.Tensor], checkpoint: str | Path) -> None:
    """Copy all weights of a module.

    Raises:
        ArtifactError: they are not its weights, since an option gave it other sizes than the checkpoint's.
    """
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise ArtifactError(
            f"{checkpoint} does not fit the encoder's options",
            given=textwrap.shorten(str(error), width=240, placeholder=" ..."),
            remedy="leave sizes out of encoder.options: the checkpoint has them",
        ) from error


def read_preprocessor(checkpoint: str | Path | None) -> dict[str, Any]:
    """Values of the feature extractor that a model comes with; none where it comes without.

    Where the model itself cannot be reached :func:`read_config` says so; this does not.
    """
    if checkpoint is None:
        return {}
    try:
        with _quiet():
            values, _ = FeatureExtractionMixin.get_feature_extractor_dict(str(checkpoint))
    except _UNUSABLE:
        return {}
    return dict(values)


def plain_config(config: PretrainedConfig) -> dict[str, Any]:
    """Values of a configuration that differ from its class's defaults, for the options of an encoder."""
    return {key: value for key, value in config.to_diff_dict().items() if key not in _DROPPED}


def _check_folder(checkpoint: str | Path) -> None:
    try:
        check_model_folder(checkpoint)
    except ArtifactError as error:
        raise _unusable(checkpoint, error) from error


def _load(
    kind: type[PreTrainedModel], checkpoint: str | Path, config: PretrainedConfig, *, use_safetensors: bool
) -> tuple[Any, dict[str, Any]]:
    model, report = kind.from_pretrained(
        str(checkpoint),
        config=config,
        use_safetensors=use_safetensors,
        weights_only=True,
        output_loading_info=True,
    )
    return model, report


def _unusable(checkpoint: str | Path, error: Exception) -> ArtifactError:
    reason = textwrap.shorten(f"{type(error).__name__}: {error}", width=240, placeholder=" ...")
    return ArtifactError(f"{checkpoint} cannot be loaded", given=reason, allowed=_ALLOWED, remedy=_REMEDY)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from printing which weights it leaves out; what matters of that becomes an error here."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
