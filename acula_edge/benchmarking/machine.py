"""The machine that is looked at: its files, under a root, and what its programs print."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_TIMEOUT_S = 10

Execute = Callable[[Sequence[str]], "str | None"]


def execute(command: Sequence[str]) -> str | None:
    """What a program prints on stdout; None where it is missing, fails or hangs."""
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(list(command), capture_output=True, text=True, timeout=_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


@dataclass(frozen=True)
class Machine:
    """Where facts come from; tests put a recorded tree and recorded answers in place of the real ones.

    Attributes:
        root: where ``proc``, ``sys`` and ``etc`` lie.
        output: runs a program and returns what it printed, or None.
    """

    root: Path = Path("/")
    output: Execute = execute

    def text(self, path: str | Path) -> str | None:
        """A small file without the white space around it; None where it cannot be read, as sensors that sleep."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace").strip().rstrip("\0")
        except OSError:
            return None

    def number(self, path: str | Path) -> float | None:
        """A file that holds one number."""
        return as_number(self.text(path))

    def find(self, pattern: str) -> list[Path]:
        """Files and folders that match, in the order of the numbers in their names."""
        return sorted(self.root.glob(pattern), key=lambda path: (len(path.name), path.name))


HERE = Machine()


def as_number(text: str | None) -> float | None:
    """The number that a text is; None where it is none."""
    try:
        return float(text) if text else None
    except ValueError:
        return None
