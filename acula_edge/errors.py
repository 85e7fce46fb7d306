"""One family of errors: what went wrong, what was given, what is allowed, what to do.

The command line prints them without a traceback and leaves with :attr:`AculaEdgeError.exit_code`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from acula_edge.plain_text import make_plain

_LONGEST = 2000


class AculaEdgeError(Exception):
    """Base of every error that a user can mend.

    What it prints may quote a file from outside: characters that would act on a terminal are escaped, long texts cut.

    Args:
        problem: one sentence that names what went wrong and where.
        given: what was found, if that helps.
        allowed: what would have been accepted; an iterable is joined by commas.
        remedy: what to do next, ideally a command.
    """

    exit_code = 2

    def __init__(
        self,
        problem: str,
        *,
        given: object = None,
        allowed: str | Iterable[object] | None = None,
        remedy: str | None = None,
    ) -> None:
        self.problem = problem
        self.given = given
        if allowed is None or isinstance(allowed, str):
            self.allowed = allowed
        else:
            self.allowed = ", ".join(str(item) for item in allowed)
        self.remedy = remedy
        super().__init__(str(self))

    def __reduce__(self) -> tuple[Any, ...]:
        # What was given may be anything, and then it is not what crosses to another process.
        return type(self), (self.problem,), {**vars(self), "given": None if self.given is None else str(self.given)}

    def __str__(self) -> str:
        lines = [make_plain(self.problem, _LONGEST)]
        if self.given is not None:
            lines.append(f"  given:   {make_plain(str(self.given), _LONGEST)}")
        if self.allowed is not None:
            lines.append(f"  allowed: {make_plain(self.allowed, _LONGEST)}")
        if self.remedy is not None:
            lines.append(f"  to do:   {make_plain(self.remedy, _LONGEST)}")
        return "\n".join(lines)


class InputError(AculaEdgeError):
    """A file, an option or a value that cannot be used (exit code 2)."""


class RecipeError(InputError):
    """A recipe with an unknown key, a wrong type or a value out of range (exit code 2)."""


class AudioError(InputError):
    """A recording that cannot be decoded or holds no usable sound (exit code 2)."""


class ManifestError(InputError):
    """A list of recordings that contradicts itself or the disk (exit code 2)."""


class ArtifactError(InputError):
    """A model, bundle or run folder that is damaged, incomplete or of another version (exit code 2)."""


class StorageError(InputError):
    """The system refused to read or write a file: full, read-only, not permitted, failing (exit code 2)."""


class GateRefused(AculaEdgeError):
    """The quality gate refused the artifact (exit code 3)."""

    exit_code = 3


class MissingCapability(AculaEdgeError):
    """Something this machine lacks; the remedy names the command that installs it (exit code 4)."""

    exit_code = 4


class GroupError(AculaEdgeError):
    """Another process of this one's group is gone (exit code 2)."""


class OutOfMemory(MissingCapability):
    """This machine, or its GPU, has too little memory for what was asked (exit code 4)."""


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` most likely misspells, or None."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def did_you_mean(word: str, known: Iterable[str], otherwise: str | None = None) -> str | None:
    """A remedy sentence for a misspelt name."""
    match = closest(word, known)
    return f"did you mean {match!r}?" if match else otherwise
