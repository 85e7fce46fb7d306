"""Sound that comes in numbered packets, some of which never arrive: gaps are filled with zeros and remembered."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.samples import SampleBytes, as_array, as_bytes, as_number, check_rate
from acula_edge.errors import AudioError
from acula_edge.limits import MAX_MISSING_PACKETS

SEQUENCE_MODULUS = 1 << 32
_END: Any = object()
MAX_GAP_S = 30.0
"""A sequence number further off than this much sound, forward or backward, is that of a sender which started anew."""


@dataclass(frozen=True)
class Packet:
    """One packet of a stream.

    Attributes:
        sequence: one more than that of the packet before, modulo 2**32.
        pcm: [T], as :meth:`acula_edge.runtime.Bundle.score` takes it; may be empty. Bytes hold whole samples: half a
            sample could not wait for a packet that may be lost.
    """

    sequence: int
    pcm: Any


@dataclass(frozen=True)
class PacketCounts:
    """What became of a stream's packets.

    Attributes:
        received: packets whose sound was taken.
        lost: sequence numbers that were missing when a later one came; filled with zeros of the length of the packet
            before the gap.
        late: packets that came after their gap had been filled, and were dropped.
        duplicate: packets that had come before, and were dropped.
        restarts: jumps of the sequence by more than :data:`MAX_GAP_S`; nothing says how much is missing there.
    """

    received: int = 0
    lost: int = 0
    late: int = 0
    duplicate: int = 0
    restarts: int = 0

    def to_dict(self) -> dict[str, int]:
        """Plain values, for JSON."""
        return asdict(self)


class Arrivals:
    """The pieces of a stream in order, without holes, and what was observed on the way.

    Args:
        items: PCM arrays or bytes (of which half a sample waits for the next item, and is dropped at the end), or all
            of them :class:`Packet`. One array of one dimension, or bytes, are one item.
        sample_rate_hz: of both.
        restart_gap_s: sound that is taken as missing where the sender started anew.

    Attributes:
        arrived_s: clock (:func:`time.perf_counter`) at which the latest item came.
        waited_s: time spent waiting for items.
        counts: of packets; None for arrays.

    Raises:
        AudioError: the items are nothing that can be iterated over here; while iterating, where arrays and packets are
            mixed, or a sequence number is none.
    """

    def __init__(self, items: Iterable[Any], sample_rate_hz: int, restart_gap_s: float) -> None:
        self.arrived_s = time.perf_counter()
        self.waited_s = 0.0
        self.counts: PacketCounts | None = None
        self._items = _iterate(items)
        self._bytes = SampleBytes("the stream")
        self._rate_hz = check_rate(sample_rate_hz)
        self._restart_gap = round(restart_gap_s * sample_rate_hz)
        self._position = 0
        self._holes: list[tuple[int, int]] = []
        self._missing: OrderedDict[int, None] = OrderedDict()  # oldest first
        self._next: int | None = None
        self._length = 0

    def __iter__(self) -> Iterator[Any]:
        """Yield arrays: what came, and zeros for what did not."""
        plain = None
        while True:
            asked = time.perf_counter()
            item = next(self._items, _END)
            self.arrived_s = time.perf_counter()
            self.waited_s += self.arrived_s - asked
            if item is _END:
                return
            if plain is None:
                plain = not isinstance(item, Packet)
                self.counts = None if plain else PacketCounts()
            if plain == isinstance(item, Packet):
                raise AudioError("a stream is either of arrays or of packets", given=type(item).__name__)
            for pcm in [self._piece(item)] if plain else self._unpack(item):
                self._position += np.size(pcm)
                yield pcm

    def lost_s(self, start_s: float, stop_s: float) -> float:
        """How much of a stretch of the stream was filled in; forgets what lies before it."""
        self._holes = [hole for hole in self._holes if hole[1] > start_s * self._rate_hz]
        overlaps = (min(b / self._rate_hz, stop_s) - max(a / self._rate_hz, start_s) for a, b in self._holes)
        return sum((overlap for overlap in overlaps if overlap > 0), start=0.0)

    def holes(self, start_s: float, stop_s: float) -> list[tuple[float, float]]:
        """The filled stretches between two times, in seconds since the stream began."""
        clipped = [(max(a / self._rate_hz, start_s), min(b / self._rate_hz, stop_s)) for a, b in self._holes]
        return [(a, b) for a, b in clipped if a < b]

    def _piece(self, item: Any) -> NDArray[Any]:
        data = as_bytes(item)
        if data is not None:
            return self._bytes.take(data)
        if self._bytes.rest:
            raise AudioError("half a sample came in bytes, and then no bytes", given=type(item).__name__)
        return as_array(item, "a piece of the stream")

    def _unpack(self, packet: Packet) -> Iterator[Any]:
        number = as_number(packet.sequence)
        if number is None or not 0 <= number < SEQUENCE_MODULUS or number != int(number):
            raise AudioError(
                "this is no sequence number", given=repr(packet.sequence), allowed=f"0 to {SEQUENCE_MODULUS - 1}"
            )
        sequence = int(number)
        ahead = 0 if self._next is None else _difference(sequence, self._next)
        if abs(ahead) * max(self._length, 1) > MAX_GAP_S * self._rate_hz:
            self._missing.clear()
            self._count("restarts")
            yield self._fill(self._restart_gap)
        elif ahead < 0:
            self._count("late" if sequence in self._missing else "duplicate")
            self._missing.pop(sequence, None)
            return
        elif ahead:
            for back in range(min(ahead, MAX_MISSING_PACKETS), 0, -1):
                self._missing[(sequence - back) % SEQUENCE_MODULUS] = None
            while len(self._missing) > MAX_MISSING_PACKETS:
                self._missing.popitem(last=False)
            self._count("lost", ahead)
            yield self._fill(ahead * self._length)
        self._next = (sequence + 1) % SEQUENCE_MODULUS
        self._forget_missing()
        self._count("received")
        pcm = as_array(packet.pcm, "a packet")
        if pcm.size:
            self._length = pcm.size
            yield pcm

    def _fill(self, samples: int) -> Any:
        if samples:
            self._holes.append((self._position, self._position + samples))
        return np.zeros(samples, dtype=np.int16)

    def _forget_missing(self) -> None:
        """Packets from so far back that they would be taken for a restart can no longer come late."""
        reach = MAX_GAP_S * self._rate_hz / max(self._length, 1)
        while self._missing and self._next is not None:
            oldest = next(iter(self._missing))
            if -_difference(oldest, self._next) <= reach:
                return
            del self._missing[oldest]

    def _count(self, name: str, by: int = 1) -> None:
        counts = self.counts or PacketCounts()
        self.counts = PacketCounts(**{**counts.to_dict(), name: getattr(counts, name) + by})


def _iterate(items: Any) -> Iterator[Any]:
    if as_bytes(items) is not None or (isinstance(items, np.ndarray) and items.ndim == 1):
        return iter([items])
    if hasattr(items, "__aiter__"):
        raise AudioError(
            "a stream is not fed by an async generator",
            given=type(items).__name__,
            remedy="put its pieces into a queue.Queue, and run the stream in asyncio.to_thread, over a generator that "
            "gets them from there",
        )
    try:
        return iter(items)
    except TypeError as error:
        raise AudioError(
            "a stream needs pieces to iterate over",
            given=type(items).__name__,
            allowed="arrays, bytes or packets",
            remedy="iter(queue.get, None) iterates over a queue, until None is put into it"
            if hasattr(items, "get")
            else None,
        ) from error


def _difference(sequence: int, other: int) -> int:
    """How far a sequence number lies ahead of another, the shorter way round (RFC 1982)."""
    half = SEQUENCE_MODULUS // 2
    return (sequence - other + half) % SEQUENCE_MODULUS - half
