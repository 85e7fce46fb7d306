"""Files that appear whole or not at all, and the hashes that prove it.

Every artifact is written to a temporary name in its own folder and renamed; a reader never sees half a file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from acula_edge.errors import ArtifactError, InputError


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it there on success, delete it on any failure.

    Raises:
        InputError: the disk is full, the folder is read-only, or may not be written.
    """
    final = Path(path)
    temporary = None
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        # The suffix is kept because soundfile, onnx and numpy choose a format by it.
        handle, name = tempfile.mkstemp(prefix=f".{final.stem}-", suffix=final.suffix, dir=final.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, final)
    except Exception as error:
        cause = _cause(error)
        if cause is None:
            raise
        raise InputError(
            f"cannot write {final}",
            given=cause.strerror or str(cause),
            remedy="free some space or choose another folder; nothing was half written, run the same command again",
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write bytes atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode())


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write JSON atomically: two-space indent, no NaN (a number that does not exist is null)."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_jsonl(path: str | os.PathLike[str], rows: Iterable[Any]) -> None:
    """Write one JSON value per line, atomically, without holding all of them in memory."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike[str], schema: str | None = None) -> Any:
    """Read JSON; with `schema`, insist on its name in the file's ``schema`` field.

    Raises:
        ArtifactError: no such file, not JSON, or another schema.
    """
    path = Path(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(f"there is no file {path}") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
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


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sha256_text(text: str) -> str:
    """Hexadecimal SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_json(value: Any) -> str:
    """Hexadecimal SHA-256 of a value's canonical JSON; the key of every cache."""
    return sha256_text(json.dumps(value, sort_keys=True, separators=(",", ":"), default=str))


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`; put it in the place of `path` on success, delete it on failure.

    Raises:
        InputError: the disk is full, the folder is read-only, or may not be written. What was at `path` stays.
    """
    final = Path(path)
    temporary = None
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{final.name}-", dir=final.parent))
        os.chmod(temporary, 0o755)
        yield temporary
        former = None
        if final.exists():
            former = Path(tempfile.mkdtemp(prefix=f".{final.name}-former-", dir=final.parent))
            os.replace(final, former / final.name)
        os.replace(temporary, final)
        if former is not None:
            shutil.rmtree(former, ignore_errors=True)
    except Exception as error:
        cause = _cause(error)
        if cause is None:
            raise
        raise InputError(
            f"cannot write the folder {final}",
            given=cause.strerror or str(cause),
            remedy="free some space or choose another folder; nothing was half written, run the same command again",
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _cause(error: Exception) -> OSError | None:
    """The system's error behind `error`; libraries written in Rust (safetensors) leave it in their text only."""
    if isinstance(error, OSError):
        return error
    number = re.search(r"\(os error (\d+)\)", str(error))
    return OSError(int(number[1]), os.strerror(int(number[1]))) if number else None
