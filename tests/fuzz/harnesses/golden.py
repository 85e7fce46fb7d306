"""The other files of a bundle: golden waveforms and prompts (npz), the signature; all with a seal that fits."""

from __future__ import annotations

import base64
import functools
import io
import json
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.bundle.folder import read_bundle
from acula_edge.bundle.layout import BUNDLE_FILE, PROMPTS_FILE, SELFTEST_FILE, SIGNATURE_FILE
from acula_edge.bundle.prompt_vectors import load_prompt_vectors
from acula_edge.bundle.selftest import SELFTEST_SCHEMA, read_selftest
from acula_edge.bundle.signature import ALGORITHM, SIGNATURE_SCHEMA, check_signature, fingerprint
from tests.fuzz.archives import mutate_npy, mutate_zip
from tests.fuzz.bundles import blank_seal, bundle_files, seal_text
from tests.fuzz.harness import Harness, MutateBytes, refusing
from tests.fuzz.mutations import mutate_value
from tests.fuzz.sandbox import Sandbox
from tests.tiny_bundle import DIM

FILES = (SELFTEST_FILE, PROMPTS_FILE, SIGNATURE_FILE)
_KEYS = [
    "schema", "names", "tolerances", "recordings", "float", "int8", "tasks", "labels", "prompts", "temperature",
    "samples", "starts", "first", "cosine_min", "score_max_abs", "id", "center", "weight", "public_key",
]  # fmt: skip


def one_input(data: bytes, sandbox: Sandbox) -> None:
    """The first byte chooses the file."""
    if not data:
        return
    name = FILES[data[0] % 3]
    sandbox.write(name, seal_text(data[1:]) if name == SIGNATURE_FILE else data[1:])
    folder = sandbox.inside
    if name == SIGNATURE_FILE:
        sandbox.write(BUNDLE_FILE, bundle_files()[BUNDLE_FILE])
        with refusing():
            check_signature(folder)
        with refusing():
            read_bundle(folder)
    elif name == PROMPTS_FILE:
        with refusing():
            prompts = load_prompt_vectors(folder, DIM)
            assert prompts is not None
            json.dumps(prompts.answer(_embedding()))
    else:
        with refusing():
            golden = read_selftest(folder)
            for precision in golden.tolerances:
                golden.compare(precision, golden.embeddings[precision], golden.scores[precision])


@functools.cache
def seeds() -> list[bytes]:
    """Those of the tiny bundle, and a signature of the right form."""
    public = bytes(range(32))
    signature = blank_seal(
        {
            "schema": SIGNATURE_SCHEMA,
            "algorithm": ALGORITHM,
            "signed": BUNDLE_FILE,
            "public_key": base64.b64encode(public).decode(),
            "fingerprint": fingerprint(public),
            "signature": base64.b64encode(bytes(64)).decode(),
        }
    )
    return [b"\0" + _golden(), b"\1" + bundle_files()[PROMPTS_FILE], b"\2" + signature]


def mutate(data: bytes, random: Random, blind: MutateBytes, max_bytes: int) -> bytes:
    """Members of archives with right checksums, their JSON headers value by value."""
    head, body = data[:1] or b"\0", data[1:]
    if FILES[head[0] % 3] == SIGNATURE_FILE:
        try:
            return head + blank_seal(mutate_value(json.loads(body), random, _KEYS))[: max_bytes - 1]
        except (ValueError, TypeError, AttributeError, RecursionError):
            return head + blind(body, max_bytes - 1)
    if random.random() < 0.15:
        return head + blind(body, max_bytes - 1)

    def member(name: str, content: bytes) -> bytes:
        if name != "header.npy" or random.random() < 0.3:
            return mutate_npy(content, random, blind)
        return _text_array(_change(_array_text(content), random, blind))

    return head + mutate_zip(body, random, blind, max_bytes - 1, member)


@functools.cache
def _golden() -> bytes:
    """A ``selftest.npz`` of three windows of forty samples, of which two are a recording."""
    draw = np.random.default_rng(2)
    header = {
        "schema": SELFTEST_SCHEMA,
        "names": ["a", "b", "c"],
        "recordings": {"long": {"samples": 60, "first": 1, "starts": [0, 20]}},
        "tolerances": {name: {"cosine_min": 0.99, "score_max_abs": 0.01} for name in ("float", "int8")},
    }
    arrays: dict[str, Any] = {
        "header": np.array(json.dumps(header)),
        "pcm": np.arange(120, dtype=np.int16).reshape(3, 40),
    }
    for precision in header["tolerances"]:
        arrays[f"{precision}_embedding"] = draw.normal(size=(3, DIM)).astype(np.float32)
        arrays[f"{precision}_scores"] = draw.random(size=(3, 5)).astype(np.float32)
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _embedding() -> NDArray[np.float32]:
    return np.linspace(-1, 1, DIM, dtype=np.float32)


def _array_text(content: bytes) -> str:
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
        # Only what is UTF-32 makes a text that can be used.
        return str(array) if array.astype("<U").tobytes().decode("utf-32-le") else "{}"
    except Exception:  # what an earlier mutation left
        return "{}"


def _text_array(text: str) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(text))
    return file.getvalue()


def _change(text: str, random: Random, blind: MutateBytes) -> str:
    try:
        return json.dumps(mutate_value(json.loads(text), random, _KEYS))
    except (ValueError, RecursionError):
        return blind(text.encode("utf-8", "replace"), 4096).decode("utf-8", "replace")


HARNESS = Harness("bundles: selftest.npz, zero_shot.npz, bundle.sig", one_input, seeds, mutate, max_bytes=8192)
