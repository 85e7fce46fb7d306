"""Weights in safetensors: the header's length, JSON and offsets, and whether the tensors are an encoder's."""

from __future__ import annotations

import functools
import json
from random import Random
from typing import Any

import numpy as np
from safetensors.numpy import save

from acula_edge.encoders.checkpoints import read_tensors
from tests.fuzz.harness import Harness, MutateBytes, refusing
from tests.fuzz.mutations import mutate_value
from tests.fuzz.sandbox import Sandbox
from tests.fuzz.tiny_encoder import load_into

_WORDS = ["dtype", "shape", "data_offsets", "F32", "F64", "I64", "BF16", "F16", "U8", "BOOL", "F8_E4M3", "F4", "C64",
          "__metadata__", "net.weight", "net.bias", "../x", "format", "pt"]  # fmt: skip


def one_input(data: bytes, sandbox: Sandbox) -> None:
    """The file's bytes."""
    path = sandbox.write("model.safetensors", data)
    with refusing():
        tensors = read_tensors(path)
        assert tensors and all(tensor.numel() * tensor.element_size() <= len(data) for tensor in tensors.values())
    with refusing():
        load_into(path)


@functools.cache
def seeds() -> list[bytes]:
    """An encoder's tensors, the same in other types, and a single one."""
    weights = {"net.weight": np.arange(12, dtype=np.float32).reshape(4, 3), "net.bias": np.ones(4, np.float32)}
    others = {f"t{number}": np.ones((2, 2), kind) for number, kind in enumerate(("<f2", "<f8", "<i8", "u1", "?"))}
    return [save(weights, {"format": "pt"}), save({**weights, **others}), save({"x": np.zeros((0, 3), np.float32)})]


def mutate(data: bytes, random: Random, blind: MutateBytes, max_bytes: int) -> bytes:
    """The header value by value, with the length that fits it."""
    length = int.from_bytes(data[:8], "little")
    if random.random() < 0.3 or not 2 <= length <= len(data) - 8:
        return blind(data, max_bytes)
    text, body = data[8 : 8 + length], data[8 + length :]
    choice = random.random()
    try:
        if choice < 0.75:
            text = json.dumps(mutate_value(json.loads(text), random, _WORDS)).encode()
        elif choice < 0.85:
            header: dict[str, Any] = json.loads(text)
            text = json.dumps(_overlap(header, random)).encode()
        else:
            body = blind(body or b"\0", len(body) + 16)
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError):
        text = blind(text, max_bytes // 2)
    length = len(text) if random.random() < 0.9 else random.choice((0, 1, len(text) + 1, 100_000_001, 2**63, 2**64 - 1))
    return (length.to_bytes(8, "little") + text + body)[:max_bytes]


def _overlap(header: dict[str, Any], random: Random) -> dict[str, Any]:
    """Two tensors over the same bytes, or a hole between two."""
    names = [name for name in header if name != "__metadata__"]
    first, second = random.choice(names), random.choice(names)
    begin, end = header[first]["data_offsets"]
    shift = random.choice((0, 0, 1, 4, -4))
    header[second] = {**header[first], "data_offsets": [begin + shift, end + shift]}
    return header


HARNESS = Harness("weights: safetensors", one_input, seeds, mutate, max_bytes=4096)
