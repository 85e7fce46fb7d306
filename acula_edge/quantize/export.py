"""PyTorch encoder -> three ONNX files: frontend.onnx, encoder.onnx, and model.onnx, which is the two in one.

Fixed batch of 1, fixed window, opset 18, no custom operators, no dates or paths: exporting twice gives the same bytes.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from acula_edge.bundle.layout import ENCODER_FILE, FRONTEND_FILE, MODEL_FILE
from acula_edge.bundle.schema import Parity
from acula_edge.engines.ort import OrtEngine
from acula_edge.errors import InputError
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.frontend.torch import graph_frontend
from acula_edge.quantize.graph import IR_VERSION, OPSET, load_graph, merge, save_graph, tidy
from acula_edge.quantize.heads import TaskHead, check_heads
from acula_edge.quantize.parity import compare_rows


class Encoder(Protocol):
    """What this stage needs of an encoder; every :class:`acula_edge.encoders.base.AudioEncoder` has it."""

    frontend: FrontendSpec

    def embed_mel(self, mel: torch.Tensor) -> torch.Tensor:
        """Shape: [B, F, M] -> [B, D]."""


@dataclass(frozen=True)
class FloatExport:
    """What :func:`export_float` wrote.

    Attributes:
        samples, frames, bands, embedding_dim, columns: T, F, M, D and K of the graph.
        parameters: of the encoder and its heads, training-time branches merged.
        parity: PyTorch against model.onnx, see :func:`acula_edge.quantize.parity.compare_rows`.
    """

    samples: int
    frames: int
    bands: int
    embedding_dim: int
    columns: int
    parameters: int
    parity: Parity


class EncoderWithHeads(nn.Module):
    """The exported half behind the front end: mel -> (embedding, scores)."""

    def __init__(self, encoder: nn.Module, heads: Sequence[TaskHead], embedding_dim: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.blocks = _activation_blocks(heads)
        self.heads = nn.Linear(embedding_dim, sum(head.columns for head in heads)) if heads else None
        if self.heads is not None:
            with torch.no_grad():
                self.heads.weight.copy_(torch.from_numpy(np.concatenate([head.weight for head in heads], axis=1).T))
                self.heads.bias.copy_(torch.from_numpy(np.concatenate([head.bias for head in heads])))

    def forward(self, mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Shape: [1, F, M] -> [1, D], [1, K]."""
        embedding: torch.Tensor = self.encoder.embed_mel(mel)  # type: ignore[operator]
        if self.heads is None:
            return embedding, embedding[:, :0]
        logits = self.heads(embedding)
        scores = [_activate(logits[:, start:stop], kind) for kind, start, stop in self.blocks]
        return embedding, scores[0] if len(scores) == 1 else torch.cat(scores, dim=1)


def export_float(
    encoder: Encoder,
    heads: Sequence[TaskHead],
    samples: int,
    folder: str | Path,
    *,
    frontend: nn.Module | None = None,
    windows: NDArray[np.float32] | None = None,
) -> FloatExport:
    """Write ``frontend.onnx``, ``encoder.onnx`` and ``model.onnx`` into `folder`.

    Args:
        encoder: a trained encoder; it is copied, brought to evaluation mode and merged (``deployable``) first.
        heads: on its embedding; without any, ``scores`` is [1, 0].
        samples: window length T.
        frontend: module wave [1, T] -> mel [1, F, M]; by default the encoder's specification as a graph.
        windows: [N, T] on which PyTorch and ONNX are compared; by default a few synthetic ones.

    Raises:
        InputError: a head does not fit the encoder, or the encoder cannot be exported.
    """
    folder = Path(folder)
    spec = encoder.frontend
    network = _deployable(encoder)
    listener = frontend if frontend is not None else graph_frontend(spec, samples)
    wave = torch.from_numpy(_example_windows(spec.sample_rate_hz, samples)[:1])
    with torch.inference_mode():
        mel = listener(wave).clone()
        embedding_dim = int(network.embed_mel(mel).shape[1])  # type: ignore[operator]
    check_heads(heads, embedding_dim)
    whole = EncoderWithHeads(network, heads, embedding_dim).eval()

    front = tidy(export_module(listener, (wave,), ["waveform"], ["mel"]), "frontend", f"front end: {spec.to_dict()}")
    back = tidy(
        export_module(whole, (mel,), ["mel"], ["embedding", "scores"]), "encoder", "mel -> embedding, task scores"
    )
    save_graph(front, folder / FRONTEND_FILE)
    save_graph(back, folder / ENCODER_FILE)
    merge_files(folder / FRONTEND_FILE, folder / ENCODER_FILE, folder / MODEL_FILE)

    if windows is None:
        windows = _example_windows(spec.sample_rate_hz, samples)
    reference = _torch_embeddings(network, listener, windows)
    engine = OrtEngine(folder / MODEL_FILE)
    exported = np.concatenate([engine.run({"waveform": window[None]})["embedding"] for window in windows])
    return FloatExport(
        samples=samples,
        frames=int(mel.shape[1]),
        bands=int(mel.shape[2]),
        embedding_dim=embedding_dim,
        columns=sum(head.columns for head in heads),
        parameters=sum(parameter.numel() for parameter in whole.parameters()),
        parity=compare_rows(reference, exported),
    )


def merge_files(frontend: Path, encoder: Path, target: Path) -> None:
    """Write the graph that runs `frontend` and `encoder` in one: waveform -> embedding, scores."""
    first, second = load_graph(frontend), load_graph(encoder)
    precision = "".join(second.doc_string.partition("; ")[1:])
    save_graph(merge(first, second, "mel", f"waveform -> embedding, task scores{precision}"), target)


def _deployable(encoder: Any) -> nn.Module:
    network = copy.deepcopy(encoder).cpu().float()
    network = network.deployable() if hasattr(network, "deployable") else network
    return network.eval().requires_grad_(False)  # type: ignore[no-any-return]


def export_module(
    module: nn.Module, example: tuple[torch.Tensor, ...], inputs: list[str], outputs: list[str]
) -> onnx.ModelProto:
    """A module as an ONNX graph of fixed shapes, in standard operators only.

    Args:
        example: one value per input.
        inputs, outputs: their names.

    Raises:
        InputError: the module cannot be exported.
    """
    # The exporter calls values after operators, and torch has one named "embedding": no output may be called so yet.
    unlike = [f"{name}/output" for name in outputs]
    with _quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                module.eval(),
                example,
                dynamo=True,
                opset_version=OPSET,
                input_names=inputs,
                output_names=unlike,
                external_data=False,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise InputError(
                f"{type(module).__name__} cannot be exported to ONNX", given=str(error).splitlines()[0]
            ) from error
    assert program is not None
    model = onnx.ModelProto()
    model.CopyFrom(program.model_proto)
    version = {item.domain: item.version for item in model.opset_import}
    if version != {"": OPSET} or model.functions:
        raise InputError(
            "the exporter used operators outside the ONNX standard", given=version, allowed=f"opset {OPSET}"
        )
    model.ir_version = IR_VERSION
    _rename(model, {name: f"{name}/value" for name in outputs})
    _rename(model, dict(zip(unlike, outputs, strict=True)))
    return model


def _rename(model: onnx.ModelProto, names: dict[str, str]) -> None:
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in [*model.graph.output, *model.graph.initializer]:
        value.name = names.get(value.name, value.name)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's own chatter says nothing to a user of this program."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    former = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, former, strict=True):
            logger.setLevel(level)


def _torch_embeddings(network: nn.Module, frontend: nn.Module, windows: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.inference_mode():
        rows = [network.embed_mel(frontend(torch.from_numpy(window[None]))) for window in windows]  # type: ignore[operator]
    return torch.cat(rows).numpy()


def _example_windows(sample_rate_hz: int, samples: int) -> NDArray[np.float32]:
    from acula_edge.bundle.golden import golden_waves

    waves = golden_waves(sample_rate_hz, samples)
    return np.stack([waves["heart"], waves["chirp"]])


def _activation_blocks(heads: Sequence[TaskHead]) -> list[tuple[str, int, int]]:
    """Neighboring columns that take the same activation; every multiclass head is a block of its own."""
    blocks: list[tuple[str, int, int]] = []
    start = 0
    for head in heads:
        stop = start + head.columns
        if blocks and head.kind != "multiclass" and blocks[-1][0] == head.kind:
            blocks[-1] = (head.kind, blocks[-1][1], stop)
        else:
            blocks.append((head.kind, start, stop))
        start = stop
    return blocks


def _activate(logits: torch.Tensor, kind: str) -> torch.Tensor:
    if kind == "binary":
        return torch.sigmoid(logits)
    return torch.softmax(logits, dim=1) if kind == "multiclass" else logits
