"""Where an input lies while it is read, and a watch over what reading does: files elsewhere, programs, the network."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# What importing, time zones and the system's own facts need.
_READABLE = tuple(
    os.path.realpath(path) + os.sep
    for path in (sys.prefix, sys.base_prefix, Path(__file__).parents[2], *sys.path, "/proc", "/sys", "/usr", "/etc")
    if path and os.path.isdir(path)
)
_CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.chmod", "os.truncate")
_NEVER = (
    "subprocess.Popen", "os.system", "os.exec", "os.spawn", "os.posix_spawn", "os.fork", "os.startfile", "pty.spawn",
    "socket.connect", "socket.getaddrinfo", "socket.sendto", "urllib.Request", "webbrowser.open", "pickle.find_class",
)  # fmt: skip


class Sandbox:
    """Two folders: `inside`, where the input lies and which it may read, and `beside`, the current folder while it is
    read, which stays empty. Both are in memory where the system has such a place.

    Attributes:
        kept: files that harnesses made once and that :meth:`clear` leaves, relative to `inside`.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="acula-edge-fuzz-", dir=memory_folder())) if root is None else root
        self.inside, self.beside = self.root / "inside", self.root / "beside"
        self.inside.mkdir()
        self.beside.mkdir()
        self._given = set(os.listdir(self.root))
        self.kept: set[str] = set()

    def write(self, name: str, data: bytes) -> Path:
        """Put a file inside."""
        path = self.inside / name
        path.write_bytes(data)
        return path

    def keep(self, name: str, data: bytes) -> Path:
        """Put a file inside that stays, unless it is there."""
        path = self.inside / name
        if name not in self.kept:
            path.write_bytes(data)
            self.kept.add(name)
        return path

    def clear(self) -> None:
        """Remove the last input."""
        for entry in os.scandir(self.inside):
            if entry.name in self.kept:
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)

    def strays(self) -> list[str]:
        """What was written beside, which is then removed."""
        found = [entry.path for entry in os.scandir(self.root) if entry.name not in self._given]
        found += [entry.path for entry in os.scandir(self.beside)]
        for path in found:
            shutil.rmtree(path, ignore_errors=True) if os.path.isdir(path) else os.unlink(path)
        return found

    def close(self) -> None:
        """Remove all of it."""
        shutil.rmtree(self.root, ignore_errors=True)


def memory_folder() -> str | None:
    """A folder in memory, where this system has one; None for that of temporary files."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


_watched: tuple[str, list[str]] | None = None
_hooked = False


@contextlib.contextmanager
def watch(sandbox: Sandbox) -> Iterator[list[str]]:
    """A list that fills with what reading an input must never do, as far as Python itself does it.

    Native libraries open files without telling; what they write shows in :meth:`Sandbox.strays` where the name is
    relative.
    """
    global _watched, _hooked
    if not _hooked:  # for the rest of the process: there is no way to take a hook back
        sys.addaudithook(_audit)
        _hooked = True
    deeds: list[str] = []
    former = os.getcwd()
    os.chdir(sandbox.beside)
    _watched = os.path.realpath(sandbox.inside) + os.sep, deeds
    try:
        yield deeds
    finally:
        _watched = None
        os.chdir(former)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _watched is None:
        return
    inside, deeds = _watched
    if event == "open":
        path, _, flags = arguments
        if not isinstance(path, (str, bytes)):
            return
        where = _real(path)
        if where.startswith(inside) or where == os.devnull:
            return
        if flags & _WRITES:
            deeds.append(f"opened {path!r} for writing")
        elif not (where + os.sep).startswith((inside, *_READABLE)):
            deeds.append(f"read {path!r}")
    elif event in _NEVER:
        deeds.append(f"{event}{arguments!r:.200}")
    elif event in _CHANGES:
        paths = [path for path in arguments if isinstance(path, (str, bytes))]
        if not all(_real(path).startswith(inside) for path in paths):
            deeds.append(f"{event}{arguments!r:.200}")


def _real(path: str | bytes) -> str:
    try:
        return os.path.realpath(os.fsdecode(path))
    except ValueError:  # a zero byte; the system refuses it by itself
        return ""
