"""Commands as they are printed: what a user copies into a shell is what was meant, whatever a path holds."""

from __future__ import annotations

import shlex
from pathlib import PurePath


def command_line(*words: object) -> str:
    """Words of a command, quoted for a POSIX shell; a path that looks like an option begins with ``./``."""
    return shlex.join(
        f"./{word}" if isinstance(word, PurePath) and str(word)[0] == "-" else str(word) for word in words
    )
