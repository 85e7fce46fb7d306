"""Front ends that a bundle carries beside its own: at other sample rates, for 16-bit samples, for streams.

All give the spectrogram that ``encoder.onnx`` and ``encoder.int8.onnx`` read. None is part of ``model.onnx``.

``frontend-4000.onnx``
    Takes the window at 4000 Hz (:mod:`acula_edge.frontend.native`). The device's runtime chooses it by the recording's
    rate, and resamples nothing.
``frontend-int16.onnx``
    Takes int16 samples, for programs that hand the converter's buffer to ONNX Runtime. CPU profiles only.
``frontend.stream.onnx`` and ``level.onnx``
    Mel power of a chunk with a tail handed on, and the level of a window (:mod:`acula_edge.frontend.torch.stream`).
    The device's runtime uses them in streams whose windows overlap so far that at least half of the frames are spared.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from acula_edge.bundle.golden import golden_waves, to_pcm
from acula_edge.bundle.layout import FRONTEND_SELFTEST_FILE
from acula_edge.bundle.schema import FrontEnd, NativeFrontEnd, PcmFrontEnd, StreamFrontEnd
from acula_edge.engines.ort import OrtEngine
from acula_edge.errors import InputError
from acula_edge.files import write_bytes
from acula_edge.frontend.native import native_spec
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.frontend.torch import PcmFrontend, graph_frontend
from acula_edge.frontend.torch.stream import Level, StreamMelPower
from acula_edge.quantize.export import export_module
from acula_edge.quantize.graph import save_graph, tidy
from acula_edge.recipe import QuantizeConfig

INT16_FILE = "frontend-int16.onnx"
STREAM_FILE = "frontend.stream.onnx"
LEVEL_FILE = "level.onnx"


def write_extra_frontends(
    folder: Path, spec: FrontendSpec, samples: int, settings: QuantizeConfig
) -> list[NativeFrontEnd | PcmFrontEnd | StreamFrontEnd]:
    """Export what `settings` asks for into `folder`, and golden spectrograms of it.

    Returns:
        An entry of ``bundle.json`` per front end.

    Raises:
        InputError: the encoder's front end has no such form.
    """
    entries: list[NativeFrontEnd | PcmFrontEnd | StreamFrontEnd] = [
        _write_native(folder, spec, samples, rate) for rate in settings.input_rates_hz
    ]
    if settings.int16_input:
        if settings.profile == "tensorrt":
            raise InputError(
                "TensorRT has no 16-bit inputs", given="quantize.int16_input: true", allowed="cpu_x86, cpu_arm"
            )
        pcm = torch.zeros(1, samples, dtype=torch.int16)
        _write(folder / INT16_FILE, PcmFrontend(graph_frontend(spec, samples)), (pcm,), ["pcm"], ["mel"])
        entries.append(PcmFrontEnd(INT16_FILE, spec.sample_rate_hz, samples))
    if settings.stream_hops:
        entries.append(_write_stream(folder, spec, samples, settings.stream_hops))
    _write_golden(folder, entries)
    return entries


def _write_native(folder: Path, spec: FrontendSpec, samples: int, rate_hz: int) -> NativeFrontEnd:
    native = native_spec(spec, rate_hz)
    length, rest = divmod(samples * rate_hz, spec.sample_rate_hz)
    if rest or rate_hz == spec.sample_rate_hz:
        raise InputError(
            "the window is no whole number of samples at an input rate, or the rate is the front end's own",
            given=f"{samples} samples at {spec.sample_rate_hz} Hz, quantize.input_rates_hz: {rate_hz}",
            remedy="change data.window_s or quantize.input_rates_hz",
        )
    file = f"frontend-{rate_hz}.onnx"
    _write(folder / file, graph_frontend(native, length), (torch.zeros(1, length),), ["waveform"], ["mel"])
    return NativeFrontEnd(file, rate_hz, length, native.to_dict())


def _write_stream(folder: Path, spec: FrontendSpec, samples: int, hops: int) -> StreamFrontEnd:
    hop = spec.hop_length
    if hops < 3 or samples < 3 * hop:
        raise InputError(
            "a streaming front end takes at least three hops at a time, of windows at least as long",
            given=f"quantize.stream_hops: {hops}, {samples} samples in a window",
            remedy="raise quantize.stream_hops, or set it to 0",
        )
    example = (torch.zeros(1, hops * hop), torch.zeros(1, hop))
    _write(folder / STREAM_FILE, StreamMelPower(spec, hops), example, ["chunk", "tail"], ["power", "next_tail"])
    power = torch.zeros(1, spec.frames(samples), spec.n_mels)
    _write(folder / LEVEL_FILE, Level(spec), (power,), ["power"], ["mel"])
    return StreamFrontEnd(STREAM_FILE, spec.sample_rate_hz, LEVEL_FILE, hops, hop)


def _write(
    path: Path, module: nn.Module, example: tuple[torch.Tensor, ...], inputs: list[str], outputs: list[str]
) -> None:
    model = export_module(module, example, inputs, outputs)
    stage = path.stem.partition(".")[0].partition("-")[0]
    save_graph(tidy(model, stage, f"{', '.join(inputs)} -> {', '.join(outputs)}"), path)


def _write_golden(folder: Path, entries: Sequence[FrontEnd]) -> None:
    """Spectrograms of the golden waveforms at every native rate."""
    arrays = {}
    for entry in entries:
        if isinstance(entry, NativeFrontEnd):
            engine = OrtEngine(folder / entry.file)
            waves = golden_waves(entry.sample_rate_hz, entry.samples).values()
            arrays[f"{entry.file}/pcm"] = np.stack([to_pcm(wave) for wave in waves])
            arrays[f"{entry.file}/mel"] = np.concatenate([engine.run({"waveform": w[None]})["mel"] for w in waves])
    if arrays:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
        write_bytes(folder / FRONTEND_SELFTEST_FILE, buffer.getvalue())
