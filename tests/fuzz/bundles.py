"""A bundle of a few kilobytes in memory, and its seal made anew after every change."""

from __future__ import annotations

import functools
import hashlib
import re
import tempfile
from pathlib import Path

import numpy as np

from acula_edge.bundle.layout import BUNDLE_FILE
from acula_edge.bundle.prompt_vectors import PromptTask, PromptVectors, save_prompt_vectors
from acula_edge.bundle.sealed import render_sealed_json
from tests.tiny_bundle import DIM, seal_tiny_bundle, write_tiny_bundle

_BLANK = "0" * 64


@functools.cache
def bundle_files() -> dict[str, bytes]:
    """Every file of a whole bundle: two models and their halves, golden waveforms, prompts."""
    with tempfile.TemporaryDirectory() as name:
        folder = write_tiny_bundle(Path(name))
        draw = np.random.default_rng(1)
        vectors = draw.normal(size=(2, 4)).astype(np.float32)
        task = PromptTask("M", "Murmur", "d", ["absent", "present"], np.zeros(4, np.float32), vectors)
        weight = draw.normal(size=(DIM, 4)).astype(np.float32)
        save_prompt_vectors(folder, PromptVectors("heart", "0" * 64, 0.1, weight, [task]))
        seal_tiny_bundle(folder)
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def hashes() -> dict[str, str]:
    """SHA-256 of every file but ``bundle.json``."""
    return {
        name: hashlib.sha256(content).hexdigest() for name, content in bundle_files().items() if name != BUNDLE_FILE
    }


def seal_text(text: bytes) -> bytes:
    """Put the hash of a text in place of its last 64 zeros, as a sealed file wants it."""
    head, blank, tail = text.rpartition(_BLANK.encode())
    return head + hashlib.sha256(text).hexdigest().encode() + tail if blank else text


def unseal_text(text: bytes) -> bytes:
    """The other way round."""
    return re.sub(rb'("sha256": ")[0-9a-f]{64}("\s*}\s*)\Z', rb"\g<1>" + _BLANK.encode() + rb"\g<2>", text)


def blank_seal(value: dict[str, object]) -> bytes:
    """The text of a sealed file before its hash is put in."""
    return unseal_text(render_sealed_json(value).encode())
