"""Specifications and signals that the front end's tests share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch

from acula_edge.frontend.spec import OPERA, FrontendSpec
from acula_edge.frontend.torch import graph_frontend

Form = Callable[[np.ndarray], np.ndarray]

# The published front end, the auscultation recipe's, and the latter without regard to each clip's minimum.
AUSCULTATION = FrontendSpec(sample_rate_hz=4000, n_fft=256, hop_length=128, n_mels=64, fmin_hz=25, fmax_hz=2000)
CASES = {
    "opera": (OPERA, 130880),
    "auscultation": (AUSCULTATION, 32640),
    "range": (dataclasses.replace(AUSCULTATION, normalization="range"), 32640),
}


@dataclasses.dataclass(frozen=True)
class Exported:
    """A front end in ONNX Runtime."""

    spec: FrontendSpec
    samples: int
    model: Path
    run: Form


def export(spec: FrontendSpec, samples: int, path: Path) -> Exported:
    """Export the graph form; `run` takes [T] and gives [F, M]."""
    program = torch.onnx.export(
        graph_frontend(spec, samples),
        (torch.zeros(1, samples),),
        dynamo=True,
        opset_version=18,
        input_names=["waveform"],
        output_names=["mel"],
        verbose=False,
    )
    assert program is not None
    program.save(path)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return Exported(spec, samples, path, lambda wave: session.run(["mel"], {"waveform": wave[None]})[0][0])


@pytest.fixture(scope="package", params=list(CASES))
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Every front end in turn."""
    spec, samples = CASES[request.param]
    return export(spec, samples, tmp_path_factory.mktemp("frontend") / f"{request.param}.onnx")
