"""Zip files as NumPy and torch write them: members changed one by one, every checksum and offset right again."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from tests.fuzz.harness import MutateBytes

MutateMember = Callable[[str, bytes], bytes]

_DTYPES = ("<f4", "<f8", "<i2", "<i8", "|u1", "|b1", "<U4", "|S3", "|O", "<c16", ">f4", "<f2", "<M8[s]", "", "|V8",
           "[('a', '<f4')]", "(2,)f4", "<f4" * 50)  # fmt: skip
_SHAPES: tuple[Any, ...] = ((), (0,), (1,), (-1,), (2, 3), (1 << 31,), (1 << 62,), (1 << 31, 1 << 31), (1,) * 40,
                            (3.5,), ("2",), (None,), 7, (True,), (10**30,))  # fmt: skip


def mutate_zip(data: bytes, random: Random, blind: MutateBytes, max_bytes: int, member: MutateMember) -> bytes:
    """Change one member by `member`, or which members there are, or what the directory says of them."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()[:40]]
    except Exception:  # what blind mutation left
        return blind(data, max_bytes)
    if not members:
        return blind(data, max_bytes)
    at = random.randrange(len(members))
    name, content = members[at]
    choice = random.random()
    if choice < 0.75:
        members[at] = name, member(name, content)
    elif choice < 0.82:
        del members[at]
    elif choice < 0.88:
        members[at] = (
            random.choice(("../" + name, "/" + name, name + "x", name.upper(), "", "a\\b", name[:-4])),
            content,
        )
    elif choice < 0.94:
        other = random.randrange(len(members))
        members[at] = name, members[other][1]
    else:
        members.append((name, content))
    compressed = random.random() < 0.2
    out = _write(members, compressed)
    if choice > 0.7 and random.random() < 0.4:
        out = _lie(out, random)
    return out[:max_bytes] if len(out) <= max_bytes else data


def mutate_npy(content: bytes, random: Random, blind: MutateBytes) -> bytes:
    """A member of an npz: another header over the same data, other data under it, or other values."""
    choice = random.random()
    if content[:6] != b"\x93NUMPY" or len(content) < 10 or choice < 0.2:
        return blind(content, len(content) + 64)
    end = 10 + int.from_bytes(content[8:10], "little")
    header, data = content[10:end], content[end:]
    if choice < 0.65:
        text = header.decode("latin-1")
        dtype = random.choice(_DTYPES) if random.random() < 0.5 else None
        shape = random.choice(_SHAPES) if dtype is None or random.random() < 0.3 else None
        try:
            facts: Any = np.lib.format.read_array_header_1_0(io.BytesIO(content[8:end]))
        except Exception:  # a header that an earlier mutation made
            facts = ((1,), False, np.dtype("<f4"))
        fields = {
            "descr": facts[2].str if dtype is None else dtype,
            "fortran_order": random.random() < 0.1,
            "shape": facts[0] if shape is None else shape,
        }
        text = repr(fields)
        if random.random() < 0.1:
            text = random.choice(("{", text * 3, text.replace("descr", "x"), "(" * 200, "__import__('os')", "9" * 5000))
        header = text.encode("latin-1", "replace") + b"\n"
    elif data and choice < 0.85:
        width = random.choice((1, 2, 4, 8))
        at = random.randrange(len(data)) // width * width
        value = random.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * width
        value = random.choice((value, struct.pack("<f", float("nan")), struct.pack("<f", float("inf"))))
        data = data[:at] + value + data[at + len(value) :]
    else:
        data = blind(data or b"\0", len(data) + 64)
    return content[:8] + len(header).to_bytes(2, "little") + header + data


def _write(members: list[tuple[str, bytes]], compressed: bool = False) -> bytes:
    file = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name or "x")
            info.compress_type = method
            archive.writestr(info, content)
    return file.getvalue()


def _lie(data: bytes, random: Random) -> bytes:
    """Directory entries with another size, method, flag, offset or attribute than the member has."""
    at = data.find(b"PK\x01\x02")
    while random.random() < 0.5 and data.find(b"PK\x01\x02", at + 4) > 0:
        at = data.find(b"PK\x01\x02", at + 4)
    field, size = random.choice(((8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (38, 4), (42, 4)))
    number = random.choice((0, 1, 8, 12, 14, 99, 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFF, 1 << 30, 0o120777 << 16)) % 256**size
    return data[: at + field] + number.to_bytes(size, "little") + data[at + field + size :]
