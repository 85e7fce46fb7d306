"""Public checkpoint files: known hash or shape, weights only, strict (SPEC section 5).

A checkpoint is never unpickled as code: ``torch.load(weights_only=True)`` or safetensors, nothing else. Every tensor of
a file must be one that the encoder, its self-supervised head or its list of unused tensors knows by name.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from acula_edge.errors import ArtifactError, InputError
from acula_edge.files import sha256_file
from acula_edge.untrusted.checkpoints import check_checkpoint
from acula_edge.untrusted.safetensors import open_safetensors

if TYPE_CHECKING:
    from acula_edge.encoders.base import AudioEncoder

log = logging.getLogger(__name__)

PUBLISHED_SHA256 = {
    "opera-ct": "83c35b435518ad5f395bf4d34e552caa088faf9e63f6b8058d5288e9abb350ae",
    "opera-ce": "2e18765ad90e584f7122dd739cd9e9b56d9013ce25660042ab8f6690cce74d39",
    "opera-gt": "64dff121368e30ee7b1c9b2e526eaf2af93ac63ce4a8712efd60ecda84618cb8",
}
COLA_HEAD = {
    "g.weight": "projection.weight",
    "g.bias": "projection.bias",
    "layer_norm.weight": "norm.weight",
    "layer_norm.bias": "norm.bias",
    "linear.weight": "bilinear.weight",
}
_DTYPES = (
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool,
)  # fmt: skip
_WRAPPERS = ("state_dict", "audio_model_state_dict", "model")


@dataclass(frozen=True)
class PublicLayout:
    """Which tensor of a public file is what.

    Attributes:
        public_name: name in the encoder's class -> name in the file. Names that share one in the file (query, key and
            value of a fused projection) are equal parts of it along the first axis, in the encoder's order.
        head: name in the file -> name in the module of the self-supervised objective.
        unused: names in the file of tensors that nothing needs.
    """

    public_name: Callable[[str], str]
    head: Mapping[str, str] = field(default_factory=dict)
    unused: frozenset[str] = frozenset()


def read_tensors(path: str | Path) -> dict[str, torch.Tensor]:
    """Tensors of a checkpoint file, wrappers removed.

    Raises:
        ArtifactError: no such file, one that would have to run code to be read, or one of something else than tensors.
    """
    path = Path(path)
    if path.is_dir():
        raise ArtifactError(f"{path} is a folder", allowed="one checkpoint file", remedy="give the file in it")
    if not path.is_file():
        raise ArtifactError(f"there is no checkpoint {path}")
    values: Any = _read_safetensors(path) if path.suffix == ".safetensors" else load_checkpoint(path)
    for wrapper in _WRAPPERS:
        if isinstance(values, dict) and isinstance(values.get(wrapper), dict):
            values = values[wrapper]
    if not isinstance(values, dict):
        raise ArtifactError(f"{path} holds no dictionary of tensors", given=type(values).__name__)
    others = [str(key) for key, value in values.items() if not isinstance(value, torch.Tensor)]
    if others or not values:
        raise ArtifactError(
            f"{path} holds {'something else than tensors' if others else 'no tensors'}",
            given=_first(others) or None,
            allowed=f"a dictionary of tensors, bare or under one of {', '.join(_WRAPPERS)}",
        )
    _check_plain(values, path)
    return values


def load_public_checkpoint(encoder: AudioEncoder, path: str | Path) -> None:
    """Load a public checkpoint into an encoder; the file must hold all of it, and nothing unknown.

    Raises:
        ArtifactError: the file cannot be read, or does not hold exactly this encoder.
    """
    name = encoder.config.encoder
    layout = _layout(encoder)
    tensors = read_tensors(path)
    if name in PUBLISHED_SHA256 and sha256_file(path) != PUBLISHED_SHA256[name]:
        log.warning("%s is not the published file of %s; loading it by its layout", path, name)
    own = encoder.state_dict()
    parts: dict[str, list[str]] = {}
    for key in own:
        parts.setdefault(layout.public_name(key), []).append(key)
    found_head = tensors.keys() & layout.head.keys()
    values = {
        key: part
        for public, keys in parts.items()
        if public in tensors
        for key, part in zip(keys, _split(tensors[public], len(keys)), strict=True)
    }
    _check(
        f"{path} does not hold the encoder {name}",
        missing=(parts.keys() | (layout.head.keys() if found_head else set())) - tensors.keys(),
        unexpected=tensors.keys() - parts.keys() - layout.head.keys() - layout.unused,
        misshapen=(layout.public_name(key) for key in values if values[key].shape != own[key].shape),
    )
    _check_finite(values, path)
    encoder.load_state_dict(values)


def load_public_head(head: nn.Module, encoder: AudioEncoder, path: str | Path) -> bool:
    """Load the self-supervised head that is published in the same file as an encoder.

    Args:
        head: the module of the objective that the encoder was published with: COLA's head, or the decoder that
            ``encoder.make_decoder()`` gave.
        encoder: whose file it is; its weights are not touched.

    Returns:
        Whether the file has the head. Files of the encoder alone do not; with OPERA-CT's ``projection`` the encoder
        itself takes the first layer, and none is left.

    Raises:
        ArtifactError: the file cannot be read, or holds only a part of the head or one of other sizes.
    """
    layout = _layout(encoder)
    tensors = read_tensors(path)
    values = {own: tensors[public] for public, own in layout.head.items() if public in tensors}
    if not values:
        return False
    wanted = head.state_dict()
    public = {own: public for public, own in layout.head.items()}
    _check(
        f"{path} does not hold the self-supervised head of {encoder.config.encoder}",
        missing=(public.get(key, key) for key in wanted.keys() - values.keys()),
        unexpected=(public[key] for key in values.keys() - wanted.keys()),
        misshapen=(public[key] for key in wanted.keys() & values.keys() if wanted[key].shape != values[key].shape),
    )
    _check_finite(values, path)
    head.load_state_dict(values)
    return True


def _layout(encoder: AudioEncoder) -> PublicLayout:
    layout: PublicLayout | None = encoder.public_layout()
    if layout is None:
        raise InputError(f"the encoder {encoder.config.encoder} has no public checkpoint layout")
    return layout


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    with open_safetensors(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def load_checkpoint(path: str | Path) -> Any:
    """What ``torch.save`` wrote, in memory: tensors, numbers, texts and what holds them, nothing else.

    Raises:
        ArtifactError: it would have to run code, is damaged, or is beyond the limits
            (:func:`acula_edge.untrusted.checkpoints.check_checkpoint`).
    """
    check_checkpoint(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ArtifactError(
            f"{path} is not a weights-only checkpoint; reading it would run code that it contains",
            given=type(error).__name__,
            remedy="convert it to safetensors on a machine that you can throw away, and give that file",
        ) from error
    except Exception as error:  # torch raises several kinds for damaged files
        raise ArtifactError(f"{path} cannot be read as a checkpoint", given=_line(error)) from error


def _check_plain(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Refuse tensors that are more than numbers in a row: what copies one would take memory that the file never had."""
    for name, tensor in tensors.items():
        if tensor.layout is not torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
            kind = f"{tensor.layout}, {tensor.dtype}, on {tensor.device}"
        elif type(tensor) not in (torch.Tensor, nn.Parameter) or tensor.dtype not in _DTYPES:
            kind = f"{type(tensor).__name__}, {tensor.dtype}"
        elif tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            kind = f"{tensor.numel()} numbers in {tensor.untyped_storage().nbytes()} bytes"
        else:
            continue
        raise ArtifactError(
            f"the tensor {str(name)[:80]} of {path} is no plain array of numbers",
            given=kind,
            allowed=[str(dtype).removeprefix("torch.") for dtype in _DTYPES],
        )


def _split(tensor: torch.Tensor, parts: int) -> tuple[torch.Tensor, ...]:
    return tensor.tensor_split(parts) if parts > 1 else (tensor,)


def _check(problem: str, *, missing: Iterable[str], unexpected: Iterable[str], misshapen: Iterable[str]) -> None:
    found = {
        "missing": sorted(missing),
        "unexpected": sorted(unexpected),
        "of another shape": sorted(set(misshapen)),
    }
    if any(found.values()):
        raise ArtifactError(
            problem,
            given="; ".join(f"{len(keys)} {what}: {_first(keys)}" for what, keys in found.items() if keys),
            remedy="check that the file and the encoder's name belong together",
        )


def _check_finite(values: Mapping[str, torch.Tensor], path: str | Path) -> None:
    wrong = [key for key, value in values.items() if value.is_floating_point() and not torch.isfinite(value).all()]
    if wrong:
        raise ArtifactError(f"{path} holds NaN or infinite weights", given=_first(wrong))


def _first(keys: list[str], count: int = 3) -> str:
    return ", ".join(keys[:count]) + (", ..." if len(keys) > count else "")


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
