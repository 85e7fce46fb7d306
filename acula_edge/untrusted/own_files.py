"""Files that this process made itself, and nobody touched since: they are not examined as a stranger's."""

from __future__ import annotations

import os

_made: set[tuple[int, int, int, int]] = set()


def mark_own(path: str | os.PathLike[str]) -> None:
    """This process has just written the file; it stays its own under another name, and not once it is written to."""
    _made.add(_identity(path))


def is_own(path: str | os.PathLike[str]) -> bool:
    """Whether the file is as this process wrote it."""
    try:
        return _identity(path) in _made
    except OSError:
        return False


def _identity(path: str | os.PathLike[str]) -> tuple[int, int, int, int]:
    entry = os.stat(path)
    return entry.st_dev, entry.st_ino, entry.st_size, entry.st_mtime_ns
