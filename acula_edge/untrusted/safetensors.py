"""Safetensors files: the header is read here first, and held against the file and the format's rules.

Format: https://huggingface.co/docs/safetensors. The library's own reader takes the last of two tensors with one name,
and headers of up to 100 million bytes; what passes here it reads as it is written.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acula_edge.errors import ArtifactError
from acula_edge.limits import MAX_CHECKPOINT_BYTES, MAX_SAFETENSORS_HEADER_BYTES
from acula_edge.untrusted.regular_files import open_artifact
from acula_edge.untrusted.texts import parse_json

_WHAT = "safetensors"
_METADATA = "__metadata__"
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "U16": 16, "I16": 16, "F16": 16, "BF16": 16,
    "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64,
}  # fmt: skip
"""Bits per element by type."""

_MOST_ELEMENTS = 1 << 62


@dataclass(frozen=True)
class Header:
    """What a safetensors file holds: shapes and types by tensor, and its metadata."""

    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]
    metadata: dict[str, str]


def check_safetensors(path: str | os.PathLike[str]) -> Header:
    """Read the header of a safetensors file.

    Raises:
        ArtifactError: no such file, or one that breaks the format: a header longer than the file or the limit, no
            JSON, a name twice, an unknown type, shapes that do not fit their bytes, bytes of no or two tensors.
    """
    path = Path(path)
    with open_artifact(path, _WHAT, MAX_CHECKPOINT_BYTES) as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, MAX_SAFETENSORS_HEADER_BYTES):
            raise ArtifactError(
                f"{path} cannot be read as {_WHAT}",
                given=f"a header of {length} bytes in a file of {size}",
                allowed=f"a header of at most {MAX_SAFETENSORS_HEADER_BYTES} bytes, all of it in the file",
            )
        text = file.read(length)
    try:
        return _parse(parse_json(text.decode()), size - 8 - length)
    except ValueError as error:
        raise ArtifactError(f"{path} cannot be read as {_WHAT}", given=error) from error


@contextlib.contextmanager
def open_safetensors(path: str | os.PathLike[str], framework: str) -> Iterator[Any]:
    """``safetensors.safe_open`` on a file that passed :func:`check_safetensors`.

    Args:
        framework: ``numpy`` or ``pt``.

    Raises:
        ArtifactError: as :func:`check_safetensors`, or the library cannot read it, also while it is open.
    """
    from safetensors import SafetensorError, safe_open

    check_safetensors(path)
    try:
        with safe_open(os.fspath(path), framework=framework) as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise ArtifactError(f"{path} cannot be read as {_WHAT}", given=error) from error


def _parse(header: Any, size: int) -> Header:
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    metadata = header.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("its metadata are no texts")
    places = sorted((_place(name, entry), name) for name, entry in header.items())
    end = 0
    for (start, stop), name in places:
        if start != end:
            raise ValueError(f"the tensor {name[:80]} lies at {start}, where {end} was due: a hole, or an overlap")
        end = stop
    if end != size:
        raise ValueError(f"its tensors have {end} bytes, the file {size} for them")
    return Header(
        {name: tuple(entry["shape"]) for name, entry in header.items()},
        {name: entry["dtype"] for name, entry in header.items()},
        dict(metadata),
    )


def _place(name: str, entry: Any) -> tuple[int, int]:
    """First and one-past-last byte of a tensor."""
    if not isinstance(entry, Mapping) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"the tensor {name[:80]} has no dtype, shape and data_offsets, or more than these")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        raise ValueError(f"the tensor {name[:80]} is of the type {str(dtype)[:80]}")
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise ValueError(f"the tensor {name[:80]} has sizes that are none")
    if math.prod(max(size, 1) for size in shape) > _MOST_ELEMENTS:
        # With a size of 0 it has no bytes; libraries multiply the others all the same.
        raise ValueError(f"the tensor {name[:80]} has sizes that no memory has")
    if math.prod(shape) * BITS[dtype] != 8 * (offsets[1] - offsets[0]):
        raise ValueError(f"the tensor {name[:80]} does not have as many bytes as its shape needs")
    return offsets[0], offsets[1]


def _are_sizes(values: Any) -> bool:
    if not isinstance(values, list) or len(values) > 32:
        return False
    return all(isinstance(value, int) and not isinstance(value, bool) and value >= 0 for value in values)
