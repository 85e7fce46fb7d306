"""The self-test of every execution provider that this machine's ONNX Runtime was built with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from acula_edge.bundle.layout import MODEL_FILES
from acula_edge.bundle.selftest import SelfTest
from acula_edge.engines.ort import CPU, OrtEngine, available_providers
from acula_edge.errors import AculaEdgeError

LOOKED_FOR = (
    "TensorrtExecutionProvider", "CUDAExecutionProvider", "OpenVINOExecutionProvider", "QNNExecutionProvider",
    "NnapiExecutionProvider", "CoreMLExecutionProvider", "XnnpackExecutionProvider", "ACLExecutionProvider",
)  # fmt: skip
"""What devices of this kind may have beside the CPU; named as absent where this ONNX Runtime has them not."""

_REMOTE = ("AzureExecutionProvider",)


def check_providers(path: Path, precision: str, golden: SelfTest, threads: int) -> Iterator[dict[str, Any]]:
    """Run the model with every provider that is here; one entry each: ``provider, state, passed, detail``.

    ``state`` is ``absent`` (not in this build of ONNX Runtime), ``not tried`` (it computes on another machine),
    ``unusable`` (in the build, but this machine cannot run it, or it cannot run the model) or ``present``. ``passed``
    is None unless it is ``present``: only a provider that computes something else fails.
    """
    here = available_providers()
    for provider in [CPU, *(name for name in here if name != CPU), *(name for name in LOOKED_FOR if name not in here)]:
        entry: dict[str, Any] = {"provider": provider, "state": "absent", "passed": None, "detail": None}
        if provider in _REMOTE:
            entry |= {"state": "not tried", "detail": "it computes on another machine"}
        elif provider in here:
            entry |= _try(path / MODEL_FILES[precision], provider, precision, golden, threads)
        yield entry


def _try(model: Path, provider: str, precision: str, golden: SelfTest, threads: int) -> dict[str, Any]:
    try:
        engine = OrtEngine(model, threads=threads, provider=provider)
        outputs = [engine.run({"waveform": wave[None]}) for wave in golden.waves]
    except AculaEdgeError as error:
        return {"state": "unusable", "detail": error.problem}
    embeddings, scores = (np.concatenate([output[kind] for output in outputs]) for kind in ("embedding", "scores"))
    judged = golden.compare(precision, embeddings, scores)
    failed = [entry["name"] for entry in judged if not entry["passed"]]
    return {
        "state": "present",
        "passed": not failed,
        "detail": f"differs on {', '.join(failed)}" if failed else f"{len(judged)} waveforms",
    }
