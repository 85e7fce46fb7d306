"""One writer per folder: a lock that ends with its process, however that ends.

The kernel holds it (flock(2)), so a process that is killed leaves nothing that must be deleted by hand. The lock file
tells the second comer who is there. Taking a lock also clears away what writers who were killed had begun.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from acula_edge.errors import InputError
from acula_edge.files import clear_partial, system_error
from acula_edge.interruption import shielded
from acula_edge.processes import is_main
from acula_edge.progress import notify

LOCK_FILE = ".lock"
_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)

# What this process has locked, by the lock files' real paths: verbs call one another.
_held: dict[Path, FolderLock] = {}


class FolderLock:
    """A lock on one folder, held from creation to :meth:`release`.

    Raises:
        InputError: another process holds it (named), or the folder cannot be written.
    """

    def __init__(self, folder: Path, purpose: str, name: str = LOCK_FILE) -> None:
        self.purpose = purpose
        self._path = folder / name
        self._file = _acquire(self._path, purpose)

    def release(self) -> None:
        """Let others in; done twice it does nothing."""
        if self._file is None:
            return
        with shielded():
            # Only while it is held: once released, a file of this name is another's.
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None

    def close_inherited(self) -> None:
        """In a forked child: the lock is the parent's alone."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


@contextlib.contextmanager
def locked(folder: str | Path, purpose: str, name: str = LOCK_FILE) -> Iterator[None]:
    """Keep other processes from writing to `folder` meanwhile; of several processes of one job the main one does.

    Args:
        purpose: what is being done, for the message that others get.
        name: of the lock file; another than :data:`LOCK_FILE` is for a part of the folder, whose writers agree on it.

    Raises:
        InputError: another process is writing there; its number, its purpose and since when are named.
    """
    folder = Path(folder)
    key = folder.resolve() / name
    if not is_main() or key in _held:
        yield
        return
    try:
        with shielded():
            _held[key] = FolderLock(folder, purpose, name)
        if name == LOCK_FILE:
            clear_partial(folder)
        yield
    finally:
        if lock := _held.pop(key, None):
            lock.release()


@contextlib.contextmanager
def taking_turns(folder: Path) -> Iterator[bool]:
    """One process at a time, and others wait: for what takes a moment. Apart from :func:`locked`, which it ignores.

    Yields:
        Whether this process is alone; on file systems without locks nobody knows.
    """
    import fcntl

    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            alone = True
        except OSError:
            alone = False
        yield alone
    finally:
        os.close(file)


def release_all() -> None:
    """Let others into all that this process has locked. For its end only."""
    for lock in list(_held.values()):
        lock.release()


def move_locked(folder: Path, target: Path) -> None:
    """Rename a folder; where this process had locked it, it has locked the empty one that takes its place."""
    key = folder.resolve() / LOCK_FILE
    lock = _held.get(key)
    with shielded():
        folder.rename(target)
        if lock is None:
            return
        (target / LOCK_FILE).unlink(missing_ok=True)
        lock.close_inherited()
        _held[key] = FolderLock(folder, lock.purpose)


def _acquire(path: Path, purpose: str) -> int | None:
    """The open lock file; None on file systems without locks."""
    import fcntl

    folder = path.parent
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise system_error(f"cannot write {folder}", error, path) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read(file)
            os.close(file)
            raise _refusal(folder, holder) from None
        except OSError as error:
            os.close(file)
            if error.errno in _WITHOUT_LOCKS:
                path.unlink(missing_ok=True)
                notify("the file system of %s has no locks: see to it that nothing else writes there", folder)
                return None
            raise system_error(f"cannot lock {folder}", error, path) from error
        try:
            if os.path.samestat(os.fstat(file), os.stat(path)):
                break
        except FileNotFoundError:
            pass
        os.close(file)  # its holder deleted it between opening and locking
    facts = {"pid": os.getpid(), "host": socket.gethostname(), "purpose": purpose, "since": time.time()}
    try:
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps(facts).encode(), 0)
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        os.close(file)
        raise system_error(f"cannot write {folder}", error, path) from error
    return file


def _read(file: int) -> dict[str, Any]:
    try:
        facts = json.loads(os.pread(file, 4096, 0))
    except ValueError:
        facts = None
    return facts if isinstance(facts, dict) else {}


def _refusal(folder: Path, holder: dict[str, Any]) -> InputError:
    given = None
    if holder:
        minutes, seconds = divmod(max(0, round(time.time() - float(holder.get("since", time.time())))), 60)
        hours, minutes = divmod(minutes, 60)
        age = f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"
        given = f"acula-edge {holder.get('purpose')}, process {holder.get('pid')} on {holder.get('host')}, for {age}"
    return InputError(
        f"another process is writing to {folder}",
        given=given,
        remedy="wait until it has ended, or use another folder; the lock ends with that process by itself",
    )


def _forget() -> None:
    for lock in _held.values():
        lock.close_inherited()
    _held.clear()


os.register_at_fork(after_in_child=_forget)
