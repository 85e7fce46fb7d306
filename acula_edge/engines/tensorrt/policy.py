"""How an engine is built, and what each version of TensorRT makes of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from acula_edge.bounds import Bounded
from acula_edge.engines.tensorrt.versions import Version
from acula_edge.errors import InputError, did_you_mean

BackendName = Literal["auto", "python", "trtexec"]
Typing = Literal["weak", "strong", "always strong"]
Precision = Literal["int8", "int8-fp16", "fp16", "fp32"]
PRECISIONS: tuple[Precision, ...] = ("int8", "int8-fp16", "fp16", "fp32")
HALF_PRECISIONS: tuple[Precision, ...] = ("int8-fp16", "fp16")
"""Built from a graph that says float16 itself."""

STRONG_SINCE: Version = (10, 12, 0)
ALWAYS_STRONG_SINCE: Version = (11, 0, 0)

FRONTEND_PREFIX = "frontend/"


@dataclass(frozen=True)
class BuildPolicy(Bounded):
    """How an engine is built.

    Attributes:
        precision: ``int8`` from a Q/DQ graph as it is, ``int8-fp16`` with float16 instead of float32 around the
            integers, ``fp16`` from a float graph in float16, ``fp32`` from a float graph. Float16 graphs are made if
            need be; of all the front end is float32.
        fp16: of an ``int8`` engine: let layers outside Q/DQ run in FP16 where the network is weakly typed (below
            10.12) and the front end can be held in FP32 (Python API).
        workspace_mb: memory that tactics may use.
        optimization_level: 0 (quick build) to 5 (long search).
        timing_cache: file with measured tactics, read and extended, which makes the next build quick; by default one
            per GPU and version in the user's cache folder.
        profile: time the layers of the finished engine, where trtexec is at hand.
    """

    at_least: ClassVar[Mapping[str, float]] = {"workspace_mb": 1, "optimization_level": 0}
    below: ClassVar[Mapping[str, float]] = {"optimization_level": 6}

    precision: Precision = "int8"
    fp16: bool = True
    workspace_mb: int = 1024
    optimization_level: int = 3
    timing_cache: Path | None = None
    profile: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.precision not in PRECISIONS:
            raise InputError(
                "there is no such precision",
                given=self.precision,
                allowed=PRECISIONS,
                remedy=did_you_mean(self.precision, PRECISIONS),
            )

    def describe(self) -> dict[str, Any]:
        """As JSON, without this machine's paths."""
        return {**asdict(self), "timing_cache": self.timing_cache.name if self.timing_cache else None}


def typing_of(version: Version, precision: Precision = "int8") -> Typing:
    """How a network is typed. Float16 graphs say all their types themselves."""
    if version >= ALWAYS_STRONG_SINCE:
        return "always strong"
    return "strong" if version >= STRONG_SINCE or precision in HALF_PRECISIONS else "weak"
