"""Zip archives with a lie in them, built byte by byte: zipfile itself writes only honest ones."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass


@dataclass
class Entry:
    """One entry. `claimed` is the size that its headers give, where that is not the size of `data`."""

    name: str
    data: bytes
    deflate: bool = False
    claimed: int | None = None
    at: int | None = None


def write_zip(entries: list[Entry]) -> bytes:
    """An archive of these entries; one with `at` points to the place of an earlier one instead of having its own."""
    out, directory = io.BytesIO(), io.BytesIO()
    places: list[int] = []
    for entry in entries:
        packed = _deflate(entry.data) if entry.deflate else entry.data
        size = len(entry.data) if entry.claimed is None else entry.claimed
        name = entry.name.encode()
        fields = struct.pack(
            "<HHHHHIIIHH", 20, 0, 8 if entry.deflate else 0, 0, 0x21, zlib.crc32(entry.data),
            len(packed) if entry.deflate or entry.claimed is None else size, size, len(name), 0,
        )  # fmt: skip
        place = out.tell() if entry.at is None else places[entry.at]
        places.append(place)
        if entry.at is None:
            out.write(b"PK\x03\x04" + fields + name + packed)
        directory.write(
            b"PK\x01\x02" + struct.pack("<H", 20) + fields + struct.pack("<HHHII", 0, 0, 0, 0, place) + name
        )
    start, listing = out.tell(), directory.getvalue()
    end = struct.pack("<HHHHIIH", 0, 0, len(entries), len(entries), len(listing), start, 0)
    return out.getvalue() + listing + b"PK\x05\x06" + end


def read_zip(data: bytes) -> list[Entry]:
    """The entries of an honest archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [Entry(name, archive.read(name)) for name in archive.namelist()]


def _deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()
