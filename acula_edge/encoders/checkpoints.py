"""Public checkpoint files: known hash or shape, weights only, strict (SPEC section 5).

A checkpoint is never unpickled as code: ``torch.load(weights_only=True)`` or safetensors, nothing else.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from acula_edge.encoders.base import AudioEncoder
from acula_edge.errors import ArtifactError, InputError
from acula_edge.files import sha256_file

log = logging.getLogger(__name__)

PUBLISHED_SHA256 = {
    "opera-ct": "83c35b435518ad5f395bf4d34e552caa088faf9e63f6b8058d5288e9abb350ae",
    "opera-ce": "2e18765ad90e584f7122dd739cd9e9b56d9013ce25660042ab8f6690cce74d39",
    "opera-gt": "64dff121368e30ee7b1c9b2e526eaf2af93ac63ce4a8712efd60ecda84618cb8",
}
_WRAPPERS = ("state_dict", "audio_model_state_dict", "model")


def read_tensors(path: str | Path) -> dict[str, torch.Tensor]:
    """Tensors of a checkpoint file, wrappers removed.

    Raises:
        ArtifactError: no such file, or one that would have to run code to be read.
    """
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(f"there is no checkpoint {path}")
    if path.suffix == ".safetensors":
        return load_file(path)
    try:
        values: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises several kinds for files that are not plain weights
        raise ArtifactError(
            f"{path} is not a weights-only checkpoint; reading it would run code that it contains",
            given=type(error).__name__,
            remedy="convert it to safetensors on a machine that you can throw away, and give that file",
        ) from error
    for wrapper in _WRAPPERS:
        if isinstance(values, dict) and isinstance(values.get(wrapper), dict):
            values = values[wrapper]
    if not isinstance(values, dict):
        raise ArtifactError(f"{path} holds no dictionary of tensors", given=type(values).__name__)
    return {key: value for key, value in values.items() if isinstance(value, torch.Tensor)}


def load_public_checkpoint(encoder: AudioEncoder, path: str | Path) -> None:
    """Load a public checkpoint into an encoder, strictly on the encoder's part.

    Raises:
        ArtifactError: the file cannot be read, or does not hold exactly this encoder.
    """
    name = encoder.config.encoder
    rename = getattr(encoder, "public_name", None)
    if rename is None:
        raise InputError(f"the encoder {name} has no public checkpoint layout")
    published = PUBLISHED_SHA256.get(name)
    if published is not None and sha256_file(path) != published:
        log.warning("%s is not the published file of %s; loading it by its layout", path, name)
    renamed = {rename(key): value for key, value in read_tensors(path).items()}
    renamed.pop(None, None)
    wanted = encoder.state_dict()
    missing = sorted(set(wanted) - set(renamed))
    unexpected = sorted(set(renamed) - set(wanted))
    wrong = sorted(key for key in set(wanted) & set(renamed) if wanted[key].shape != renamed[key].shape)
    if missing or unexpected or wrong:
        raise ArtifactError(
            f"{path} does not hold the encoder {name}",
            given=f"{len(missing)} missing, {len(unexpected)} unexpected, {len(wrong)} of another shape; "
            f"first: {(missing + unexpected + wrong)[0]}",
            remedy="check that the file and the encoder's name belong together",
        )
    if not all(bool(torch.isfinite(value).all()) for value in renamed.values() if value.is_floating_point()):
        raise ArtifactError(f"{path} holds NaN or infinite weights")
    encoder.load_state_dict(renamed)
