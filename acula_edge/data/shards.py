"""The files of a wave store while they are written: shards of samples and a journal of the recordings in them.

Shards keep the ending ``.part`` until all of them are there. The journal says which recordings are whole, so that an
interrupted build goes on where it stopped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from acula_edge.data.decoding import decode_all
from acula_edge.data.manifest import Recording
from acula_edge.errors import AudioError
from acula_edge.untrusted.texts import parse_json

SAMPLE_BYTES = 2


@dataclass(frozen=True)
class Place:
    """Where a recording's samples lie, or why there are none.

    Attributes:
        shard: number of the file.
        start, samples: position and length in it.
        clipped: samples beyond full scale, which were limited to it.
        reason: why the recording is set aside; "" for those that are stored.
        warning: what is odd about the recording's file; "" where nothing is.
    """

    shard: int = 0
    start: int = 0
    samples: int = 0
    clipped: int = 0
    reason: str = ""
    warning: str = ""

    def row(self) -> list[Any]:
        """Plain values, for JSON."""
        return list(astuple(self))

    def next_start(self, samples: int, limit: int) -> tuple[int, int]:
        """Shard and position of the recording after this one: no recording lies in two shards.

        Args:
            samples: its length; 0 for one that is set aside.
            limit: samples of a shard. Only a recording that is longer by itself exceeds it, in a shard of its own.
        """
        end = self.start + self.samples
        return (self.shard + 1, 0) if samples and end and end + samples > limit else (self.shard, end)


@dataclass(frozen=True)
class WaveFiles:
    """Names of a store's files, of the form ``waves-<key>...``."""

    folder: Path
    key: str

    @property
    def index(self) -> Path:
        return self.folder / f"{self._stem}.json"

    @property
    def journal(self) -> Path:
        return self.folder / f"{self._stem}.journal"

    def shard(self, number: int) -> Path:
        return self.folder / f"{self._stem}-{number:05}.i16"

    def part(self, number: int) -> Path:
        return self.shard(number).with_suffix(".i16.part")

    def written(self) -> list[int]:
        """Numbers of the shards that are there, finished or not."""
        found = self.folder.glob(f"{self._stem}-*.i16*")
        return sorted({int(path.name.partition(".")[0].rpartition("-")[2]) for path in found})

    @property
    def _stem(self) -> str:
        return f"waves-{self.key[:16]}"


def write_waves(
    recordings: Sequence[Recording],
    sample_rate_hz: int,
    files: WaveFiles,
    shard_bytes: int,
    progress: Callable[[int, int], None] | None = None,
) -> list[Place]:
    """Decode recordings into shards of at most `shard_bytes`, going on after what an interrupted call left.

    Returns:
        The place of each recording.

    Raises:
        OSError: the disk is full or the folder may not be written.
    """
    limit = shard_bytes // SAMPLE_BYTES
    for number in files.written():
        if files.shard(number).exists():
            os.replace(files.shard(number), files.part(number))  # all samples were there, the index was not
    places = _resume(files, len(recordings), limit)
    last = places[-1] if places else Place()
    _cut_after(files, last)
    with open(files.journal, "a", encoding="utf-8") as journal:
        for outcome in decode_all(recordings[len(places) :], sample_rate_hz):
            if isinstance(outcome, AudioError):
                last = Place(*last.next_start(0, limit), reason=outcome.problem)
            else:
                samples, warning = outcome.samples, "; ".join(outcome.warnings)
                last = Place(*last.next_start(len(samples), limit), len(samples), outcome.clipped, warning=warning)
                # Samples first: a journal that is behind costs one recording, one that is ahead would be wrong.
                with open(files.part(last.shard), "ab") as part:
                    part.write(samples.tobytes())
            journal.write(json.dumps(last.row()) + "\n")
            journal.flush()
            places.append(last)
            if progress is not None:
                progress(len(places), len(recordings))
    for number in range(shard_count(places)):
        with open(files.part(number), "rb+") as part:
            os.fsync(part.fileno())
        os.replace(files.part(number), files.shard(number))
    return places


def shard_count(places: Sequence[Place]) -> int:
    """How many shards hold samples."""
    return max((place.shard + 1 for place in places if place.samples), default=0)


def _cut_after(files: WaveFiles, last: Place) -> None:
    """Drop samples that no journaled recording holds."""
    for number in files.written():
        if number > last.shard or not last.start + last.samples:
            files.part(number).unlink()
        elif number == last.shard:
            os.truncate(files.part(number), (last.start + last.samples) * SAMPLE_BYTES)


def _resume(files: WaveFiles, count: int, limit: int) -> list[Place]:
    """Places that an interrupted build left whole; the journal then holds no others."""
    places: list[Place] = []
    try:
        lines = files.journal.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    stored = {number: files.part(number).stat().st_size // SAMPLE_BYTES for number in files.written()}
    last = Place()
    for line in lines[:count]:
        try:
            place = Place(*parse_json(line))
            follows = (place.shard, place.start) == last.next_start(place.samples, limit)
            whole = place.start + place.samples <= stored.get(place.shard, 0)
        except (ValueError, TypeError):
            break
        if not (follows and whole):
            break
        places.append(place)
        last = place
    files.journal.write_text("".join(json.dumps(place.row()) + "\n" for place in places), encoding="utf-8")
    return places
