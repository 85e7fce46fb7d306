"""Protobuf's wire format, read field by field without the messages' classes and without copying what is skipped.

Format: https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator

from acula_edge.limits import MAX_ONNX_FIELDS

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_MOST_VARINT_BYTES = 10

Value = int | tuple[int, int]
"""A number, or first and one-past-last byte of what a field holds."""


class Wire:
    """One message's bytes; every field that is looked at counts towards the limit.

    Raises:
        ValueError: from every method: the bytes are no protobuf, or fields are too many.
    """

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self._left = MAX_ONNX_FIELDS

    def fields(self, start: int, stop: int) -> Iterator[tuple[int, int, Value]]:
        """Number, wire type and value of every field between two places."""
        at, data = start, self.data
        while at < stop:
            self._left -= 1
            if self._left < 0:
                raise ValueError(f"more than {MAX_ONNX_FIELDS} fields")
            # Nearly all tags and lengths are numbers of one byte.
            tag = data[at]
            if tag < 0x80:
                at += 1
            else:
                tag, at = self.varint(at, stop)
            kind, number = tag & 7, tag >> 3
            if number == 0:
                raise ValueError(f"a field without a number at byte {at}")
            if kind == VARINT:
                value, at = self.varint(at, stop)
                yield number, kind, value
            elif kind == BYTES:
                if at < stop and data[at] < 0x80:
                    length, at = data[at], at + 1
                else:
                    length, at = self.varint(at, stop)
                if length > stop - at:
                    raise ValueError(f"a field of {length} bytes where {stop - at} are left")
                yield number, kind, (at, at + length)
                at += length
            elif kind in (FIXED64, FIXED32):
                length = 8 if kind == FIXED64 else 4
                if length > stop - at:
                    raise ValueError(f"it ends in a field at byte {at}")
                yield number, kind, (at, at + length)
                at += length
            else:
                raise ValueError(f"a field of wire type {kind} at byte {at}")

    def varint(self, at: int, stop: int) -> tuple[int, int]:
        """A number and the place after it."""
        value = 0
        for index in range(_MOST_VARINT_BYTES):
            if at >= stop:
                raise ValueError("it ends in a number")
            byte = self.data[at]
            at += 1
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return value, at
        raise ValueError(f"a number without an end at byte {at}")

    def text(self, place: Value) -> str:
        """The text of a field of bytes."""
        start, stop = self.span(place)
        return str(self.data[start:stop], "utf-8")

    def span(self, place: Value) -> tuple[int, int]:
        """The bytes of a field that must be one of bytes."""
        if isinstance(place, int):
            raise ValueError("a number where a text or a message belongs")
        return place

    def numbers(self, kind: int, value: Value) -> list[int]:
        """A repeated integer field: one number, or packed ones."""
        if isinstance(value, int):
            return [value]
        if kind != BYTES:
            raise ValueError("an integer of a fixed size")
        start, stop = value
        found = []
        while start < stop:
            self._left -= 1
            if self._left < 0:
                raise ValueError(f"more than {MAX_ONNX_FIELDS} fields")
            number, start = self.varint(start, stop)
            found.append(number)
        return found
