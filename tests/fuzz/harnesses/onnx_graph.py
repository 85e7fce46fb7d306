"""ONNX models at the desk: read as a graph, shapes inferred, audited for both kinds of target."""

from __future__ import annotations

import json
from random import Random

from acula_edge.quantize.audit import audit_model
from acula_edge.quantize.graph import constant, load_graph
from tests.fuzz.harness import Harness, MutateBytes, refusing
from tests.fuzz.models import WORDS, models
from tests.fuzz.protobuf import mutate_message
from tests.fuzz.sandbox import Sandbox


def one_input(data: bytes, sandbox: Sandbox) -> None:
    """The first byte chooses the profile."""
    if not data:
        return
    sandbox.keep("weights.bin", bytes(48))
    path = sandbox.write("model.onnx", data[1:])
    with refusing():
        model = load_graph(path)
        for tensor in model.graph.initializer[:4]:
            constant(model, tensor.name)
    with refusing():
        json.dumps(audit_model(path, ("cpu_x86", "tensorrt")[data[0] % 2]), allow_nan=False)


def seeds() -> list[bytes]:
    """As for ONNX Runtime."""
    return [bytes([number % 2]) + model for number, model in enumerate(models())]


def mutate(data: bytes, random: Random, blind: MutateBytes, max_bytes: int) -> bytes:
    """Field by field."""
    head, body = data[:1] or b"\0", data[1:]
    if random.random() < 0.15:
        return head + blind(body, max_bytes - 1)
    return head + mutate_message(body, random, blind, max_bytes - 1, WORDS)


HARNESS = Harness("models: graph and audit", one_input, seeds, mutate, max_bytes=4096, memory_mb=1024)
