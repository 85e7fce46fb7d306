"""What each size of student promises its device: parameters, file size, memory, operators that every runtime has."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from acula_edge.bundle.layout import ENCODER_FILE, ENCODER_INT8_FILE, FRONTEND_FILE
from acula_edge.encoders import make_student, students
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.quantize.calibration import make_mels
from acula_edge.quantize.export import export_float
from acula_edge.quantize.footprint import estimate_footprint
from acula_edge.quantize.graph import load_graph, shapes
from acula_edge.quantize.heads import TaskHead
from acula_edge.quantize.qdq import quantize_encoder

SPEC = FrontendSpec(sample_rate_hz=4000, n_fft=256, hop_length=128, n_mels=64, fmin_hz=25, fmax_hz=2000)
SAMPLES = SPEC.samples(8.16)
EMBEDDING_DIM = 256  # the default of recipes

HEAD = TaskHead("R1", "rate", "regression", [], "1/min", np.zeros((EMBEDDING_DIM, 1)), np.zeros(1))

PLAIN = {
    "AveragePool", "BatchNormalization", "Clip", "Conv", "Flatten", "Gemm", "Pad", "Relu", "Reshape", "Transpose",
    "Unsqueeze",
}  # fmt: skip
"""Operators of the earliest INT8 runtimes. BatchNormalization is the input's, of one channel."""


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory):
    """Export a student once, at random initialization; returns the folder with its files."""
    made = {}

    def export(name):
        if name not in made:
            torch.manual_seed(0)
            made[name] = tmp_path_factory.mktemp(name)
            student = make_student(name, frontend=SPEC, embedding_dim=EMBEDDING_DIM)
            export_float(student, [HEAD], SAMPLES, made[name])
        return made[name]

    return export


def quantized(folder):
    if not (folder / ENCODER_INT8_FILE).is_file():
        windows = np.random.default_rng(0).standard_normal((2, SAMPLES)).astype(np.float32)
        quantize_encoder(folder, "cpu_x86", make_mels(folder / FRONTEND_FILE, windows))
    return folder / ENCODER_INT8_FILE


@pytest.mark.parametrize("name", students.names())
def test_the_graph_has_plain_operators_and_fixed_shapes_only(folder_of, name):
    model = load_graph(folder_of(name) / ENCODER_FILE)
    assert {node.op_type for node in model.graph.node} <= PLAIN
    known = shapes(model)
    assert all(known[output] and None not in known[output] for node in model.graph.node for output in node.output)


@pytest.mark.parametrize(("name", "parameters", "file_bytes"), [("tiny", 450_000, 500_000), ("base", None, 2_000_000)])
def test_sizes_keep_to_their_class(folder_of, name, parameters, file_bytes):
    student = make_student(name, frontend=SPEC, embedding_dim=EMBEDDING_DIM).deployable()
    if parameters is not None:
        assert sum(parameter.numel() for parameter in student.parameters()) <= parameters
    file = quantized(folder_of(name))
    assert file.stat().st_size <= file_bytes


def test_tiny_needs_little_memory_beside_its_flash(folder_of):
    """Half of the 128 KiB of SRAM that Cortex-M4 parts commonly have."""
    found = estimate_footprint(load_graph(quantized(folder_of("tiny"))))
    assert found.ram_int8_bytes is not None and found.ram_int8_bytes <= 64 * 1024
    assert found.flash_bytes <= 500_000


def test_channels_of_large_come_in_multiples_of_32():
    """TensorRT's INT8 kernels take them by 32; the first layer has the patch's channels."""
    student = make_student("large", frontend=SPEC, embedding_dim=EMBEDDING_DIM).deployable()
    layers = [module for module in student.backbone.modules() if isinstance(module, nn.Conv2d)]
    assert layers[0].in_channels == student.patch**2
    assert [layer.out_channels % 32 for layer in layers] == [0] * len(layers)
    assert all(layer.kernel_size == (3, 3) and layer.groups == 1 for layer in layers)


@pytest.mark.parametrize("name", students.names())
def test_pooling_keeps_frequency(name):
    """The same sound in another band is another embedding, whatever the channels say: the projection sees the band."""
    student = make_student(name, frontend=SPEC, embedding_dim=8)
    channels = student.backbone.num_features
    assert student.projection.in_features >= 2 * channels
    assert student.projection.in_features % channels == 0


@pytest.mark.parametrize("patch", [2, 4])
def test_patches_are_those_of_pixel_unshuffle(patch):
    student = make_student("tiny", frontend=SPEC, embedding_dim=8)
    student.patch = patch
    mel = torch.rand(3, 1, 24, 16)
    torch.testing.assert_close(student._patches(mel), functional.pixel_unshuffle(mel, patch), rtol=0, atol=0)
    assert student._patches(torch.rand(3, 1, 21, 15)).shape == (3, patch**2, -(-21 // patch), -(-15 // patch))
