"""Every door takes the same sounds, refuses the same ones, and says the same reason (docs/numerics.md)."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

import acula_edge as ae
from acula_edge.audio.decode import read_audio
from acula_edge.audio.resample import resample
from acula_edge.audio.samples import to_wave
from acula_edge.cli.main import cli
from acula_edge.data.decoding import decode
from acula_edge.data.manifest import Recording
from acula_edge.encoders.base import AudioEncoder
from acula_edge.errors import AudioError
from acula_edge.frontend.reference import log_mel
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.runtime import Bundle, Packet, load_bundle
from tests.numerics.sounds import accepted, brief, refused
from tests.tiny_bundle import RATE_HZ, SAMPLES, write_tiny_bundle

SPEC = FrontendSpec(sample_rate_hz=RATE_HZ, n_fft=64, hop_length=32, n_mels=16, fmin_hz=25, fmax_hz=500)
REFUSED = refused(SAMPLES)


class Means(torch.nn.Module):
    """The least that :meth:`AudioEncoder.embed` needs."""

    embed = AudioEncoder.embed
    check_frames = AudioEncoder.check_frames
    min_frames, max_frames = 1, None

    def __init__(self) -> None:
        super().__init__()
        self.frontend = SPEC
        self.scale = torch.nn.Parameter(torch.ones(()))

    def embed_mel(self, mel: torch.Tensor) -> torch.Tensor:
        return self.scale * mel.mean(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("numerics") / "tiny-cpu_x86")


@pytest.fixture(scope="module", params=["float", "int8"])
def bundle(request: pytest.FixtureRequest, folder: Path) -> Bundle:
    return load_bundle(folder, precision=request.param)


def pieces(sound: np.ndarray, size: int = 333) -> list[np.ndarray]:
    return [sound[start : start + size] for start in range(0, len(sound), size)]


def packets(sound: np.ndarray) -> list[Packet]:
    return [Packet(number, piece) for number, piece in enumerate(pieces(sound))]


def write_wav(folder: Path, sound: np.ndarray, subtype: str = "FLOAT") -> Path:
    path = folder / "sound.wav"
    soundfile.write(path, sound, RATE_HZ, subtype=subtype)
    return path


def prepared(path: Path) -> np.ndarray:
    return decode(Recording("r", str(path), "s", "d", RATE_HZ, 1.0), RATE_HZ).samples


PYTHON_DOORS: dict[str, Callable[[np.ndarray], Any]] = {
    "PCM": to_wave,
    "NumPy front end": lambda sound: log_mel(sound, SPEC),
    "log_mel": lambda sound: ae.log_mel(sound, sample_rate_hz=RATE_HZ),
    "encoder": lambda sound: Means().embed(sound, RATE_HZ),
    "encoder, a tensor of two": lambda sound: Means().embed(torch.from_numpy(np.stack([sound, sound])), RATE_HZ),
}


@pytest.mark.parametrize("door", PYTHON_DOORS)
@pytest.mark.parametrize("name", REFUSED)
def test_python_refuses(door: str, name: str) -> None:
    sound, reason = REFUSED[name]
    with pytest.raises(AudioError) as caught:
        PYTHON_DOORS[door](sound)
    assert reason in str(caught.value)


@pytest.mark.parametrize("name", REFUSED)
def test_a_bundle_refuses(bundle: Bundle, name: str) -> None:
    sound, reason = REFUSED[name]
    for hear in (
        lambda: bundle.embed(sound, RATE_HZ),
        lambda: bundle.score(sound, RATE_HZ),
        lambda: list(bundle.stream(pieces(sound), RATE_HZ)),
        lambda: list(bundle.stream(packets(sound), RATE_HZ)),
    ):
        with pytest.raises(AudioError) as caught:
            hear()
        assert reason in str(caught.value)


@pytest.mark.parametrize("name", REFUSED)
def test_files_are_refused(folder: Path, tmp_path: Path, name: str) -> None:
    """By what reads them, by ``data prepare``, and by ``run`` of a file and of standard input."""
    sound, reason = REFUSED[name]
    path = write_wav(tmp_path, sound)
    for read in (read_audio, prepared):
        with pytest.raises(AudioError) as caught:
            read(path)
        assert reason in str(caught.value)
    for words, data in (([path], b""), (["-"], path.read_bytes()), ([path, "--stream"], b"")):
        result = CliRunner().invoke(cli, ["run", str(folder), *map(str, words)], input=data)
        assert result.exit_code == 2
        assert reason in result.stderr


def test_channels_that_cancel_are_refused(tmp_path: Path) -> None:
    stereo = np.full((RATE_HZ, 2), (1e30, -1e30), np.float32)
    with pytest.raises(AudioError, match="far beyond"):
        read_audio(write_wav(tmp_path, stereo))


@pytest.mark.parametrize("rate_hz", [0, -1, 99, 1_000_001, float("nan"), float("inf"), None, "4000", True])
def test_every_door_refuses_a_rate_that_no_sound_has(bundle: Bundle, rate_hz: Any) -> None:
    sound = accepted(SAMPLES, RATE_HZ)["noise"]
    for hear in (
        lambda: bundle.score(sound, rate_hz),
        lambda: list(bundle.stream([sound], rate_hz)),
        lambda: ae.log_mel(sound, rate_hz),
        lambda: Means().embed(sound, rate_hz),
        lambda: resample(sound, RATE_HZ, rate_hz),
    ):
        with pytest.raises(AudioError, match="no sample rate of sound"):
            hear()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int64", "float16", "complex64", "bool"])
def test_every_door_refuses_other_types(bundle: Bundle, dtype: str) -> None:
    sound = np.ones(SAMPLES).astype(dtype)
    doors = [*PYTHON_DOORS.values(), lambda sound: bundle.score(sound, RATE_HZ)]
    for hear in doors:
        with pytest.raises(AudioError, match="of a type that is not read"):
            hear(sound)


def test_a_stream_does_not_end_at_a_piece_that_is_none(bundle: Bundle) -> None:
    with pytest.raises(AudioError, match="one dimension"):
        list(bundle.stream([np.ones(SAMPLES, np.float32), None], RATE_HZ))


@pytest.mark.parametrize("samples", [1, 2, 3, 24])
def test_what_is_nothing_at_the_models_rate_is_refused_by_all(bundle: Bundle, samples: int) -> None:
    """Fewer samples than half of one of the model's: 24 at 48 kHz are just one at 1 kHz."""
    sound = np.full(samples, 0.3, np.float32)
    outcomes = []
    for hear in (
        lambda: bundle.score(sound, 48000),
        lambda: list(bundle.stream([sound], 48000)),
        lambda: list(bundle.stream(pieces(sound, 1), 48000)),
        lambda: log_mel(resample(sound, 48000, RATE_HZ), SPEC),
    ):
        try:
            outcomes.append(hear() is None)
        except AudioError as error:
            outcomes.append("it holds no samples at 1000 Hz" in str(error))
    assert outcomes == [samples < 24] * len(outcomes)


def scores_of(tasks: dict[str, Any]) -> list[float | None]:
    return [value for task in tasks.values() for value in [task["score"], *(task.get("scores") or {}).values()]]


@pytest.mark.parametrize("name", [*accepted(1, RATE_HZ), *brief(RATE_HZ)])
def test_accepted_sounds_score_alike_on_every_way_in(bundle: Bundle, folder: Path, tmp_path: Path, name: str) -> None:
    """At the bundle's rate and one window, all answers are equal: from arrays, streams, packets, files and pipes."""
    sound = (accepted(SAMPLES, RATE_HZ) | brief(RATE_HZ))[name]
    answer = bundle.score(sound, RATE_HZ)
    json.dumps(answer, allow_nan=False)
    assert np.isfinite(bundle.embed(sound, RATE_HZ)).all()
    for items in (pieces(sound), packets(sound)):
        *_, last = bundle.stream(items, RATE_HZ)
        json.dumps(last.to_dict(), allow_nan=False)
        assert scores_of(last.tasks) == scores_of(answer["tasks"])
        assert {**last.quality, "lost": 0.0} == answer["quality"]
    assert bundle.score(sound.astype(np.float64), RATE_HZ) == answer
    path = write_wav(tmp_path, sound)
    assert bundle.score(read_audio(path).wave, RATE_HZ) == answer
    stdin = ["run", str(folder), "-", "--json", "--precision", bundle.precision]
    result = CliRunner().invoke(cli, stdin, input=path.read_bytes())
    assert result.exit_code == 0
    assert {**json.loads(result.stdout), "audio": 0} == {"audio": 0, **json.loads(json.dumps(answer)), "warnings": []}


def test_precisions_judge_quality_alike(folder: Path) -> None:
    bundles = [load_bundle(folder, precision=precision) for precision in ("float", "int8")]
    for sound in (accepted(SAMPLES, RATE_HZ) | brief(RATE_HZ)).values():
        one, other = (bundle.score(sound, RATE_HZ) for bundle in bundles)
        assert one["quality"] == other["quality"] and one["windows"] == other["windows"]


@pytest.mark.parametrize("name", accepted(1, RATE_HZ))
def test_prepared_samples_are_those_of_the_file_to_16_bits(tmp_path: Path, name: str) -> None:
    """Half a step apart, and limited to full scale."""
    sound = accepted(SAMPLES, RATE_HZ)[name]
    found = prepared(write_wav(tmp_path, sound)) / 32768
    np.testing.assert_allclose(found, np.clip(sound, -1, 32767 / 32768), atol=2.0**-16)


def test_clips_below_a_fifth_of_a_second_are_not_prepared(tmp_path: Path) -> None:
    for name, sound in brief(RATE_HZ).items():
        path = write_wav(tmp_path, sound)
        if name == "0.2 s":
            assert len(prepared(path)) == len(sound)
            continue
        with pytest.raises(AudioError, match="too short"):
            prepared(path)


@pytest.mark.parametrize(
    ("dtype", "subtype"),
    [("int16", "PCM_16"), ("int32", "PCM_32"), (">i2", "PCM_16"), (">f4", "FLOAT"), ("<f8", "DOUBLE")],
)
def test_samples_of_every_type_are_what_a_file_of_them_holds(tmp_path: Path, dtype: str, subtype: str) -> None:
    sound = accepted(SAMPLES, RATE_HZ)["noise"].astype(np.float64)
    scale = 2.0 ** (8 * np.dtype(dtype).itemsize - 1) if np.dtype(dtype).kind == "i" else 1.0
    typed = np.round(sound * scale).astype(dtype) if scale > 1 else sound.astype(dtype)
    path = write_wav(tmp_path, typed.astype(typed.dtype.newbyteorder("=")), subtype)
    np.testing.assert_array_equal(to_wave(typed), read_audio(path).wave)


def test_eight_bits_of_a_file_are_read(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.linspace(-1, 1, RATE_HZ), RATE_HZ, format="WAV", subtype="PCM_U8")
    path = tmp_path / "eight.wav"
    path.write_bytes(buffer.getvalue())
    np.testing.assert_allclose(read_audio(path).wave, np.linspace(-1, 1, RATE_HZ), atol=2 / 128)


def test_a_model_that_gives_nan_is_an_error_and_no_answer(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    from acula_edge.errors import ArtifactError

    (engine,) = bundle._own._engines
    broken = {"embedding": np.full((1, 6), np.nan, np.float32), "scores": np.zeros((1, 5), np.float32)}
    monkeypatch.setattr(engine, "run", lambda feeds: broken)
    sound = accepted(SAMPLES, RATE_HZ)["noise"]
    for hear in (lambda: bundle.score(sound, RATE_HZ), lambda: list(bundle.stream([sound], RATE_HZ))):
        with pytest.raises(ArtifactError, match="NaN or infinity"):
            hear()
