"""Files of chunks (RIFF, RF64, AIFF, CAF): name, length, payload; changed one by one, lengths right or wrong."""

from __future__ import annotations

from random import Random

from tests.fuzz.harness import MutateBytes
from tests.fuzz.mutations import NUMBERS


def mutate_chunks(data: bytes, random: Random, blind: MutateBytes, max_bytes: int) -> bytes:
    """Change a chunk's payload, its length or its name, or drop, double or move a chunk."""
    order = "big" if data[:4] in (b"FORM", b"RIFX", b"caff") else "little"
    # CAF has a header of eight bytes and lengths of eight.
    start, width = (8, 8) if data[:4] == b"caff" else (12, 4)
    head, chunks = data[:start], _split(data[start:], order, width)
    if not chunks:
        return blind(data, max_bytes)
    at = random.randrange(len(chunks))
    name, length, payload = chunks[at]
    choice = random.randrange(7)
    if choice == 0:
        payload = blind(payload, max(1, len(payload) + 16))
        length = len(payload)
    elif choice == 1 and payload:
        size = random.choice((1, 2, 4, 8))
        field = random.randrange(0, max(1, min(len(payload), 64) - size + 1), 2)
        number = (random.choice(NUMBERS) % 256**size).to_bytes(size, order)
        payload = payload[:field] + number + payload[field + size :]
    elif choice == 2:
        length = random.choice((*NUMBERS, length + 1, length - 1)) % 256**width
    elif choice == 3:
        name = random.choice(
            (b"data", b"fmt ", b"fact", b"LIST", b"COMM", b"SSND", b"ds64", b"desc", b"PEAK", b"\0\0\0\0")
        )
    elif choice == 4:
        del chunks[at]
    elif choice == 5:
        chunks.insert(random.randint(0, len(chunks)), chunks[at])
    else:
        head = blind(head, start).ljust(start, b"\0")
    if choice < 4:
        chunks[at] = name, length, payload
    out = head + b"".join(name + length.to_bytes(width, order) + payload for name, length, payload in chunks)
    if width == 4 and random.random() < 0.8:
        out = out[:4] + (len(out) - 8).to_bytes(4, order) + out[8:]
    return out[:max_bytes]


def _split(data: bytes, order: str, width: int) -> list[tuple[bytes, int, bytes]]:
    chunks, at = [], 0
    while at + 4 + width <= len(data) and len(chunks) < 64:
        length = int.from_bytes(data[at + 4 : at + 4 + width], "big" if order == "big" else "little")
        end = min(len(data), at + 4 + width + length + length % 2)
        chunks.append((data[at : at + 4], length, data[at + 4 + width : end]))
        at = end
    return chunks
