"""A folder of a Hugging Face model, before transformers reads it: configuration, weights, and lists of shards."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from acula_edge.errors import ArtifactError
from acula_edge.files import read_json
from acula_edge.limits import FREE_MODEL_BYTES, MAX_CONFIGURED_LAYERS, MAX_CONFIGURED_SIZE, MAX_MODEL_EXPANSION
from acula_edge.untrusted.checkpoints import check_checkpoint
from acula_edge.untrusted.safetensors import check_safetensors

CONFIG_FILE = "config.json"
_COUNTS = re.compile(r"(^|_)(layers?|depths?|blocks|stages|experts)$")
_WEIGHTS = (".safetensors", ".bin")
_NO_SIZES = re.compile(r"_id$|theta")


def check_model_folder(source: str | os.PathLike[str]) -> None:
    """Look at ``config.json``, every weight file and every list of shards of a folder; an id of the hub passes.

    Raises:
        ArtifactError: a file is damaged or beyond the limits, a list of shards names a file elsewhere, or the
            configuration gives numbers that no model has (it would be built, and filled with random values, first).
    """
    folder = Path(source)
    if not folder.is_dir():
        return
    if (folder / CONFIG_FILE).exists():
        check_config(read_json(folder / CONFIG_FILE), folder / CONFIG_FILE)
    for path in sorted(folder.iterdir()):
        if path.name.endswith(".index.json"):
            _check_index(path)
        elif path.suffix == ".safetensors":
            check_safetensors(path)
        elif path.suffix == ".bin" and path.name.startswith("pytorch_model"):
            check_checkpoint(path)


def check_model_size(source: str | os.PathLike[str], make: Callable[[], Any]) -> None:
    """Refuse a folder whose configuration describes a model far larger than its weights: the rest would be random.

    Args:
        make: builds the model, a ``torch.nn.Module``; called with no memory behind its tensors.

    Raises:
        ArtifactError: it is such a folder.
    """
    folder = Path(source)
    if not folder.is_dir():
        return
    import torch

    with torch.device("meta"):
        module = make()
    needed = sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())
    held = sum(path.stat().st_size for path in folder.iterdir() if path.suffix in _WEIGHTS and path.is_file())
    allowed = max(FREE_MODEL_BYTES, MAX_MODEL_EXPANSION * held)
    if needed > allowed:
        raise ArtifactError(
            f"{folder / CONFIG_FILE} describes a model that its weights cannot fill",
            given=f"{needed} bytes of weights, {held} in the folder",
            allowed=f"{allowed} bytes",
        )


def check_config(config: Any, path: str | os.PathLike[str]) -> None:
    """Refuse a model's configuration with numbers that would fill the memory, or never end.

    Raises:
        ArtifactError: it is no JSON object, or a number in it is beyond the limits (named).
    """
    if not isinstance(config, dict):
        raise ArtifactError(f"{path} is no configuration of a model", given=type(config).__name__)
    for name, value in _numbers(config, ""):
        limit = MAX_CONFIGURED_LAYERS if _COUNTS.search(name) else MAX_CONFIGURED_SIZE
        if abs(value) > limit and not _NO_SIZES.search(name):
            raise ArtifactError(
                f"{path} gives {name} a number that no model has", given=value, allowed=f"up to {limit}"
            )


def _numbers(value: Any, name: str) -> Iterator[tuple[str, int]]:
    """Whole numbers of a JSON value with the nearest key above them."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _numbers(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _numbers(inner, name)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield name, value


def _check_index(path: Path) -> None:
    index = read_json(path)
    shards = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(shards, dict):
        raise ArtifactError(f"{path} lists no shards", allowed="a JSON object with weight_map")
    for shard in shards.values():
        if not isinstance(shard, str) or Path(shard).name != shard or "\\" in shard or "\0" in shard:
            raise ArtifactError(
                f"{path} names a file elsewhere", given=str(shard)[:200], allowed="names of files beside it"
            )
