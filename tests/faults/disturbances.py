"""What is done to a verb while it works, and how it must end then."""

from __future__ import annotations

import errno
import os
import random
import signal
from dataclasses import dataclass
from typing import Any

KINDS = ("kill", "signal", "error", "memory")

# Errors that stay until somebody frees space or gets the right to write; the others come once.
_STAYING = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_WHEN_WRITING = (*_STAYING, errno.EIO, errno.EACCES, errno.ENAMETOOLONG, errno.EMFILE)
_WHEN_READING = (errno.EIO, errno.ESTALE, errno.EMFILE)

# Python tells an audit hook before it does one of these; writes and fsync(2) are told of by the files that
# tests.faults.faulty hands out. What libraries in C do themselves meets `largest_file` only.
OPERATIONS = ("os.rename", "os.remove", "os.truncate", "os.mkdir", "os.rmdir")


@dataclass(frozen=True)
class Disturbance:
    """What happens to a process.

    Attributes:
        kind: one of :data:`KINDS`.
        number: of the signal that it gets.
        after_s: when it gets it.
        again_after_s: when it gets it once more, counted from the first time.
        at: the operation on files at which it gets it, or which fails; counted from 0.
        errors: number of the error when operations write and when they read.
        stays: whether all later operations that write fail as well.
        largest_file: bytes beyond which no file can be written (RLIMIT_FSIZE).
        spare_memory: bytes that it may take beyond what it starts with (RLIMIT_AS).
    """

    kind: str
    number: int = 0
    after_s: float | None = None
    again_after_s: float | None = None
    at: int | None = None
    errors: tuple[int, int] = (0, 0)
    stays: bool = False
    largest_file: int | None = None
    spare_memory: int | None = None

    def __str__(self) -> str:
        when = "" if self.after_s is None else f" after {self.after_s:.2f} s"
        when += "" if self.again_after_s is None else f" and {self.again_after_s:.1f} s later again"
        when += "" if self.at is None else f" before operation {self.at}"
        if self.largest_file is not None:
            return f"no file above {self.largest_file} bytes"
        if self.spare_memory is not None:
            return f"{self.spare_memory >> 20} MiB to spare"
        if self.kind == "error":
            names = "/".join(errno.errorcode[number] for number in self.errors)
            return f"{names}{' to stay' if self.stays else ''}{when}"
        return f"{signal.Signals(self.number).name}{when}"


@dataclass(frozen=True)
class Draw:
    """Disturbances at random, of one verb.

    Attributes:
        seconds, operations: of the verb undisturbed.
        largest_file: that it writes, in bytes.
    """

    random: random.Random
    seconds: float
    operations: int
    largest_file: int

    def next(self, kind: str) -> Disturbance:
        """One more disturbance of a kind."""
        draw = self.random
        moment: dict[str, Any] = (
            {"after_s": draw.uniform(0, self.seconds)}
            if draw.random() < 0.5
            else {"at": draw.randrange(max(1, self.operations))}
        )
        if kind == "kill":
            return Disturbance(kind, signal.SIGKILL, **moment)
        if kind == "signal":
            number = draw.choice((signal.SIGTERM, signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
            again = 0.7 if "after_s" in moment and draw.random() < 0.3 else None
            return Disturbance(kind, number, again_after_s=again, **moment)
        if kind == "memory":
            return Disturbance(kind, spare_memory=round(2 ** draw.uniform(20, 29)))
        if draw.random() < 0.25:
            return Disturbance(kind, largest_file=round(self.largest_file * draw.random()) + 4096)
        number = draw.choice(_WHEN_WRITING)
        return Disturbance(
            kind,
            at=draw.randrange(max(1, self.operations)),
            errors=(number, draw.choice(_WHEN_READING)),
            stays=number in _STAYING,
        )


def wrong_ending(what: Disturbance, code: int, said: str) -> str:
    """What is wrong with how a disturbed process ended; "" for nothing."""
    if code == 0:
        return ""
    if what.kind == "kill":
        return "" if code == -signal.SIGKILL else f"ended with {code} before it was killed"
    if what.kind == "signal":
        if code == -what.number and what.after_s is not None and what.after_s < 0.1:
            return ""  # before the program began
        if code != 128 + what.number:
            return f"ended with {code}, not {128 + what.number}"
        named = "run it again: acula-edge" in said or "go on where it stopped: acula-edge" in said
        return "" if named or "ended at once" in said else "does not say how to go on"
    if what.kind == "memory":
        if code in (-signal.SIGABRT, -signal.SIGSEGV):
            return ""  # a library in C that does not ask whether it got memory: as if killed
        return "" if code == 4 and "too little memory" in said else f"ended with {code}"
    if code != 2:
        return f"ended with {code}"
    words = [os.strerror(errno.EFBIG)] if what.largest_file else [os.strerror(number) for number in what.errors]
    if not any(text in said for text in words):
        return "does not say what the system said"
    if "cannot " not in said or "acula-edge" not in said:
        return "does not say which file, or how to go on"
    return ""


def must_clear_up(what: Disturbance, code: int, said: str) -> bool:
    """Whether a process could have deleted what it had begun: it was not killed, and deleting was not what failed."""
    if what.kind == "signal":
        return code == 128 + what.number and "ended at once" not in said
    if what.kind == "error":
        return what.largest_file is not None or (what.stays and errno.EROFS not in what.errors)
    return what.kind == "memory" and code > 0
