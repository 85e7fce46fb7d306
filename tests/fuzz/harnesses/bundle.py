"""``bundle.json``: sealed after every change, so that mutations get past the checksum, and as it comes."""

from __future__ import annotations

import functools
import json
from random import Random
from typing import Any

import numpy as np

from acula_edge.audio.quality_limits import QualityLimits, describe_quality
from acula_edge.bundle.folder import check
from acula_edge.bundle.layout import BUNDLE_FILE
from acula_edge.bundle.sealed import SELF_CHECK
from acula_edge.bundle.selftest import read_selftest
from acula_edge.runtime.bundle import load_bundle
from acula_edge.smoothing import SMOOTHING_SCHEMA
from tests.fuzz.bundles import bundle_files, hashes, seal_text, unseal_text
from tests.fuzz.harness import Harness, MutateBytes, refusing
from tests.fuzz.mutations import mutate_value, mutate_words
from tests.fuzz.sandbox import Sandbox
from tests.tiny_bundle import RATE_HZ, make_sound

_KEYS = [
    "schema", "name", "input", "tasks", "files", "sizes_bytes", "frontends", "quality", "smoothing", "recommended",
    "embedding_dim", "hop_s", "samples", "sample_rate_hz", "trim_top_db", "labels", "start", "stop", "kind",
    "threshold", "multiclass", "regression", "binary", "native", "stream", "int8", "float", "level", "file",
    "model.onnx", "../model.onnx", "/etc/passwd", "bundle.json", "", "selftest.npz", "sub/model.onnx", "hop_samples",
    "hops",
]  # fmt: skip
_WORDS = [
    b'"', b":", b",", b"{", b"}", b"[", b"]", b"null", b"NaN", b"-Infinity", b"1e400", b"9" * 5000, b"\\ud800", b"\xff",
    b"\x00", b"[" * 2000, b'{"a":' * 500, b"0" * 64, b'"sha256": "' + b"0" * 64 + b'"', b'"schema": "x",',
]  # fmt: skip
_SOUND = (make_sound(1.0) * 32767).astype(np.int16)


def one_input(data: bytes, sandbox: Sandbox) -> None:
    """The first byte chooses whether the rest is sealed; 64 zeros at its end become its hash then."""
    if not data:
        return
    for name, content in bundle_files().items():
        if name != BUNDLE_FILE:
            sandbox.keep(name, content)
    text = data[1:]
    sandbox.write(BUNDLE_FILE, seal_text(text) if data[0] % 4 else text)
    folder = sandbox.inside
    with refusing():
        check(folder)
        read_selftest(folder)
        bundle = load_bundle(folder)  # reads it again, as every user of a bundle does
        answers = bundle.score(_SOUND, RATE_HZ)
        json.dumps(answers)
        for update in bundle.stream([_SOUND[:600], _SOUND[600:]], RATE_HZ):
            json.dumps(update.to_dict())


@functools.cache
def seeds() -> list[bytes]:
    """Our own, with every optional entry, and as earlier versions wrote them."""
    text = unseal_text(bundle_files()[BUNDLE_FILE])
    facts = json.loads(text)
    more = {
        **facts,
        "recommended": "int8",
        "quality": describe_quality(QualityLimits()),
        "smoothing": {"schema": SMOOTHING_SCHEMA, "time_constant_s": 4.0, "margin_log_odds": 0.4, "forget_s": 30.0},
        "frontends": [{"kind": "native", "file": "frontend.onnx", "sample_rate_hz": 2000, "samples": 2000}],
    }
    old = {key: value for key, value in facts.items() if key not in ("sha256", "self_check", "sizes_bytes")}
    return [
        b"\1" + text,
        b"\1" + _text(more),
        b"\0" + json.dumps(old).encode(),
        b"\1" + _text({"schema": facts["schema"]}),
    ]


def mutate(data: bytes, random: Random, blind: MutateBytes, max_bytes: int) -> bytes:
    """Value by value, then sealed; the hashes of the files stay right unless they are what changes."""
    head, text = data[:1] or b"\1", data[1:]
    choice = random.random()
    if choice < 0.15:
        return head + blind(text, max_bytes - 1)
    if choice < 0.3:
        return head + mutate_words(text, random, _WORDS, max_bytes - 1)
    try:
        value = mutate_value(json.loads(text), random, _KEYS)
        if isinstance(value, dict) and isinstance(value.get("files"), dict) and random.random() < 0.7:
            value["files"] = {**value["files"], **hashes()}
        changed = _text(value) if isinstance(value, dict) and choice < 0.95 else json.dumps(value).encode()
    except (ValueError, RecursionError):
        return head + blind(text, max_bytes - 1)
    return (head if choice < 0.97 else bytes([random.randrange(4)])) + changed[: max_bytes - 1]


def _text(value: dict[str, Any]) -> bytes:
    """Sealed, with the seal's place open; NaN and the like as they are."""
    value = {key: entry for key, entry in value.items() if key not in ("self_check", "sha256")}
    return json.dumps({**value, "self_check": SELF_CHECK, "sha256": "0" * 64}, indent=2).encode() + b"\n"


HARNESS = Harness("bundles: bundle.json, sealed and not", one_input, seeds, mutate, max_bytes=8192)
