"""Every recording decoded once, at one rate, in a few files: random access without decoding.

A store is ``waves-<key>-00000.i16`` and so on (samples end to end, no recording in two files) and ``waves-<key>.json``
(where each recording lies). The index is written last. An interrupted build goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.data.decoding import FULL_SCALE
from acula_edge.data.manifest import Recording
from acula_edge.data.reader import SetAside
from acula_edge.data.shards import Place, WaveFiles, shard_count, write_waves
from acula_edge.data.wave_files import WaveReader
from acula_edge.errors import ArtifactError
from acula_edge.files import read_json, sha256_json, system_error, write_json
from acula_edge.limits import MAX_INDEX_BYTES

SCHEMA = "acula-edge/waves/3"
SHARD_BYTES = 2 << 30
BLOCK_SAMPLES = 1 << 20

Wave = NDArray[np.float32]


class WaveStore:
    """Waves of recordings at one rate. Made by :meth:`build`.

    Attributes:
        key: hash of what was decoded; equal keys hold equal samples.
        path, shards: files of the index and of the samples.
        sample_rate_hz: rate of every wave.
        recordings: those that could be decoded, in the order given; ``store[i]`` is the wave of ``recordings[i]``.
        set_aside: those that could not, with the reason.
        clipped: ids of recordings that had samples beyond full scale, which were limited to it.
        warnings: by id, what is odd about a recording's file and changes what is heard.
    """

    def __init__(
        self, files: WaveFiles, sample_rate_hz: int, recordings: Sequence[Recording], places: Sequence[Place]
    ) -> None:
        self.key = files.key
        self.path = files.index
        self.shards: list[Path] = [files.shard(number) for number in range(shard_count(places))]
        self.sample_rate_hz = sample_rate_hz
        stored = [(r, place) for r, place in zip(recordings, places, strict=True) if not place.reason]
        self.recordings: list[Recording] = [recording for recording, _ in stored]
        self.set_aside: list[SetAside] = [
            SetAside(r.key, r.path, place.reason) for r, place in zip(recordings, places, strict=True) if place.reason
        ]
        self.clipped: list[str] = [recording.key for recording, place in stored if place.clipped]
        self.warnings: dict[str, str] = {recording.key: place.warning for recording, place in stored if place.warning}
        self._shard = np.array([place.shard for _, place in stored], dtype=np.int64)
        self._starts = np.array([place.start for _, place in stored], dtype=np.int64)
        self._samples = np.array([place.samples for _, place in stored], dtype=np.int64)
        self._reader = WaveReader(self.shards)

    def __len__(self) -> int:
        return len(self.recordings)

    def __getitem__(self, index: int) -> Wave:
        """Wave [T] float32 in [-1, 1] of ``recordings[index]``, a copy."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"the store holds {len(self)} recordings, not one numbered {index}")
        return self._read(index, 0, int(self._samples[index]))

    def samples(self, index: int) -> int:
        """Length T of a wave, without reading it."""
        return int(self._samples[index])

    def blocks(self, index: int) -> Iterator[Wave]:
        """The wave of ``recordings[index]`` in pieces, for one that may be hours long."""
        for start in range(0, self.samples(index), BLOCK_SAMPLES):
            yield self._read(index, start, min(BLOCK_SAMPLES, self.samples(index) - start))

    def sliced(self, index: int) -> StoredWave:
        """The wave of ``recordings[index]``, of which only what is asked for is read."""
        return StoredWave(functools.partial(self._read, index), self.samples(index))

    def _read(self, index: int, start: int, samples: int) -> Wave:
        found = self._reader.read(int(self._shard[index]), int(self._starts[index]) + start, samples)
        wave = found.astype(np.float32)
        wave *= np.float32(1 / FULL_SCALE)  # a power of two: exact
        return wave

    @classmethod
    def open(cls, recordings: Sequence[Recording], sample_rate_hz: int, folder: str | Path) -> WaveStore:
        """The finished store of `recordings` in `folder`.

        Raises:
            ArtifactError: there is none, or it is not whole.
        """
        files = WaveFiles(Path(folder), store_key(recordings, sample_rate_hz))
        places = _read_index(files, len(recordings))
        if places is None:
            raise ArtifactError(
                f"there is no finished {files.index}",
                remedy="prepare the data first; processes on several machines need a folder that all of them see",
            )
        return cls(files, sample_rate_hz, recordings, places)

    @classmethod
    def build(
        cls,
        recordings: Sequence[Recording],
        sample_rate_hz: int,
        folder: str | Path,
        progress: Callable[[int, int], None] | None = None,
        shard_bytes: int = SHARD_BYTES,
    ) -> WaveStore:
        """Decode recordings into `folder`, or take the store that is there under the same key.

        A recording that cannot be decoded, holds NaN or infinite samples, or is shorter than 0.2 s is set aside,
        never an error. Memory stays bounded whatever the number of recordings. One process at a time may build.

        Args:
            recordings: with readable paths.
            sample_rate_hz: rate to store at.
            folder: where the files lie.
            progress: called with (recordings done, all of them).
            shard_bytes: a file of samples is closed before it gets larger; does not change a store that is there.

        Raises:
            StorageError: the disk is full, the folder may not be written, or what a recording lies on fails; run
                again and it goes on.
        """
        files = WaveFiles(Path(folder), store_key(recordings, sample_rate_hz))
        places = _read_index(files, len(recordings))
        if places is None:
            try:
                files.folder.mkdir(parents=True, exist_ok=True)
                places = write_waves(recordings, sample_rate_hz, files, shard_bytes, progress)
            except OSError as error:
                raise system_error(f"cannot write {files.shard(0)}", error, files.folder) from error
            _write_index(files, sample_rate_hz, places)
        elif progress is not None:
            progress(len(recordings), len(recordings))
        with contextlib.suppress(OSError):  # also where an earlier build ended between the index and this
            files.journal.unlink(missing_ok=True)
        return cls(files, sample_rate_hz, recordings, places)


class StoredWave:
    """A wave that stays in its file: its slices are read, the whole only where an array is made of it.

    Args:
        read: gives so many samples from a place on.
        samples: its length.
    """

    def __init__(self, read: Callable[[int, int], Wave], samples: int) -> None:
        self._read, self._samples = read, samples

    def __len__(self) -> int:
        return self._samples

    def __getitem__(self, part: slice) -> Wave:
        start, stop, step = part.indices(self._samples)
        return self._read(start, max(0, stop - start)) if step == 1 else np.asarray(self)[part]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)


def store_key(recordings: Sequence[Recording], sample_rate_hz: int) -> str:
    """Hash of the recordings' ids, files (path, size, time of change; content where its hash is known) and the rate."""
    return sha256_json([SCHEMA, sample_rate_hz, [[r.key, r.path, r.sha256, *_stat(r.path)] for r in recordings]])


def _stat(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _write_index(files: WaveFiles, sample_rate_hz: int, places: Sequence[Place]) -> None:
    facts = {
        "schema": SCHEMA,
        "key": files.key,
        "sample_rate_hz": sample_rate_hz,
        "bytes": [files.shard(number).stat().st_size for number in range(shard_count(places))],
        "places": [place.row() for place in places],
    }
    write_json(files.index, facts)


def _read_index(files: WaveFiles, count: int) -> list[Place] | None:
    """Places of a finished store, or None where there is none that can be used."""
    try:
        facts = read_json(files.index, SCHEMA, MAX_INDEX_BYTES)
        places = [Place(*row) for row in facts["places"]]
        sizes = [files.shard(number).stat().st_size for number in range(shard_count(places))]
        whole = sizes == facts["bytes"] and facts["key"] == files.key and len(places) == count
    except (ArtifactError, OSError, KeyError, TypeError):
        return None
    return places if whole else None
