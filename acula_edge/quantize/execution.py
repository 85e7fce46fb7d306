"""What ONNX Runtime makes of a QDQ graph on this machine: which layers run on integers, and what surrounds them.

A graph only asks for integers. Whether a layer gets them shows in the graph that a session has optimized: a QLinearConv
in place of Conv and its Q/DQ pairs, or the Conv still there behind a DequantizeLinear.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from acula_edge.engines.ort import session_options
from acula_edge.engines.ort_memory import USE_SHARED_ARENA, limit_memory
from acula_edge.quantize.graph import load_graph, shapes
from acula_edge.quantize.workload import Work, measure_work
from acula_edge.untrusted.onnx_file import inspect_onnx
from acula_edge.untrusted.own_files import is_own

INTEGER_OPERATORS = (
    "ConvInteger", "DynamicQuantizeMatMul", "MatMulInteger", "MatMulIntegerToFloat", "QAttention", "QGemm",
    "QLinearConv", "QLinearMatMul",
)  # fmt: skip
_MOVERS = ("Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze")

# Multiply-accumulates per number that is taken to integers or back, below which the way there costs more than integers
# save. One core saves about 0.01 ns per multiply-accumulate; a Q or DQ costs about 0.5 ns per number.
LEAST_MACS_PER_CONVERSION = 50


@dataclass(frozen=True)
class Execution:
    """What runs on integers.

    Attributes:
        integer: names of layers that do.
        fell_back: names of layers that were meant to and run in float all the same.
        islands: names of layers that do, but whose way to integers and back costs more than integers save, see
            :data:`LEAST_MACS_PER_CONVERSION`.
        conversions: QuantizeLinear and DequantizeLinear nodes that really run.
    """

    integer: tuple[str, ...]
    fell_back: tuple[str, ...]
    islands: tuple[str, ...]
    conversions: int

    def describe(self) -> dict[str, int | list[str]]:
        """For ``quantize.json``."""
        return {
            "integer_layers": len(self.integer),
            "fell_back": list(self.fell_back),
            "islands": list(self.islands),
            "conversions": self.conversions,
        }


def inspect_execution(path: str | Path) -> Execution:
    """Look at the graph that a session makes of an INT8 file, on this machine, with the settings of every session."""
    model = load_graph(path)
    meant = {item.node: item for item in measure_work(model) if item.int8}
    optimized = _optimize(Path(path))
    nodes = list(optimized.graph.node)
    running = {_original(node.name): node for node in nodes if node.op_type in INTEGER_OPERATORS}
    layers = {running[name].name: _Layer.of(meant[name], model) for name in meant if name in running}
    islands = [name for stretch in _stretches(nodes, layers) if stretch.is_wasteful for name in stretch.layers]
    return Execution(
        integer=tuple(name for name in meant if name in running),
        fell_back=tuple(name for name in meant if name not in running),
        islands=tuple(name for name in meant if name in islands),
        conversions=sum(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in nodes),
    )


@dataclass(frozen=True)
class _Layer:
    """A weighted layer: its name in our graph, its work, and how many numbers it reads and makes."""

    name: str
    macs: int
    reads: int
    makes: int

    @staticmethod
    def of(work: Work, model: onnx.ModelProto) -> _Layer:
        known = shapes(model)
        node = next(node for node in model.graph.node if node.name == work.node)
        reads, makes = (math.prod(size or 1 for size in known[name]) for name in (node.input[0], node.output[0]))
        return _Layer(work.node, work.macs, reads, makes)


@dataclass
class _Stretch:
    """Layers that hand integers to each other, and the numbers converted at its ends."""

    layers: list[str]
    macs: int = 0
    converted: int = 0

    @property
    def is_wasteful(self) -> bool:
        return self.macs < LEAST_MACS_PER_CONVERSION * self.converted


def _stretches(nodes: Sequence[onnx.NodeProto], layers: Mapping[str, _Layer]) -> list[_Stretch]:
    """Connected parts of an optimized graph that compute on integers."""
    made_by = {name: node for node in nodes for name in node.output if name}
    read_by: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in nodes:
        for name in dict.fromkeys(node.input):
            read_by[name].append(node)
    part: dict[str, str] = {}  # of every integer value: a value that stands for all connected with it

    def root(name: str) -> str:
        while part[name] != name:
            name = part[name]
        return name

    for node in nodes:
        if node.op_type == "QuantizeLinear":
            part[node.output[0]] = node.output[0]
            continue
        sources = [name for name in node.input if name in part]
        if not sources or node.op_type == "DequantizeLinear":
            continue
        for name in [*sources, *(node.output if _makes_integers(node) else ())]:
            part[root(part.setdefault(name, name))] = root(sources[0])
    stretches: dict[str, _Stretch] = {}
    for node in nodes:
        if node.name in layers:
            layer = layers[node.name]
            stretch = stretches.setdefault(root(_first_integer(node, part)), _Stretch([]))
            stretch.layers.append(layer.name)
            stretch.macs += layer.macs
            if any(source is not None and source.op_type == "QuantizeLinear" for source in _behind(node, made_by)):
                stretch.converted += layer.reads
            if any(reader.op_type == "DequantizeLinear" for reader in _ahead(node, read_by)):
                stretch.converted += layer.makes
    return list(stretches.values())


def _first_integer(node: onnx.NodeProto, part: Mapping[str, str]) -> str:
    found: str = next(name for name in node.input if name in part)
    return found


def _makes_integers(node: onnx.NodeProto) -> bool:
    """Whether a node that reads integers hands on integers; QGemm does if it is given a scale for its output."""
    if node.op_type == "QGemm":
        return len(node.input) > 7 and bool(node.input[7])
    return node.op_type not in ("ConvInteger", "MatMulInteger", "MatMulIntegerToFloat")


def _behind(node: onnx.NodeProto, made_by: Mapping[str, onnx.NodeProto]) -> list[onnx.NodeProto | None]:
    """What makes a layer's first input, movers of numbers aside."""
    source = made_by.get(node.input[0])
    while source is not None and source.op_type in _MOVERS:
        source = made_by.get(source.input[0])
    return [source]


def _ahead(node: onnx.NodeProto, read_by: Mapping[str, list[onnx.NodeProto]]) -> list[onnx.NodeProto]:
    """What reads a layer's output, movers of numbers aside."""
    readers, found = list(read_by[node.output[0]]), []
    while readers:
        reader = readers.pop()
        if reader.op_type in _MOVERS:
            readers.extend(read_by[reader.output[0]])
        else:
            found.append(reader)
    return found


def _optimize(path: Path) -> onnx.ModelProto:
    import onnxruntime

    constants_small = is_own(path) or inspect_onnx(path).constants_small
    limit_memory()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "optimized.onnx"
        options = session_options(path, threads=1)
        options.optimized_model_filepath = str(file)
        options.add_session_config_entry(*USE_SHARED_ARENA)
        left_out = [] if constants_small else ["ConstantFolding"]
        onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"], disabled_optimizers=left_out
        )
        return onnx.load(str(file))


def _original(name: str) -> str:
    """ONNX Runtime names what it fuses after the node in the middle: ``NAME_token_7``."""
    return re.sub(r"(_token_\d+|_nchwc|_quant|_nhwc)+$", "", name)
