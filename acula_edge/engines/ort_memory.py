"""How much memory ONNX Runtime may take on the CPU: one arena for all sessions of a process, with an end.

A graph from outside can make billions of elements of a few bytes, and nothing in its file tells without working out
every shape. So the allocator has a limit, and what exceeds it fails in the node that asked for more. The arena is the
only place for values, weights and scratch space of the CPU provider; outside it lie the file itself while it is read
and what the optimizer computes from constants before 1.24 (:mod:`acula_edge.untrusted.onnx_constants`).
"""

from __future__ import annotations

import threading

from acula_edge.limits import MAX_MODEL_MEMORY_BYTES

USE_SHARED_ARENA = ("session.use_env_allocators", "1")
"""Entry of a session's configuration that makes it allocate in the shared arena."""

_lock = threading.Lock()
_limited = False


def limit_memory() -> None:
    """Register the arena, once per process. A program that registered its own beforehand keeps that one."""
    global _limited
    import onnxruntime

    with _lock:
        if _limited:
            return
        _limited = True
        kind = onnxruntime.OrtMemoryInfo("Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0,
                                         onnxruntime.OrtMemType.DEFAULT)  # fmt: skip
        arena = onnxruntime.OrtArenaCfg({"max_mem": MAX_MODEL_MEMORY_BYTES})
        try:
            onnxruntime.create_and_register_allocator(kind, arena)
        except Exception as error:  # ONNX Runtime's exceptions have no base class
            if "already" not in str(error):
                raise
