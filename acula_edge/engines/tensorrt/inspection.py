"""What an engine consists of: the engine inspector's JSON and trtexec's profile, and the precisions in them.

TensorRT 10 writes one field ``Format/Datatype`` per tensor ("Thirty-two wide channel vectorized row major Int8
format", or just "Half"); TensorRT 11 splits it in two, and lists inputs and outputs of the network under
``I/O Tensors`` instead of ``Bindings``.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from acula_edge.engines.tensorrt.policy import FRONTEND_PREFIX
from acula_edge.errors import ArtifactError

LAYERS_SCHEMA = "acula-edge/engine-layers/1"

_TYPE_FIELDS = ("Format/Datatype", "Format/DataType", "DataType", "Datatype", "Format")
# In this order: "BFloat16" holds "float16", and "float16" holds "float".
_PRECISIONS = (
    ("int8", r"int8"),
    ("int4", r"int4"),
    ("fp8", r"fp8"),
    ("fp4", r"fp4"),
    ("bf16", r"bf16|bfloat16"),
    ("fp16", r"half|fp16|float16"),
    ("fp32", r"float|fp32"),
    ("integer", r"int32|int64|uint8|bool"),
)


@dataclass(frozen=True)
class Layer:
    """One layer of an engine.

    Attributes:
        name: as TensorRT gives it; fused layers join the names of their parts.
        kind: TensorRT's ``LayerType``; "" where the engine was built with names only.
        precision: what it computes in (``int8``, ``fp16``, ``fp32``...), ``reformat`` for a change of layout or type,
            None where unknown.
        tensors: precisions of all that it reads and writes.
        onnx: names of ONNX nodes that went into it, where they are told.
    """

    name: str
    kind: str
    precision: str | None
    tensors: tuple[str, ...]
    onnx: tuple[str, ...]


def parse_layers(text: str) -> list[Layer]:
    """Layers from the inspector's JSON of a whole engine.

    Raises:
        ArtifactError: it is not that JSON.
    """
    try:
        entries = json.loads(text)["Layers"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ArtifactError("the engine inspector's output cannot be read", given=text[:80]) from error
    return [_layer(entry) for entry in entries]


def parse_profile(text: str) -> dict[str, float]:
    """Mean time of each layer in milliseconds, from ``trtexec --exportProfile``.

    Raises:
        ArtifactError: it is not that JSON.
    """
    try:
        return {entry["name"]: float(entry["averageMs"]) for entry in json.loads(text) if "name" in entry}
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError("trtexec's profile cannot be read", given=text[:80]) from error


def share_by_layer(layers: Sequence[Layer]) -> dict[str, float]:
    """Share of layers by precision; reformats and layers of unknown precision count as such."""
    counts = Counter(layer.precision or "unknown" for layer in layers)
    return {name: counts[name] / len(layers) for name in sorted(counts)}


def share_by_time(layers: Sequence[Layer], times_ms: Mapping[str, float]) -> dict[str, float] | None:
    """Share of time by precision; None without any."""
    known = {layer.name: layer.precision or "unknown" for layer in layers}
    spent: dict[str, float] = defaultdict(float)
    for name, time_ms in times_ms.items():
        spent[known.get(name, "unknown")] += time_ms
    total = sum(spent.values())
    return {name: spent[name] / total for name in sorted(spent)} if total > 0 else None


def frontend_in_float32(layers: Sequence[Layer]) -> bool | None:
    """Whether no layer made of front-end nodes alone reads or writes less than FP32; None where names do not tell."""
    inside = [layer for layer in layers if layer.onnx and all(name.startswith(FRONTEND_PREFIX) for name in layer.onnx)]
    if not inside:
        return None
    return not any({"fp16", "bf16", "fp8", "int8"} & set(layer.tensors) for layer in inside)


def describe_layers(layers: Sequence[Layer], times_ms: Mapping[str, float] | None, raw: str) -> dict[str, Any]:
    """The file beside an engine: shares, one short entry per layer, and the inspector's own words."""
    return {
        "schema": LAYERS_SCHEMA,
        "count": len(layers),
        "share_by_layer": share_by_layer(layers),
        "share_by_time": share_by_time(layers, times_ms) if times_ms else None,
        "layers": [
            {
                "name": layer.name,
                "kind": layer.kind,
                "precision": layer.precision,
                "time_ms": times_ms.get(layer.name) if times_ms else None,
            }
            for layer in layers
        ],
        "inspector": json.loads(raw),
    }


def _layer(entry: Any) -> Layer:
    if isinstance(entry, str):
        return Layer(entry, "", None, (), _parts(entry))
    name, kind = str(entry.get("Name", "")), str(entry.get("LayerType", ""))
    inputs, outputs = _types(entry.get("Inputs")), _types(entry.get("Outputs"))
    named = re.findall(r"\[ONNX Layer: ([^\]\x1e\x1f]+)\]", str(entry.get("Metadata", "")))
    return Layer(
        name, kind, _computed_in(entry, kind, inputs, outputs), (*inputs, *outputs), tuple(named) or _parts(name)
    )


def _computed_in(entry: Mapping[str, Any], kind: str, inputs: Sequence[str], outputs: Sequence[str]) -> str | None:
    if kind == "Reformat":
        return "reformat"
    weights = entry.get("Weights")
    if isinstance(weights, Mapping) and (precision := _precision(str(weights.get("Type", "")))):
        return precision
    # A quantizing layer reads float and writes INT8, a layer before a DQ the other way round: it computes on its input.
    return next(iter([*inputs, *outputs]), None)


def _types(tensors: Any) -> tuple[str, ...]:
    found = []
    for tensor in tensors or []:
        texts = [str(tensor[field]) for field in _TYPE_FIELDS if isinstance(tensor, Mapping) and field in tensor]
        precision = next((known for text in texts if (known := _precision(text))), None)
        if precision is not None:
            found.append(precision)
    return tuple(found)


def _precision(text: str) -> str | None:
    return next((name for name, pattern in _PRECISIONS if re.search(pattern, text, re.IGNORECASE)), None)


def _parts(name: str) -> tuple[str, ...]:
    """ONNX nodes in a layer's name: ``a + b``, for pointwise ones ``PWN(PWN(a), b)``."""
    if "/" not in name:
        return ()
    plain = re.sub(r"\bPWN\(|\)", "", name)
    return tuple(part.strip() for part in re.split(r" \+ |, ", plain) if part.strip())
