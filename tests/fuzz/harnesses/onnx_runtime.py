"""ONNX models on the device: what is looked at before ONNX Runtime, and what ONNX Runtime makes of it."""

from __future__ import annotations

from random import Random

import onnx

from acula_edge.engines.ort import OrtEngine
from tests.fuzz.harness import Harness, MutateBytes, refusing
from tests.fuzz.models import WORDS, models
from tests.fuzz.protobuf import mutate_message
from tests.fuzz.sandbox import Sandbox


def one_input(data: bytes, sandbox: Sandbox) -> None:
    """The file's bytes. It is loaded, not run: a model may compute as long as it likes."""
    sandbox.keep("weights.bin", bytes(48))
    path = sandbox.write("model.onnx", data)
    with refusing():
        engine = OrtEngine(path)
        assert engine.provider == "CPUExecutionProvider"
        # What was loaded is what was looked at: no weights elsewhere, no graphs within graphs, no functions.
        model = onnx.load_from_string(data)
        assert not model.functions and not model.training_info
        for node in model.graph.node:
            assert not any(item.HasField("g") or item.graphs for item in node.attribute)
        tensors = [*model.graph.initializer, *(i.t for n in model.graph.node for i in n.attribute if i.HasField("t"))]
        assert not any(tensor.data_location or tensor.external_data for tensor in tensors)


def seeds() -> list[bytes]:
    """Floats, integers, branches, shapes from data, unknown operators, weights in other files."""
    return models()


def mutate(data: bytes, random: Random, blind: MutateBytes, max_bytes: int) -> bytes:
    """Field by field."""
    if random.random() < 0.15:
        return blind(data, max_bytes)
    return mutate_message(data, random, blind, max_bytes, WORDS)


HARNESS = Harness("models: ONNX Runtime", one_input, seeds, mutate, max_bytes=4096, memory_mb=6144)
