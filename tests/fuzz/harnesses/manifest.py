"""Lists of recordings: a user's manifest as JSON lines or CSV, and our own."""

from __future__ import annotations

import functools
import io
import json
from random import Random
from typing import Any

import numpy as np
import soundfile

from acula_edge.corpora.own_recordings import ManifestReader
from acula_edge.data.manifest import Recording, read_manifest
from tests.fuzz.harness import Harness, MutateBytes, refusing
from tests.fuzz.mutations import dump, mutate_value, mutate_words
from tests.fuzz.sandbox import Sandbox

FORMATS = ("jsonl", "csv", "own")
_READER = ManifestReader()
_ROWS: list[dict[str, Any]] = [
    {"path": "a.wav", "subject": "p1", "recording": "r1", "dataset": "d", "split": "train", "stratum": "x", "age": 61},
    {"path": "b.wav", "subject": "p2", "metadata": {"sex": "f", "bmi": 20.5}},
    {"path": "gone.wav", "subject": 3, "note": None},
]
_WORDS = [
    b"path", b"subject", b"recording", b"dataset", b"split", b"metadata", b"a.wav", b"b.wav", b"../a.wav",
    b"/etc/passwd", b",", b'"', b'""', b"\n", b"\r\n", b"\r", b"\x00", b"nan", b"1e999", b"-0", b"9" * 400,
    b"\xef\xbb\xbf", b"\xff", b"{", b"}", b"[", b"]", b":", b"null", b"true", b"NaN", b"Infinity", b"\\ud800",
    b'{"path": "a.wav", "subject": ', b"[" * 600, b'{"a":' * 300,
]  # fmt: skip
COLUMNS = ["path", "subject", "recording", "dataset", "split", "sha256", "metadata", "a.wav", "../a.wav", "test"]


def one_input(data: bytes, sandbox: Sandbox) -> None:
    """The first byte chooses the format."""
    if not data:
        return
    sandbox.keep("a.wav", tiny_sound())
    sandbox.keep("b.wav", tiny_sound())
    form = FORMATS[data[0] % 3]
    path = sandbox.write("manifest.jsonl" if form == "own" else f"manifest.{form}", data[1:])
    with refusing():
        if form == "own":
            for row in read_manifest(path):
                assert isinstance(row, Recording)
            return
        for recording in _READER.read(path, {"root": "."}).recordings:
            json.dumps(recording.metadata, allow_nan=False)
            assert recording.sample_rate_hz > 0 and recording.subject and recording.dataset


@functools.cache
def seeds() -> list[bytes]:
    """The same three rows in each format, and our own."""
    lines = b"".join(dump(row) + b"\n" for row in _ROWS)
    table = b"path,subject,recording,split,age\na.wav,p1,r1,train,61\nb.wav,p2,,test,\n"
    own = [Recording("r1", "a.wav", "d/p1", "d", 4000, 0.1, metadata={"age": 3}).__dict__]
    return [
        b"\0" + lines,
        b"\1" + table,
        b'\1"path","subject"\r\n"a.wav","p,1"\r\n',
        b"\2" + b"".join(dump(row) + b"\n" for row in own),
    ]


def mutate(data: bytes, random: Random, blind: MutateBytes, max_bytes: int) -> bytes:
    """JSON lines by value, CSV by word; each blindly at times."""
    head, body, form = data[:1] or b"\0", data[1:], FORMATS[(data[:1] or b"\0")[0] % 3]
    choice = random.random()
    if choice < 0.03:
        return bytes([random.randrange(3)]) + body
    if choice < 0.3:
        return head + blind(body, max_bytes - 1)
    if form != "csv" and choice < 0.7:
        lines = body.splitlines()
        at = random.randrange(len(lines)) if lines else 0
        try:
            row = json.loads(lines[at])
        except (ValueError, IndexError, RecursionError):
            row = random.choice(_ROWS)
        try:
            lines[at : at + 1] = [dump(mutate_value(row, random, COLUMNS))]
        except (ValueError, RecursionError):
            return head + blind(body, max_bytes - 1)
        return (head + b"\n".join(lines) + b"\n")[:max_bytes]
    return head + mutate_words(body, random, _WORDS, max_bytes - 1)


@functools.cache
def tiny_sound() -> bytes:
    """A recording of 10 ms."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros(40, np.float32), 4000, format="WAV")
    return file.getvalue()


HARNESS = Harness("manifests: JSON lines, CSV", one_input, seeds, mutate, max_bytes=4096)
