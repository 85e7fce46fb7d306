"""What a fuzz harness is, and the property that every one of them tests."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from acula_edge.errors import AculaEdgeError
from acula_edge.plain_text import acting_character
from tests.fuzz import harnesses
from tests.fuzz.sandbox import Sandbox, watch

MAX_MESSAGE = 10_000
"""Longest error message, characters: what a file holds is quoted, not copied."""

HANG_S = 5
"""No input takes longer."""

MutateBytes = Callable[[bytes, int], bytes]
"""Bytes and the most that may come back -> other bytes: libFuzzer's own, or :func:`tests.fuzz.mutations.mutate`."""

REGRESSIONS = Path(__file__).parent / "regressions"


@dataclass(frozen=True)
class Harness:
    """One boundary at which files or bytes of strangers come in.

    Attributes:
        about: what is read.
        one_input: reads one input in a sandbox; everything but an AculaEdgeError comes out.
        seeds: valid inputs, made by code.
        mutate: input, randomness, blind mutation, most bytes -> another input, valid where the first check wants it.
        max_bytes: longest input.
        memory_mb: address space that reading may take beyond what the process has when it begins.
    """

    about: str
    one_input: Callable[[bytes, Sandbox], None]
    seeds: Callable[[], list[bytes]]
    mutate: Callable[[bytes, Random, MutateBytes, int], bytes]
    max_bytes: int = 4096
    memory_mb: int = 512


class Violation(AssertionError):
    """The code under test did something that no input may make it do."""


def names() -> list[str]:
    """Harnesses, by the name of their module."""
    return sorted(module.name for module in pkgutil.iter_modules(harnesses.__path__))


def load(name: str) -> Harness:
    """Import one, by its name or that of a module; only now are the modules that it tests imported."""
    harness = importlib.import_module(name if "." in name else f"tests.fuzz.harnesses.{name}").HARNESS
    assert isinstance(harness, Harness)
    harness.seeds()  # what is made once is made before anything is watched
    return harness


def regressions(name: str) -> list[Path]:
    """Inputs that once broke the property."""
    return sorted(path for path in (REGRESSIONS / name).glob("*") if path.is_file())


def try_input(harness: Harness, data: bytes, sandbox: Sandbox) -> None:
    """Read one input, and check all that must hold whatever it is.

    Raises:
        Violation: something was written or read elsewhere, run, or asked of the network.
        Exception: another error than an AculaEdgeError came out.
    """
    sandbox.clear()
    with watch(sandbox) as deeds:
        harness.one_input(data, sandbox)
    deeds += [f"wrote {path}" for path in sandbox.strays()]
    if deeds:
        raise Violation("; ".join(deeds))


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """Takes the one family of errors that may come out, if its message can be read and does nothing to a terminal."""
    try:
        yield
    except AculaEdgeError as error:
        message = str(error)
        if len(message) > MAX_MESSAGE:
            raise Violation(f"an error message of {len(message)} characters") from error
        if (character := acting_character(message.replace("\n", "").replace("\t", ""))) is not None:
            raise Violation(f"an error message with {character}") from error
