"""JSON files that carry their own SHA-256, so that a change of any byte shows without another file to compare with.

The last entry, ``sha256``, is the hash of the file's bytes with the 64 digits of that entry replaced by zeros. The
entry ``self_check`` says so in the file itself; damage to the name of one of the two leaves the other.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from acula_edge.errors import ArtifactError
from acula_edge.files import read_json, write_text
from acula_edge.limits import MAX_BUNDLE_JSON_BYTES

SELF_CHECK = "sha256 is the hash of this file with its own 64 digits replaced by zeros"
_BLANK = "0" * 64


def render_sealed_json(value: dict[str, Any]) -> str:
    """The text of a sealed file; a former seal in `value` is made anew."""
    content = {key: entry for key, entry in value.items() if key not in ("self_check", "sha256")}
    text = json.dumps({**content, "self_check": SELF_CHECK, "sha256": _BLANK}, indent=2, allow_nan=False) + "\n"
    head, _, tail = text.rpartition(_BLANK)
    return head + hashlib.sha256(text.encode()).hexdigest() + tail


def write_sealed_json(path: str | Path, value: dict[str, Any]) -> None:
    """Write a sealed file atomically."""
    write_text(path, render_sealed_json(value))


def read_sealed_json(path: str | Path, schema: str) -> dict[str, Any]:
    """Read a sealed file.

    Args:
        schema: that the file's ``schema`` must name.

    Raises:
        ArtifactError: no such file, not JSON, another schema, or altered since it was sealed; the file is named.
    """
    path = Path(path)
    value = read_json(path, schema=schema, max_bytes=MAX_BUNDLE_JSON_BYTES)
    assert isinstance(value, dict)
    digest = str(value.get("sha256"))
    head, _, tail = path.read_bytes().rpartition(digest.encode() or b"none")
    if hashlib.sha256(head + _BLANK.encode() + tail).hexdigest() != digest:
        raise ArtifactError(
            f"{path} was altered",
            given="its content does not have the SHA-256 that it names",
            remedy="copy it again from where it was made, or export the bundle again",
        )
    return value
