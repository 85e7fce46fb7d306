"""The length of a FLAC file whose header does not tell it: what its last frame says (RFC 9639)."""

from __future__ import annotations

from collections.abc import Callable

Read = Callable[[int, int], bytes]
"""Bytes from a place on, at most so many."""

_HEADER_BYTES = 42  # the marker, and the block STREAMINFO with its head
_TOTAL_AT = 21
_LONGEST_FRAME_HEADER = 16
_SEARCHED_BYTES = 1 << 22


def flac_header(read: Read, size: int, start: int) -> bytes | None:
    """The first bytes of a FLAC file with the number of its samples in them.

    Args:
        start: where the marker ``fLaC`` lies.

    Returns:
        None where the header tells it, or the file does not end with a whole frame.
    """
    head = read(start, _HEADER_BYTES)
    if len(head) < _HEADER_BYTES or head[4] & 0x7F != 0 or int.from_bytes(head[_TOTAL_AT:26], "big") & 0xFFFFFFFFF:
        return None
    smallest, largest = int.from_bytes(head[8:10], "big"), int.from_bytes(head[10:12], "big")
    total = _samples(read, size, start + _HEADER_BYTES, largest if smallest == largest else 0)
    if not total or total >> 36:
        return None
    return head[:_TOTAL_AT] + (head[_TOTAL_AT] << 32 | total).to_bytes(5, "big") + head[26:]


def _samples(read: Read, size: int, first: int, block: int) -> int | None:
    """Where the last frame ends, in samples; `block` is the length of all frames but the last, 0 where it varies."""
    begin = max(first, size - _SEARCHED_BYTES)
    tail = read(begin, size - begin)
    summed, at = 0, len(tail)
    while (at := tail.rfind(b"\xff", 0, at)) >= 0 and summed < _SEARCHED_BYTES:
        end = _frame_end(tail[at : at + _LONGEST_FRAME_HEADER], block)
        if end is not None:
            summed += len(tail) - at
            if _crc(tail[at:], 16) == 0:
                return end
    return None


def _frame_end(head: bytes, block: int) -> int | None:
    """The sample behind the frame with this header; None where these bytes are no header."""
    if len(head) < 6 or head[1] & 0xFE != 0xF8 or head[3] & 1:
        return None
    varies, size_code, rate_code = head[1] & 1, head[2] >> 4, head[2] & 15
    ones = 8 - (~head[4] & 0xFF).bit_length()
    if ones == 1 or ones > 7 or not size_code or rate_code == 15:
        return None
    number, at = head[4] & (0x7F >> ones), 4 + max(1, ones)
    for byte in head[5:at]:
        number = number << 6 | byte & 0x3F
    if size_code in (6, 7):
        length = int.from_bytes(head[at : at + size_code - 5], "big") + 1
        at += size_code - 5
    else:
        length = 192 if size_code == 1 else 576 << (size_code - 2) if size_code < 6 else 256 << (size_code - 8)
    at += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if at >= len(head) or _crc(head[:at], 8) != head[at]:
        return None
    return (number if varies else number * (block or length)) + length


def _table(bits: int, polynomial: int) -> list[int]:
    table = []
    for value in range(256):
        value <<= bits - 8
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value >> (bits - 1) else 0)) & ((1 << bits) - 1)
        table.append(value)
    return table


_TABLES = {8: _table(8, 0x07), 16: _table(16, 0x8005)}


def _crc(data: bytes, bits: int) -> int:
    table, value, mask = _TABLES[bits], 0, (1 << bits) - 1
    for byte in data:
        value = (value << 8 ^ table[value >> (bits - 8) ^ byte]) & mask
    return value
