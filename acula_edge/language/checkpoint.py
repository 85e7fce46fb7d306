"""The language model's weights within a checkpoint that holds more, or holds them under another name.

A multimodal checkpoint keeps its language model under a prefix that differs between families and between the versions
that saved them (``language_model.model.``, ``model.language_model.``, ``model.``). It is found, not listed: the prefix
under which most of the language model's own names lie. Nothing else is read, so a vision tower costs no memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from typing import Any

import torch
from transformers import AutoModel, PretrainedConfig
from transformers.utils.hub import cached_file, get_checkpoint_shard_files

from acula_edge.untrusted.safetensors import open_safetensors


def load_text_model(
    source: str, revision: str | None, config: PretrainedConfig, dtype: torch.dtype
) -> tuple[Any, list[str]]:
    """The model of a text configuration from a checkpoint that holds it somewhere, and the names of missing weights.

    Args:
        source: folder or Hugging Face id with safetensors weights.
        revision: commit or tag of a Hugging Face id.
        config: of the language model alone.
        dtype: of the loaded weights.

    Raises:
        OSError: there are no safetensors weights, or the hub cannot be reached.
    """
    with torch.device("meta"):
        skeleton = AutoModel.from_config(config)
    files = _checkpoint_files(source, revision)
    weights = _read_part(files, set(skeleton.state_dict()))
    model, found = type(skeleton).from_pretrained(
        None, config=config, state_dict=weights, dtype=dtype, output_loading_info=True
    )
    return model, sorted(found["missing_keys"])


def find_prefix(keys: Iterable[str], names: Collection[str]) -> str:
    """The prefix under which most of `names` lie among a checkpoint's `keys`; "" where none do."""
    counts: Counter[str] = Counter()
    for key in keys:
        parts = key.split(".")
        for start in range(len(parts)):
            if ".".join(parts[start:]) in names:
                counts["".join(f"{part}." for part in parts[:start])] += 1
    return counts.most_common(1)[0][0] if counts else ""


def _read_part(files: Sequence[str], names: Collection[str]) -> dict[str, torch.Tensor]:
    held: dict[str, list[str]] = {}
    for path in files:
        with open_safetensors(path, "pt") as file:
            held[path] = list(file.keys())
    prefix = find_prefix(chain.from_iterable(held.values()), names)
    weights: dict[str, torch.Tensor] = {}
    for path, keys in held.items():
        with open_safetensors(path, "pt") as file:
            weights.update({key.removeprefix(prefix): file.get_tensor(key) for key in keys if key.startswith(prefix)})
    return weights


def _checkpoint_files(source: str, revision: str | None) -> list[str]:
    """Paths of a checkpoint's safetensors files, downloaded where `source` is a Hugging Face id."""
    try:
        index = cached_file(source, "model.safetensors.index.json", revision=revision)
    except OSError:
        return [str(cached_file(source, "model.safetensors", revision=revision))]
    shards, _ = get_checkpoint_shard_files(source, index, revision=revision)
    return [str(path) for path in shards]
