"""Protocol buffers field by field, without their schema: numbers, lengths and nested messages stay well formed."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from random import Random

from tests.fuzz.harness import MutateBytes
from tests.fuzz.mutations import NUMBERS

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DEPTH = 8


@dataclass
class Field:
    """One field: its number, wire type, and an integer, bytes or the fields of a message."""

    number: int
    wire: int
    value: int | bytes | list[Field]


def parse(data: bytes, depth: int = 0) -> list[Field] | None:
    """The fields of a message; None where `data` is none."""
    fields, at = [], 0
    while at < len(data):
        key, at = _read_varint(data, at)
        number, wire = key >> 3, key & 7
        if at < 0 or not 0 < number < 1 << 29:
            return None
        value: int | bytes | list[Field]
        if wire == _VARINT:
            value, at = _read_varint(data, at)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
            value, at = data[at : at + size], at + size
        elif wire == _BYTES:
            length, at = _read_varint(data, at)
            value, at = data[at : at + length], at + length if at >= 0 else -1
        else:
            return None
        if at < 0 or at > len(data):
            return None
        # Texts of one or two letters can be messages too; longer ones seldom are.
        if isinstance(value, bytes) and wire == _BYTES and depth < _DEPTH and len(value) > 2:
            value = parse(value, depth + 1) or value
        fields.append(Field(number, wire, value))
    return fields


def serialize(fields: list[Field]) -> bytes:
    """The bytes of a message."""
    out = bytearray()
    for field in fields:
        out += _varint(field.number << 3 | field.wire)
        if isinstance(field.value, int):
            out += _varint(field.value)
            continue
        content = serialize(field.value) if isinstance(field.value, list) else field.value
        out += _varint(len(content)) + content if field.wire == _BYTES else content
    return bytes(out)


def mutate_message(data: bytes, random: Random, blind: MutateBytes, max_bytes: int, words: tuple[bytes, ...]) -> bytes:
    """Change one to three fields anywhere in a message."""
    fields = parse(data)
    if not fields:
        return blind(data, max_bytes)
    for _ in range(random.randint(1, 3)):
        holders = _holders(fields)
        if not holders:
            break
        holder = random.choice(holders)
        at = random.randrange(len(holder))
        field, choice = holder[at], random.random()
        if choice < 0.5:
            _change(field, random, blind, words)
        elif choice < 0.62:
            del holder[at]
        elif choice < 0.74:
            holder.insert(random.randint(0, len(holder)), copy.deepcopy(field))
        elif choice < 0.84:
            field.number = random.choice((1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 14, 20, field.number + 1, 16000))
        elif choice < 0.94:
            other = random.choice(random.choice(holders))
            field.wire, field.value = other.wire, copy.deepcopy(other.value)
        else:
            holder.insert(at, Field(random.randint(1, 25), _VARINT, random.choice(NUMBERS) % 2**64))
    out = serialize(fields)
    return out if len(out) <= max_bytes else data


def _change(field: Field, random: Random, blind: MutateBytes, words: tuple[bytes, ...]) -> None:
    if isinstance(field.value, int):
        field.value = random.choice((*NUMBERS, field.value + 1, field.value ^ 1, random.randrange(24))) % 2**64
    elif field.wire != _BYTES:
        size = 4 if field.wire == _FIXED32 else 8
        field.value = random.choice(
            (bytes(size), b"\xff" * size, random.randbytes(size), b"\0" * (size - 2) + b"\xc0\x7f")
        )
    elif isinstance(field.value, bytes) and random.random() < 0.5:
        field.value = random.choice(words)
    else:
        content = serialize(field.value) if isinstance(field.value, list) else field.value
        field.value = blind(content or b"\0", len(content) + 16)


def _holders(fields: list[Field]) -> list[list[Field]]:
    found, waiting = [], [fields]
    while waiting:
        holder = waiting.pop()
        if holder:
            found.append(holder)
        waiting += [field.value for field in holder if isinstance(field.value, list)]
    return found


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    if at < 0:
        return 0, -1
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            return 0, -1
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    return 0, -1


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
