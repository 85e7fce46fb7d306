"""Samples from the shards of a store, by position.

Read, not mapped: where a mapped file lies on a disk that fails, or was cut, the kernel ends the process (SIGBUS)
before anything can be said.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.errors import ArtifactError
from acula_edge.files import system_error

SAMPLE_BYTES = 2


class WaveReader:
    """Any number of threads may read."""

    def __init__(self, shards: Sequence[Path]) -> None:
        self._shards = list(shards)
        self._open: dict[int, FileIO] = {}

    def read(self, shard: int, start: int, samples: int) -> NDArray[np.int16]:
        """Samples [T] as 16-bit integers.

        Raises:
            StorageError: the system cannot read them.
            ArtifactError: the file ends before.
        """
        path = self._shards[shard]
        found = np.empty(samples, dtype="<i2")
        left, offset = found.view(np.uint8).data, start * SAMPLE_BYTES
        try:
            if shard not in self._open:
                self._open[shard] = open(path, "rb", buffering=0)  # noqa: SIM115
            while left:
                count = os.preadv(self._open[shard].fileno(), [left], offset)
                if not count:
                    raise ArtifactError(
                        f"{path} has been cut", remedy="delete it; the recordings are then decoded again"
                    )
                left, offset = left[count:], offset + count
        except OSError as error:
            raise system_error(f"cannot read {path}", error, path) from error
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}
