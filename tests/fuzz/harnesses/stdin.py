"""Sound from standard input: bare samples or packets, through gaps, windows, quality and decisions."""

from __future__ import annotations

import functools
import io
import itertools
import struct
from random import Random

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.samples import to_wave
from acula_edge.runtime.answers import TaskColumns
from acula_edge.runtime.packets import Arrivals, Packet
from acula_edge.runtime.quality_gate import QualityGate
from acula_edge.runtime.standard_input import PACKET_HEADER, pack, read_packets, read_samples
from acula_edge.runtime.streaming import StreamPlan, follow
from acula_edge.smoothing import SmoothingSettings
from tests.fuzz.harness import Harness, MutateBytes, refusing
from tests.fuzz.mutations import NUMBERS
from tests.fuzz.sandbox import Sandbox

RATES_HZ = (1000, 4000, 100, 44100)
MOST_UPDATES = 6
_TYPES = ("<i2", "<i4", "<f4", "<f8", "<f2", "u1", "<c8")
_TASKS = (
    TaskColumns("M", "Murmur", "binary", ("absent", "present"), "", 0.5, 0, 1),
    TaskColumns("R", "Rate", "regression", (), "1/min", None, 1, 2),
)


def one_input(data: bytes, sandbox: Sandbox) -> None:
    """The first byte chooses packets, samples or an array's type, and the rate."""
    if not data:
        return
    kind, rate_hz, rest = data[0] % 4, RATES_HZ[data[0] // 4 % 4], data[1:]
    if kind == 3:
        dtype = np.dtype(_TYPES[data[0] // 16 % len(_TYPES)])
        with refusing():
            wave = to_wave(np.frombuffer(rest[: len(rest) // dtype.itemsize * dtype.itemsize], dtype))
            assert wave.dtype == np.float32 and np.isfinite(wave).all()
        return
    chunks = read_samples(io.BytesIO(rest)) if kind == 2 else read_packets(io.BytesIO(rest))
    with refusing():
        for update in itertools.islice(follow(Arrivals(chunks, rate_hz, 0.5), rate_hz, _plan()), MOST_UPDATES):
            assert 0 <= update.lost_s <= update.end_s - update.start_s + 1e-6
            assert all(np.isfinite(task["score"] or 0.0) for task in update.tasks.values())


@functools.cache
def seeds() -> list[bytes]:
    """Samples, packets in order, lost, late and repeated ones, and numbers that wrap."""
    sound = (np.random.default_rng(0).normal(size=600) * 3000).astype(np.int16)
    pieces = np.split(sound[:240], 6)

    def packets(*sequences: int) -> bytes:
        return b"".join(pack(Packet(number, pieces[n % 6])) for n, number in enumerate(sequences))

    streams = [packets(*range(6)), packets(0, 1, 4, 3, 4), packets(2**32 - 2, 2**32 - 1, 0, 1), packets(5, 900000, 7)]
    floats = [np.sin(np.arange(30)).astype(kind).tobytes() for kind in ("<f4", "<f8")]
    return [
        *(bytes([rate << 2]) + stream for rate in range(2) for stream in streams),
        *(bytes([2 | rate << 2]) + sound.tobytes() for rate in range(4)),
        bytes([3]) + sound[:40].tobytes(), bytes([3 | 2 << 4]) + floats[0], bytes([3 | 3 << 4]) + floats[1],
    ]  # fmt: skip


def mutate(data: bytes, random: Random, blind: MutateBytes, max_bytes: int) -> bytes:
    """Packets as packets: other numbers and lengths, dropped, doubled, out of order."""
    if len(data) < 8 or data[0] % 4 > 1 or random.random() < 0.3:
        return blind(data, max_bytes)
    packets, at = [], 1
    while at + PACKET_HEADER.size <= len(data):
        sequence, samples = PACKET_HEADER.unpack_from(data, at)
        packets.append((sequence, samples, data[at + 6 : at + 6 + 2 * samples]))
        at += 6 + 2 * samples
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(packets))
        sequence, samples, body = packets[at]
        choice = random.randrange(5)
        if choice == 0:
            sequence = random.choice((*NUMBERS, sequence + random.randint(-40, 40), sequence + 30000)) % 2**32
        elif choice == 1:
            samples = random.choice((0, 1, 65535, samples + 1, max(samples - 1, 0)))
        elif choice == 2:
            body = blind(body or b"\0", 64)
            samples = len(body) // 2
            body = body[: 2 * samples]
        packets[at] = sequence, samples, body
        if choice == 3:
            packets.insert(random.randint(0, len(packets)), packets[at])
        elif choice == 4:
            packets.insert(random.randrange(len(packets)), packets.pop(at))
    return (data[:1] + b"".join(struct.pack("<IH", s, n % 65536) + body for s, n, body in packets))[:max_bytes]


@functools.cache
def _plan() -> StreamPlan:
    def score(wave: NDArray[np.float32], start: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        level = np.abs(wave).mean()
        return np.full((1, 4), level, np.float32), np.array([[min(level, 1.0), 60 * level]], np.float32)

    gate = QualityGate.from_dict(None)
    return StreamPlan(1000, 250, 100, score, gate, _TASKS, SmoothingSettings(), None)


HARNESS = Harness("standard input: samples and packets", one_input, seeds, mutate, max_bytes=2048)
