"""TensorRT engines, built on the device that runs them: by TensorRT's Python API or by its program ``trtexec``.

Written against the documented interfaces of TensorRT 10 and 11. No machine with TensorRT was at hand, so no engine
was ever built with this package: tests cover arguments, versions, parsing and refusals, with stand-ins for both.

Precision follows the version. Below 10.12 a network is weakly typed: Q/DQ nodes decide where INT8 is used, the INT8
and FP16 flags allow those types, and layers outside Q/DQ may run in FP16. From 10.12 a network is built strongly typed:
types come from the graph alone, so that layers outside Q/DQ run in FP32. In 11 that is the only form. Precisions with
float16 are built from a float16 graph (:mod:`acula_edge.engines.tensorrt.half`), strongly typed in every version. The
front end is float32 throughout: its powers span more than float16 holds, and TF32 would round its transforms to ten
bits.

An engine is neither portable nor bit-reproducible; the JSON file beside it says where it belongs, and
:func:`check_engine` refuses it elsewhere. Inference without ONNX Runtime's overhead is ``trtexec --loadEngine`` or
:func:`open_engine`; from Python, ``OrtEngine(provider="TensorrtExecutionProvider")``.
"""

from __future__ import annotations

from acula_edge.engines.tensorrt.backends import choose_backend
from acula_edge.engines.tensorrt.build import build_engine
from acula_edge.engines.tensorrt.hardware import Gpu, find_gpu
from acula_edge.engines.tensorrt.policy import BackendName, BuildPolicy, Precision, Typing, typing_of
from acula_edge.engines.tensorrt.python_api import open_engine
from acula_edge.engines.tensorrt.records import check_engine, engine_name, list_engines
from acula_edge.engines.tensorrt.versions import Version, check_version, parse_version, version_text

__all__ = [
    "BackendName",
    "BuildPolicy",
    "Gpu",
    "Precision",
    "Typing",
    "Version",
    "build_engine",
    "check_engine",
    "check_version",
    "choose_backend",
    "engine_name",
    "find_gpu",
    "list_engines",
    "open_engine",
    "parse_version",
    "typing_of",
    "version_text",
]
