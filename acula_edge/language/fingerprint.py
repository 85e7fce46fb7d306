"""What a model folder holds, told apart without reading gigabytes of weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

from acula_edge.files import sha256_json

_TAKES_PART = {".json", ".model", ".safetensors", ".txt"}
_BLOCK = 1 << 16
_BLOCKS = 64


def model_fingerprint(source: str) -> str | None:
    """SHA-256 of a model folder's configuration, tokenizer and weights; None for a Hugging Face id.

    Of a file above 4 MiB only its size and 64 blocks of 64 KiB at equal distances count, the first and the last among
    them: training or another precision changes every weight, so it shows there.
    """
    folder = Path(source)
    if not folder.is_dir():
        return None
    files = sorted(path for path in folder.iterdir() if path.suffix in _TAKES_PART and path.is_file())
    return sha256_json([[path.name, _sampled_sha256(path)] for path in files])


def _sampled_sha256(path: Path) -> str:
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with open(path, "rb") as file:
        if size <= _BLOCK * _BLOCKS:
            digest.update(file.read())
        else:
            for number in range(_BLOCKS):
                file.seek((size - _BLOCK) * number // (_BLOCKS - 1))
                digest.update(file.read(_BLOCK))
    return digest.hexdigest()
