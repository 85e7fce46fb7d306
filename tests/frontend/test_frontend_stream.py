"""Chunks with a tail against the whole clip, and 16-bit samples against floats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from acula_edge.errors import InputError
from acula_edge.frontend.published import WHISPER
from acula_edge.frontend.reference import log_mel, mel_power
from acula_edge.frontend.spec import OPERA, FrontendSpec
from acula_edge.frontend.torch import PcmFrontend, graph_frontend
from acula_edge.frontend.torch.graph_mel import GraphMelPower
from acula_edge.frontend.torch.stream import Level, StreamMelPower
from acula_edge.quantize.export import export_module
from acula_edge.quantize.graph import save_graph
from tests.frontend.test_frontend_agreement import sound
from tests.frontend.test_frontend_graph import EVERYWHERE

SPEC = FrontendSpec(4000, 256, 128, 64, 25, 2000)


def stream_power(spec: FrontendSpec, wave: np.ndarray, chunks: list[int]) -> torch.Tensor:
    """Mel power of a clip that comes in chunks of so many hops, [F, M]; the last is filled with zeros."""
    hop = spec.hop_length
    frames = spec.frames(len(wave))
    padded = torch.from_numpy(np.pad(wave, (0, (frames + max(chunks)) * hop - len(wave))))[None]
    tail, powers, start = torch.zeros(1, hop), [], 0
    while sum(map(len, powers)) < frames:
        hops = chunks[len(powers) % len(chunks)]
        power, tail = StreamMelPower(spec, hops)(padded[:, start : start + hops * hop], tail)
        powers.append(power[0])
        start += hops * hop
    return torch.cat(powers)[:frames]


@pytest.mark.parametrize("chunks", [[1], [3], [64], [2, 5, 1]])
@pytest.mark.parametrize("samples", [4096, 4097, 4223, 100])
@pytest.mark.parametrize("kind", ["heart", "rumble", "noise"])
def test_chunks_give_the_frames_of_the_whole(kind: str, samples: int, chunks: list[int]) -> None:
    wave = sound(kind, 4000)[:samples]
    found = stream_power(SPEC, wave, chunks)
    whole = GraphMelPower(SPEC, samples)(torch.from_numpy(wave[None]))[0]
    torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-6 * float(whole.max()))
    np.testing.assert_allclose(Level(SPEC)(found[None])[0].numpy(), log_mel(wave, SPEC), atol=1e-4)


def test_the_published_front_end_streams() -> None:
    wave = sound("heart", 16000)[:20000]
    expected = mel_power(wave, OPERA)
    found = stream_power(OPERA, wave, [7]).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6 * expected.max())


def test_the_exported_halves_give_what_the_whole_gives(tmp_path: Path) -> None:
    hops, hop = 8, SPEC.hop_length
    wave = sound("rumble", 4000)[: 4 * hops * hop - hop]
    example = (torch.zeros(1, hops * hop), torch.zeros(1, hop))
    power = torch.zeros(1, SPEC.frames(len(wave)), SPEC.n_mels)
    sessions = []
    for name, module, inputs, outputs, values in (
        ("stream", StreamMelPower(SPEC, hops), ["chunk", "tail"], ["power", "next_tail"], example),
        ("level", Level(SPEC), ["power"], ["mel"], (power,)),
    ):
        model = export_module(module, values, inputs, outputs)
        assert {node.op_type for node in model.graph.node} <= EVERYWHERE | {"Identity", "Constant"}
        save_graph(model, tmp_path / f"{name}.onnx")
        sessions.append(ort.InferenceSession(tmp_path / f"{name}.onnx", providers=["CPUExecutionProvider"]))
    tail, powers = np.zeros((1, hop), np.float32), []
    for chunk in np.pad(wave, (0, hop)).reshape(4, 1, -1):
        block, tail = sessions[0].run(["power", "next_tail"], {"chunk": chunk, "tail": tail})
        powers.append(block)
    (mel,) = sessions[1].run(["mel"], {"power": np.concatenate(powers, axis=1)})
    np.testing.assert_allclose(mel[0], log_mel(wave, SPEC), atol=1e-4)


def test_other_kinds_have_no_streaming_form() -> None:
    for spec in (WHISPER, FrontendSpec(4000, 256, 64, 12, 60, 2000)):
        with pytest.raises(InputError, match="no streaming form"):
            StreamMelPower(spec, 4)
    with pytest.raises(InputError, match="at least one hop"):
        StreamMelPower(SPEC, 0)


def test_sixteen_bit_samples_give_the_same_bits(tmp_path: Path) -> None:
    pcm = np.round(sound("heart", 4000)[:8192] * 32767).astype(np.int16)
    frontend = graph_frontend(SPEC, len(pcm))
    model = export_module(PcmFrontend(frontend), (torch.zeros(1, len(pcm), dtype=torch.int16),), ["pcm"], ["mel"])
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.INT16
    save_graph(model, tmp_path / "pcm.onnx")
    save_graph(export_module(frontend, (torch.zeros(1, len(pcm)),), ["waveform"], ["mel"]), tmp_path / "float.onnx")
    found, expected = (
        ort.InferenceSession(tmp_path / file, providers=["CPUExecutionProvider"]).run(None, {name: value[None]})[0]
        for file, name, value in (
            ("pcm.onnx", "pcm", pcm),
            ("float.onnx", "waveform", pcm.astype(np.float32) / 32768),
        )
    )
    np.testing.assert_array_equal(found, expected)
