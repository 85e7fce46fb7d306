"""One byte flipped anywhere in a bundle is refused with the file's name, the files that hold the hashes included."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from acula_edge.bundle.checks import verify_bundle
from acula_edge.bundle.folder import read_bundle
from acula_edge.bundle.signature import sign_bundle
from acula_edge.errors import ArtifactError
from acula_edge.runtime import load_bundle
from tests.bundle.test_signature import write_key

RANDOM_PLACES = 12
# Whitespace for whitespace, a digit for a digit, a letter's case, and everything at once.
FLIPS = (0x2A, 0x01, 0x20, 0xFF)


def flip(path: Path, place: int, mask: int) -> bytes:
    data = path.read_bytes()
    path.write_bytes(data[:place] + bytes([data[place] ^ mask]) + data[place + 1 :])
    return data


def places(path: Path) -> list[int]:
    size = path.stat().st_size
    draw = random.Random(path.name)
    return sorted({0, size // 2, size - 1, *(draw.randrange(size) for _ in range(RANDOM_PLACES))})


def test_a_flipped_byte_is_refused_by_name_in_every_file(measured: Path) -> None:
    sign_bundle(measured, write_key(measured.parent / "key.pem"))
    load_bundle(measured)
    files = sorted(path for path in measured.iterdir())
    assert {"bundle.json", "bundle.sig", "model.onnx", "selftest.py", "README.md"} <= {path.name for path in files}
    for path in files:
        for number, place in enumerate(places(path)):
            former = flip(path, place, FLIPS[number % len(FLIPS)])
            with pytest.raises(ArtifactError) as caught:
                read_bundle(measured)
            # Of bundle.json a signature says that it changed, where its own hash does not say so first.
            assert path.name in str(caught.value), (path.name, place)
            path.write_bytes(former)
    load_bundle(measured)


def test_every_byte_of_bundle_json_counts(bundle: Path) -> None:
    path = bundle / "bundle.json"
    for place in range(path.stat().st_size):
        former = flip(path, place, FLIPS[place % len(FLIPS)])
        with pytest.raises(ArtifactError, match=r"bundle\.json"):
            read_bundle(bundle, verify=False)
        path.write_bytes(former)
    read_bundle(bundle)


def test_bundle_verify_names_the_file(bundle: Path) -> None:
    flip(bundle / "model.int8.onnx", 100, 1)
    result = verify_bundle(bundle)
    assert not result["passed"]
    assert result["checks"][0]["detail"] == "model.int8.onnx was altered"
