"""A harness that breaks in every way that the driver must see; no boundary of ours."""

from __future__ import annotations

import os
import signal
from random import Random

from tests.fuzz.harness import Harness, MutateBytes
from tests.fuzz.sandbox import Sandbox

HANGS = "ACULA_EDGE_FUZZ_HANGS"
_DEEDS = (b"raise", b"memory", b"kill", b"write")


def one_input(data: bytes, sandbox: Sandbox) -> None:
    """Does what the input says."""
    if data == b"raise":
        raise KeyError("raised")
    if data == b"memory":
        bytearray(1 << 30)
    if data == b"kill":
        os.kill(os.getpid(), signal.SIGSEGV)
    if data == b"write":
        (sandbox.root / "elsewhere").write_bytes(data)
    while data == b"hang":
        pass


def seeds() -> list[bytes]:
    """One that does nothing."""
    return [b"nothing"]


def mutate(data: bytes, random: Random, blind: MutateBytes, max_bytes: int) -> bytes:
    """Any of the deeds; hanging takes its time, so only where it is asked for."""
    return random.choice((*_DEEDS, *[b"hang"] * (HANGS in os.environ)))


HARNESS = Harness("what breaks", one_input, seeds, mutate)
