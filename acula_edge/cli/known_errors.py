"""Which errors a user can mend, whoever raised them."""

from __future__ import annotations

import errno
import re

from acula_edge.errors import AculaEdgeError, GroupError, OutOfMemory, StorageError
from acula_edge.extras import missing_package
from acula_edge.files import SYSTEM_ERRORS, system_error
from acula_edge.processes import world_size

# What allocators say where they raise something more general: torch on the CPU, ONNX Runtime, C++ at large.
_OUT_OF_MEMORY = re.compile(
    r"alloc_cpu\.cpp|not enough memory: you tried to allocate|can't allocate memory|Failed to allocate memory"
    r"|failed to map segment"
    r"|std::bad_alloc|bad allocation|Cannot allocate memory|can't start new thread|Resource temporarily unavailable",
    re.IGNORECASE,
)
_PEER_GONE = re.compile(r"DistBackendError|DistNetworkError|gloo|NCCL|Connection (closed|reset) by peer", re.IGNORECASE)
_SMALLER = (
    "end other programs, or begin anew with less at a time: --set align.batch_size=16 --set distill.batch_size=16, "
    "a smaller encoder or student, fewer OMP_NUM_THREADS"
)


def as_user_error(error: BaseException) -> AculaEdgeError | None:
    """The error that a user can mend behind `error`; None when it is a bug."""
    if isinstance(error, AculaEdgeError):
        return _of_the_machine(error) or error
    if isinstance(error, ModuleNotFoundError):
        return missing_package(error)
    if is_out_of_memory(error):
        whose = "this machine's GPU" if type(error).__name__ == "OutOfMemoryError" else "this machine"
        lines = str(error).strip().splitlines()
        return OutOfMemory(
            f"{whose} has too little memory for this",
            given=lines[0][:300] if lines else None,
            remedy=_SMALLER,
        )
    if world_size() > 1 and isinstance(error, RuntimeError) and _PEER_GONE.search(f"{type(error).__name__} {error}"):
        return GroupError(
            "another process of this group has ended",
            given=str(error).splitlines()[0][:300],
            remedy="see what it said last; one that was killed, as for want of memory, says nothing",
        )
    if isinstance(error, OSError) and error.errno in SYSTEM_ERRORS:
        where = error.filename if isinstance(error.filename, str) else None
        return system_error(f"cannot read or write {where}" if where else _what(error), error)
    return None


def _of_the_machine(error: AculaEdgeError) -> AculaEdgeError | None:
    """The same problem where not what was given is to blame, but too little memory or what the system says."""
    cause = error.__cause__
    if cause is None or isinstance(error, (StorageError, OutOfMemory)):
        return None
    if is_out_of_memory(cause):
        return OutOfMemory(f"too little memory: {error.problem}", given=error.given, remedy=_SMALLER)
    if isinstance(cause, OSError) and cause.errno in SYSTEM_ERRORS:
        return system_error(error.problem, cause)
    return None


def is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM and error.filename is None
    return isinstance(error, Exception) and bool(_OUT_OF_MEMORY.search(str(error)))


def _what(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the disk is full"
    return "the system refused to read or write"
