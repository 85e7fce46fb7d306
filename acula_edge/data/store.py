"""Every recording decoded once, at one rate, in one memory-mapped file: random access without decoding.

A store is two files, ``waves-<key>.i16`` (samples end to end) and ``waves-<key>.json`` (where each recording lies).
The index is written last. While a store is built its samples grow in ``waves-<key>.i16.part`` beside a journal of
the recordings already there, so that an interrupted build goes on where it stopped.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.decode import read_audio
from acula_edge.audio.resample import resample
from acula_edge.data.manifest import Recording
from acula_edge.data.reader import SetAside
from acula_edge.errors import ArtifactError, AudioError, InputError
from acula_edge.files import read_json, sha256_json, write_json

SCHEMA = "acula-edge/waves/1"
MIN_DURATION_S = 0.2
FULL_SCALE = 32768

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class _Place:
    """Where a recording's samples lie, or why there are none.

    Attributes:
        start, samples: position and length in the file of samples.
        clipped: samples beyond full scale, which were limited to it.
        reason: why the recording is set aside; "" for those that are stored.
    """

    start: int = 0
    samples: int = 0
    clipped: int = 0
    reason: str = ""

    def row(self) -> list[Any]:
        return [self.start, self.samples, self.clipped, self.reason]


class WaveStore:
    """Waves of recordings at one rate. Made by :meth:`build`.

    Attributes:
        key: hash of what was decoded; equal keys hold equal samples.
        sample_rate_hz: rate of every wave.
        recordings: those that could be decoded, in the order given; ``store[i]`` is the wave of ``recordings[i]``.
        set_aside: those that could not, with the reason.
        clipped: ids of recordings that had samples beyond full scale, which were limited to it.
    """

    def __init__(
        self, path: Path, key: str, sample_rate_hz: int, recordings: Sequence[Recording], places: Sequence[_Place]
    ) -> None:
        self.path = path
        self.key = key
        self.sample_rate_hz = sample_rate_hz
        stored = [(r, place) for r, place in zip(recordings, places, strict=True) if not place.reason]
        self.recordings: list[Recording] = [recording for recording, _ in stored]
        self.set_aside: list[SetAside] = [
            SetAside(r.key, r.path, place.reason) for r, place in zip(recordings, places, strict=True) if place.reason
        ]
        self.clipped: list[str] = [recording.key for recording, place in stored if place.clipped]
        self._starts = np.array([place.start for _, place in stored], dtype=np.int64)
        self._samples = np.array([place.samples for _, place in stored], dtype=np.int64)
        self._map: NDArray[np.int16] | None = None

    def __len__(self) -> int:
        return len(self.recordings)

    def __getitem__(self, index: int) -> Wave:
        """Wave [T] float32 in [-1, 1] of ``recordings[index]``, a copy."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"the store holds {len(self)} recordings, not one numbered {index}")
        if self._map is None:
            self._map = np.memmap(self.path, dtype="<i2", mode="r") if len(self) else np.zeros(0, np.int16)
        start = int(self._starts[index])
        samples = self._map[start : start + int(self._samples[index])]
        return samples.astype(np.float32) / np.float32(FULL_SCALE)

    def samples(self, index: int) -> int:
        """Length T of a wave, without reading it."""
        return int(self._samples[index])

    def __getstate__(self) -> dict[str, Any]:
        # Worker processes map the file themselves.
        return {**self.__dict__, "_map": None}

    @classmethod
    def build(
        cls,
        recordings: Sequence[Recording],
        sample_rate_hz: int,
        folder: str | Path,
        progress: Callable[[int, int], None] | None = None,
    ) -> WaveStore:
        """Decode recordings into `folder`, or take the store that is there under the same key.

        A recording that cannot be decoded, holds NaN or infinite samples, or is shorter than 0.2 s is set aside,
        never an error. Memory stays bounded whatever the number of recordings.

        Args:
            recordings: with readable paths.
            sample_rate_hz: rate to store at.
            folder: where the two files lie.
            progress: called with (recordings done, all of them).

        Raises:
            InputError: the disk is full or the folder may not be written; run again and it goes on.
        """
        folder = Path(folder)
        key = store_key(recordings, sample_rate_hz)
        path = folder / f"waves-{key[:16]}.i16"
        index = path.with_suffix(".json")
        places = _read_index(index, path, key, len(recordings))
        if places is None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                places = _decode_all(recordings, sample_rate_hz, path, progress)
            except OSError as error:
                raise InputError(
                    f"cannot write {path}",
                    given=error.strerror or str(error),
                    remedy="free some space and run the same command again; it goes on where it stopped",
                ) from error
            rows = [place.row() for place in places]
            facts = {"schema": SCHEMA, "key": key, "sample_rate_hz": sample_rate_hz, "bytes": path.stat().st_size}
            write_json(index, {**facts, "places": rows})
            _journal(path).unlink(missing_ok=True)
        elif progress is not None:
            progress(len(recordings), len(recordings))
        return cls(path, key, sample_rate_hz, recordings, places)


def store_key(recordings: Sequence[Recording], sample_rate_hz: int) -> str:
    """Hash of the recordings' ids, files (path, size, time of change; content where its hash is known) and the rate."""
    return sha256_json([SCHEMA, sample_rate_hz, [[r.key, r.path, r.sha256, *_stat(r.path)] for r in recordings]])


def decode(recording: Recording, sample_rate_hz: int) -> tuple[NDArray[np.int16], int]:
    """Samples [T] as 16-bit integers at the rate asked for, and how many were beyond full scale.

    Raises:
        AudioError: not decodable, not finite, or shorter than 0.2 s.
    """
    audio = read_audio(Path(recording.path))
    duration_s = len(audio.wave) / audio.sample_rate_hz
    if duration_s < MIN_DURATION_S:
        raise AudioError(f"too short: {duration_s:.3f} s of at least {MIN_DURATION_S} s")
    try:
        wave = resample(audio.wave, audio.sample_rate_hz, sample_rate_hz)
    except (RuntimeError, ValueError) as error:
        raise AudioError(
            f"cannot be resampled from {audio.sample_rate_hz} to {sample_rate_hz} Hz", given=str(error)
        ) from error
    clipped = int(np.count_nonzero(np.abs(wave) > 1))
    scaled = np.round(wave * np.float32(FULL_SCALE))
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype("<i2"), clipped


def _stat(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _journal(path: Path) -> Path:
    return path.with_suffix(".journal")


def _read_index(index: Path, path: Path, key: str, count: int) -> list[_Place] | None:
    """Places of a finished store, or None where there is none that can be used."""
    try:
        facts = read_json(index, schema=SCHEMA)
        places = [_Place(*row) for row in facts["places"]]
        whole = path.stat().st_size == facts["bytes"] and facts["key"] == key and len(places) == count
    except (ArtifactError, OSError, KeyError, TypeError):
        return None
    return places if whole else None


def _decode_all(
    recordings: Sequence[Recording],
    sample_rate_hz: int,
    path: Path,
    progress: Callable[[int, int], None] | None,
) -> list[_Place]:
    part = path.with_suffix(".i16.part")
    if path.exists() and not part.exists():
        os.replace(path, part)  # all samples were there, the index was not
    places = _resume(_journal(path), part, len(recordings))
    total = len(recordings)
    end = places[-1].start + places[-1].samples if places else 0
    with open(part, "r+b" if part.exists() else "w+b") as waves, open(_journal(path), "a", encoding="utf-8") as journal:
        waves.truncate(end * 2)
        waves.seek(end * 2)
        for outcome in _decoded(recordings[len(places) :], sample_rate_hz):
            if isinstance(outcome, AudioError):
                place = _Place(start=end, reason=outcome.problem)
            else:
                samples, clipped = outcome
                waves.write(samples.tobytes())
                # Samples first: a journal that is behind costs one recording, one that is ahead would be wrong.
                waves.flush()
                place = _Place(end, len(samples), clipped)
                end += len(samples)
            journal.write(json.dumps(place.row()) + "\n")
            journal.flush()
            places.append(place)
            if progress is not None:
                progress(len(places), total)
        os.fsync(waves.fileno())
    os.replace(part, path)
    return places


def _resume(journal: Path, part: Path, count: int) -> list[_Place]:
    """Places that an interrupted build left whole."""
    places: list[_Place] = []
    try:
        lines = journal.read_text(encoding="utf-8", errors="replace").splitlines()
        stored = part.stat().st_size // 2
    except OSError:
        lines, stored = [], 0
    end = 0
    for line in lines[:count]:
        try:
            place = _Place(*json.loads(line))
        except (json.JSONDecodeError, TypeError):
            break
        if place.start != end or place.start + place.samples > stored:
            break
        places.append(place)
        end += place.samples
    journal.parent.mkdir(parents=True, exist_ok=True)
    journal.write_text("".join(json.dumps(place.row()) + "\n" for place in places), encoding="utf-8")
    return places


def _decoded(
    recordings: Sequence[Recording], sample_rate_hz: int
) -> Iterator[tuple[NDArray[np.int16], int] | AudioError]:
    """Outcome of each recording in order; a few are decoded ahead, so that the disk and the cores work together."""

    def attempt(recording: Recording) -> tuple[NDArray[np.int16], int] | AudioError:
        try:
            return decode(recording, sample_rate_hz)
        except AudioError as error:
            return error

    workers = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        ahead: deque[Future[tuple[NDArray[np.int16], int] | AudioError]] = deque()
        try:
            for recording in recordings:
                ahead.append(pool.submit(attempt, recording))
                if len(ahead) > 2 * workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()
