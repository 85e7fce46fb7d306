"""The JSON files of a bundle as structures of :mod:`acula_edge.bundle.schema`: read within limits, written whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from acula_edge.bundle.schema import File
from acula_edge.errors import ArtifactError
from acula_edge.files import read_json, write_json

Kind = TypeVar("Kind", bound=File)


def parse_facts(content: Mapping[str, Any], kind: type[Kind], path: str | Path) -> Kind:
    """The structure that a file's content is.

    Args:
        path: of the file, for the error.

    Raises:
        ArtifactError: an entry is missing, of another type than it always is, or beyond the limits (named).
    """
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise ArtifactError(
            f"{path} says what no such file can",
            given=str(error).replace("$.", "")[:300],
            remedy="copy it again from where it was made, or make it again with this version",
        ) from error


def read_facts(path: str | Path, kind: type[Kind]) -> Kind:
    """Read one of a bundle's JSON files.

    Raises:
        ArtifactError: no such file, not JSON, of another schema, or as for :func:`parse_facts`.
    """
    return parse_facts(read_json(path, schema=kind.SCHEMA), kind, path)


def read_facts_if_there(path: str | Path, kind: type[Kind]) -> Kind | None:
    """The same; None where there is no such file."""
    return read_facts(path, kind) if Path(path).is_file() else None


def write_facts(path: str | Path, facts: File) -> None:
    """Write one of a bundle's JSON files, whole or not at all."""
    write_json(path, plain(facts))


def plain(facts: msgspec.Struct) -> dict[str, Any]:
    """A structure as JSON has it: lists, and null for a number that is not finite."""
    values: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(facts))
    return values
