"""A file that is one: no folder, pipe or device, and no longer than it may be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from acula_edge.errors import ArtifactError
from acula_edge.untrusted.texts import open_regular


def open_artifact(path: str | os.PathLike[str], what: str, max_bytes: int) -> BinaryIO:
    """Open a file for reading.

    Args:
        what: it should be, for the error.
        max_bytes: it may have.

    Raises:
        ArtifactError: there is none, it is a folder, a pipe or a device, or it is longer.
    """
    path = Path(path)
    try:
        file = open_regular(path)
    except FileNotFoundError as error:
        raise ArtifactError(f"there is no file {path}") from error
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read as {what}", given=error.strerror) from error
    size = os.fstat(file.fileno()).st_size
    if size > max_bytes:
        file.close()
        raise ArtifactError(f"{path} is too long for {what}", given=f"{size} bytes", allowed=f"{max_bytes} bytes")
    return file
