"""Files that appear whole or not at all, and the hashes that prove it.

Every artifact is written to a temporary name in its own folder and renamed; a reader never sees half a file.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from acula_edge.errors import InputError, StorageError
from acula_edge.interruption import shielded
from acula_edge.untrusted.json_file import read_json as read_json
from acula_edge.untrusted.texts import open_regular

PARTIAL = ".partial-"
"""In the name of everything that is not whole yet; names that hold it begin with a dot."""

_PARTIAL_NAME = re.compile(rf"\..+{re.escape(PARTIAL)}[a-z0-9_]{{8}}(\.\w+)?")
_FORMER = "former"

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FAILING = (errno.EIO, errno.ESTALE, errno.ENXIO, errno.ENODEV, errno.ETIMEDOUT, errno.ENOTCONN, errno.ENOMEM)
_TOO_MANY = (errno.EMFILE, errno.ENFILE)
NOT_THE_FILE = (*FAILING, *_TOO_MANY)
"""Nothing is wrong with the file, but with what it lies on or who reads it: no reason to do without it."""
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
SYSTEM_ERRORS = (*FULL, *FAILING, *_TOO_MANY, *_FORBIDDEN, errno.ENAMETOOLONG)

# What this process writes and has not finished: swept up when a signal ends it.
_unfinished: set[Path] = set()
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it there on success, delete it on any failure.

    Raises:
        StorageError: the disk is full, the folder is read-only, or may not be written.
    """
    final = Path(path)
    temporary = None
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with shielded():
            # The suffix is kept because soundfile, onnx and numpy choose a format by it.
            handle, name = tempfile.mkstemp(prefix=f".{final.stem}{PARTIAL}", suffix=final.suffix, dir=final.parent)
            temporary = Path(name)
            _unfinished.add(temporary)
            os.close(handle)
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, final)
    except Exception as error:
        cause = _cause(error)
        if cause is None:
            raise
        raise system_error(f"cannot write {final}", cause, temporary) from error
    finally:
        if temporary is not None:
            _discard(temporary)


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


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
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
        StorageError: the disk is full, the folder is read-only, or may not be written. What was at `path` stays.
    """
    final = Path(path)
    if final.exists() and not final.is_dir():
        raise InputError(f"{final} is a file, so no folder can be written there", remedy="choose another name")
    temporary = None
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with shielded():
            temporary = Path(tempfile.mkdtemp(prefix=f".{final.name}{PARTIAL}", dir=final.parent))
            _unfinished.add(temporary)
        os.chmod(temporary, 0o777 & ~_umask())
        yield temporary
        for file in temporary.rglob("*"):
            _sync(file)
        with shielded():
            if final.exists():
                _unfinished.discard(temporary)
                temporary = _take_place(temporary, final)
            else:
                os.replace(temporary, final)
        _sync(final.parent)
    except Exception as error:
        cause = _cause(error)
        if cause is None:
            raise
        raise system_error(f"cannot write the folder {final}", cause, temporary) from error
    finally:
        if temporary is not None:
            _discard(temporary)


@contextlib.contextmanager
def changed_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a copy of a folder in which files may be added, replaced and deleted; put it in its place on success.

    Files are not copied but linked where the file system can: replace them (as everything here does), never write
    into them.

    Raises:
        StorageError: see :func:`atomic_folder`; nothing has changed then.
    """
    former = Path(path)
    with atomic_folder(former) as stage:
        for file in sorted(former.rglob("*")):
            target = stage / file.relative_to(former)
            if file.is_dir() and not file.is_symlink():
                target.mkdir()
            elif not _PARTIAL_NAME.fullmatch(file.name):
                try:
                    os.link(file, target, follow_symlinks=False)
                except OSError:
                    shutil.copy2(file, target, follow_symlinks=False)
        yield stage


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """What the system says about writing to `path`, where that is not by :func:`atomic_path`, names it.

    Raises:
        StorageError: instead of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise system_error(f"cannot write {path}", error, Path(path)) from error


def discard_unfinished() -> None:
    """Delete what this process has begun and not finished. For its end only."""
    for path in list(_unfinished):
        _discard(path)


def _discard(path: Path) -> None:
    """Delete a temporary file or folder; what cannot be deleted must not hide why it is."""
    with shielded():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        _unfinished.discard(path)


def clear_partial(folder: Path, of: str | None = None) -> None:
    """Delete what writers who were killed had begun below `folder`; only where nobody else writes.

    Args:
        of: what names begin with, in the folder itself, where others may write other files; None for all below it.
    """
    found = folder.rglob(f".*{PARTIAL}*") if of is None else folder.glob(f".{of}*{PARTIAL}*")
    for path in sorted(found):
        if not _PARTIAL_NAME.fullmatch(path.name):
            continue
        former = path / _FORMER
        final = path.parent / path.name.removeprefix(".").partition(PARTIAL)[0]
        if former.is_dir() and not final.exists():
            os.replace(former, final)  # killed between two renames
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def clear_partial_of(final: Path) -> None:
    """Delete what writers of this very file, who were killed, had begun; only where nobody else writes it."""
    for path in final.parent.glob(f".{final.stem}{PARTIAL}*{final.suffix}"):
        if _PARTIAL_NAME.fullmatch(path.name):
            path.unlink(missing_ok=True)


def system_error(what: str, cause: OSError, path: Path | None = None) -> StorageError:
    """What a user reads when the system refused to read or write.

    Args:
        path: that `what` speaks of; another file at fault is named beside the system's words.
    """
    given = cause.strerror or str(cause)
    other = cause.filename if isinstance(cause.filename, str) else None
    if path is not None and other is not None and not Path(other).is_relative_to(path):
        given = f"{given}: {other}"
    number = cause.errno
    if number in FAILING:
        remedy = "see to the disk or the network drive"
    elif number in _TOO_MANY:
        remedy = "allow more open files: ulimit -n 4096"
    elif number in _FORBIDDEN:
        remedy = "choose another folder, or get the right to use this one"
    elif number == errno.ENAMETOOLONG:
        remedy = "choose shorter names"
    else:
        remedy = "free some space or choose another folder"
    return StorageError(what, given=given, remedy=f"{remedy}; nothing was half written, run the command again")


def _take_place(temporary: Path, final: Path) -> Path:
    """Put a folder where another is; returns where that one is now, to be deleted.

    Linux exchanges the two in one step (renameat2(2)), so that no moment is without a whole folder. File systems that
    cannot are served by two renames; :func:`clear_partial` mends what a kill between the two leaves.
    """
    exchange = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if exchange is not None and exchange(_AT_FDCWD, bytes(temporary), _AT_FDCWD, bytes(final), _RENAME_EXCHANGE) == 0:
        return temporary
    former = Path(tempfile.mkdtemp(prefix=f".{final.name}{PARTIAL}", dir=final.parent))
    os.replace(final, former / _FORMER)
    try:
        os.replace(temporary, final)
    except OSError:
        os.replace(former / _FORMER, final)
        former.rmdir()
        raise
    return former


def _sync(path: Path) -> None:
    """Bring a file or a folder's list of names to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems cannot do this with folders
            raise
    finally:
        os.close(handle)


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def _cause(error: Exception) -> OSError | None:
    """The system's error behind `error`; libraries written in Rust (safetensors) leave it in their text only."""
    if isinstance(error, OSError):
        return error
    number = re.search(r"\(os error (\d+)\)", str(error))
    return OSError(int(number[1]), os.strerror(int(number[1]))) if number else None
