"""Fingerprints of a run's recordings, kept under the hashes of their files: each is made once.

``fingerprints-<version>.u32`` holds words and keys end to end, ``fingerprints-<version>.jsonl`` where each lies. Data
come first, so that an interrupted build costs one recording; what is looked up is mapped, not read.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acula_edge.data.fingerprint import KEYS_KEPT, LAG, LOUD_DB, SPEC, Keys, Words, fingerprint_pieces, make_keys
from acula_edge.data.store import WaveStore
from acula_edge.errors import OutOfMemory
from acula_edge.files import sha256_json, system_error
from acula_edge.untrusted.texts import parse_json

VERSION = sha256_json(["fingerprint/1", asdict(SPEC), LAG, LOUD_DB, KEYS_KEPT])[:12]

Place = tuple[int, int, int]


class FingerprintCache:
    """Fingerprints of recordings by position, from the cache of a folder. Made by :meth:`build`."""

    def __init__(self, data: NDArray[np.uint32], places: Sequence[Place]) -> None:
        self._data, self._places = data, places

    def __len__(self) -> int:
        return len(self._places)

    def words(self, number: int) -> Words:
        """Words [F, 2]; none for a recording that was not asked for."""
        start, frames, _ = self._places[number]
        return self._data[start : start + 2 * frames].reshape(frames, 2)

    def keys(self, number: int) -> Keys:
        """Keys [K], and the frames at which they begin."""
        start, frames, keys = self._places[number]
        begin = start + 2 * frames
        return self._data[begin : begin + keys], self._data[begin + keys : begin + 2 * keys].view(np.int32)

    @classmethod
    def build(
        cls,
        store: WaveStore,
        rows: Sequence[int],
        folder: str | Path,
        progress: Callable[[int, int], None] | None = None,
    ) -> FingerprintCache:
        """Fingerprints of the rows of a store; positions are the store's.

        Args:
            rows: which; the others have none.
            progress: called with (recordings done, all of them).

        Raises:
            StorageError: the disk is full or the folder may not be written; run again and it goes on.
        """
        folder = Path(folder)
        data, journal = folder / f"fingerprints-{VERSION}.u32", folder / f"fingerprints-{VERSION}.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            known = _resume(data, journal)
            missing = list({store.recordings[row].sha256: row for row in rows}.items())
            missing = [(sha256, row) for sha256, row in missing if sha256 not in known]
            end = data.stat().st_size // 4
            with open(data, "ab") as samples, open(journal, "a", encoding="utf-8") as lines:
                for done, ((sha256, _), (words, keys)) in enumerate(
                    zip(missing, _make(store, [row for _, row in missing]), strict=True), start=1
                ):
                    numbers = np.concatenate([words.ravel(), keys[0], keys[1].view(np.uint32)])
                    samples.write(numbers.astype("<u4").tobytes())
                    samples.flush()
                    known[sha256] = (end, len(words), len(keys[0]))
                    lines.write(json.dumps([sha256, *known[sha256]]) + "\n")
                    end += len(numbers)
                    if progress is not None:
                        progress(done, len(missing))
        except OSError as error:
            raise system_error(f"cannot write {data}", error, data) from error
        wanted = set(rows)
        places = [
            known[recording.sha256] if row in wanted else (0, 0, 0) for row, recording in enumerate(store.recordings)
        ]
        mapped = np.memmap(data, dtype="<u4", mode="r") if end else np.zeros(0, np.uint32)
        return cls(mapped, places)


def _make(store: WaveStore, rows: Sequence[int]) -> Iterator[tuple[Words, Keys]]:
    """Fingerprints in order, a few made ahead on other cores.

    Raises:
        OutOfMemory: a recording needs more than there is, even alone; named.
    """

    def attempt(row: int) -> tuple[Words, Keys] | None:
        try:
            words = fingerprint_pieces(lambda: store.blocks(row), store.sample_rate_hz)
            return words, make_keys(words)
        except MemoryError:
            return None

    workers = min(8, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(workers)
    ahead: deque[tuple[int, Future[tuple[Words, Keys] | None]]] = deque()

    def settle() -> tuple[Words, Keys]:
        row, future = ahead.popleft()
        made = future.result()
        if made is None:
            wait([other for _, other in ahead])
            made = attempt(row)
        if made is None:
            recording = store.recordings[row]
            raise OutOfMemory(
                f"comparing {recording.path} with the other recordings needs more memory than there is",
                remedy="cut it into shorter files, or leave it out",
            )
        return made

    try:
        for row in rows:
            ahead.append((row, pool.submit(attempt, row)))
            if len(ahead) > 2 * workers:
                yield settle()
        while ahead:
            yield settle()
    finally:
        pool.shutdown(cancel_futures=True)


def _resume(data: Path, journal: Path) -> dict[str, Place]:
    """Where what an earlier call left lies; the files then hold nothing else."""
    data.touch()
    size = data.stat().st_size // 4
    known: dict[str, Place] = {}
    end = 0
    lines = journal.read_text(encoding="utf-8", errors="replace").splitlines() if journal.is_file() else []
    for line in lines:
        try:
            sha256, start, frames, keys = parse_json(line)
            follows = start == end and start + 2 * (frames + keys) <= size
        except (ValueError, TypeError):
            break
        if not follows:
            break
        known[sha256] = (start, frames, keys)
        end = start + 2 * (frames + keys)
    if end != size or len(known) != len(lines):
        os.truncate(data, 4 * end)
        rows = (json.dumps([sha256, *place]) + "\n" for sha256, place in known.items())
        journal.write_text("".join(rows), encoding="utf-8")
    return known
