"""JSON files of runs and bundles, read within limits; what they lack is an error that names the file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from acula_edge.errors import AculaEdgeError, ArtifactError
from acula_edge.limits import MAX_JSON_BYTES
from acula_edge.untrusted.texts import parse_json, read_text

_OF_WRONG_KIND = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError)


class MissingField(ArtifactError, KeyError):
    """A file lacks a key that is always written; also the error that any dictionary raises for it."""


class Fields(dict[str, Any]):
    """An object of a JSON file. Asking it for a key that is not there is an error that names the file."""

    __slots__ = ("file",)

    file: str

    def __missing__(self, key: str) -> Any:
        raise MissingField(
            f"{getattr(self, 'file', 'a file')} lacks the key {key!r}",
            given=f"the keys {', '.join(map(str, self))}" if self else "an empty object",
            remedy="it is damaged, or of another version of acula-edge: make it again, or copy it again",
        )


@contextmanager
def showing(what: str) -> Iterator[None]:
    """Code that shows what JSON files say, and does nothing else.

    A value of another kind than is always written ends in an error that names the files, not in a bug's.

    Args:
        what: the files.

    Raises:
        ArtifactError: instead of an error that a value of another kind causes.
    """
    try:
        yield
    except AculaEdgeError:
        raise
    except Exception as error:
        if not isinstance(error, _OF_WRONG_KIND) and not type(error).__module__.startswith("jinja2"):
            raise
        raise ArtifactError(
            f"{what}: a value is not of the kind that acula-edge writes",
            given=f"{type(error).__name__}: {error}",
            remedy="make the files again with this version; --verbose shows where it was",
        ) from error


def read_json(path: str | os.PathLike[str], schema: str | None = None, max_bytes: int = MAX_JSON_BYTES) -> Any:
    """Read JSON; with `schema`, insist on its name in the file's ``schema`` field.

    Objects come as :class:`Fields`, so that a file which lacks a key ends in an error that names it.

    Raises:
        ArtifactError: no such file, no regular file, not JSON (:func:`acula_edge.untrusted.texts.parse_json`), longer
            than `max_bytes`, or another schema.
    """
    path = Path(path)

    def make(found: dict[str, Any]) -> Fields:
        fields = Fields(found)
        fields.file = str(path)
        return fields

    try:
        value = parse_json(read_text(path, max_bytes), make)
    except FileNotFoundError as error:
        raise ArtifactError(f"there is no file {path}") from error
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read as JSON", given=error) from error
    if schema is not None:
        found = value.get("schema") if isinstance(value, dict) else None
        if found != schema:
            raise ArtifactError(
                f"{path} has another schema than this version of acula-edge reads",
                given=found,
                allowed=schema,
                remedy="make the file again with this version",
            )
    return value
