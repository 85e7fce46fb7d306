"""The page's JavaScript computes what the Python runtime computes."""

from __future__ import annotations

import dataclasses
import io
import json
import wave as wave_files
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile

from acula_edge.audio.decode import read_audio
from acula_edge.audio.offset import without_offset
from acula_edge.audio.quality_limits import QualityLimits, describe_quality
from acula_edge.audio.resample import resample
from acula_edge.audio.segment import recording_windows, repeat_pad
from acula_edge.bundle.prompt_vectors import load_prompt_vectors
from acula_edge.bundle.schema import ScoredTask
from acula_edge.bundle.selftest import SelfTest
from acula_edge.frontend.filterbank import hz_to_mel
from acula_edge.runtime.answers import RunningMean, TaskColumns, describe_scores, pool_windows
from acula_edge.runtime.quality_gate import QualityGate
from acula_edge.runtime.windows import stream_windows
from tests.hostile.sounds import wav
from tests.tiny_bundle import DIM, TASKS, make_sound
from tests.web.conftest import NodeModules

LIMITS = describe_quality(QualityLimits())


def heart_like(seconds: float, rate_hz: int, seed: int = 0) -> np.ndarray:
    """Thuds in noise whose spectrum reaches up to half the rate."""
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    thuds = np.exp(-(((time_s % 0.8) - 0.2) ** 2) / 0.0008) * np.sin(2 * np.pi * 60 * time_s)
    return (0.4 * thuds + 0.01 * np.random.default_rng(seed).standard_normal(time_s.size)).astype(np.float32)


def faulty_sounds() -> dict[str, tuple[np.ndarray, int]]:
    """One sound for every check, and a few corners."""
    sound = heart_like(6, 4000)
    noise = np.random.default_rng(3).standard_normal(24000).astype(np.float32)
    lost, handled = sound.copy(), 0.02 * sound
    lost[12000:] *= 1e-3
    brief = np.where(np.arange(sound.size) < 3000, sound, 1e-3 * sound).astype(np.float32)
    handled[2000:11600] += 0.2 * noise[:9600]
    return {
        "good": (sound, 4000),
        "good at 44.1 kHz": (heart_like(3, 44100), 44100),
        "good at 11127 Hz": (heart_like(3, 11127), 11127),
        "too short": (sound[:2000], 4000),
        "one sample": (sound[:1], 4000),
        "few frames": (sound[:300], 4000),
        "silence": (np.zeros(9000, np.float32), 4000),
        "offset only": (np.full(9000, 0.25, np.float32), 4000),
        "quiet": (sound * 1e-4, 4000),
        "standing still": (np.concatenate([sound[:8000], np.zeros(9000, np.float32)]), 4000),
        "clipped": (np.clip(sound * 30, -1, 1), 4000),
        "clipped, turned down": (np.clip(sound * 30, -1, 1) * np.float32(0.3), 4000),
        "offset": (sound + np.float32(0.4), 4000),
        "narrow": (resample(resample(sound, 4000, 300), 300, 4000), 4000),
        "noise": (0.1 * noise, 4000),
        "contact lost": (lost, 4000),
        "contact for a moment": (brief, 4000),
        "handled": (np.clip(handled, -0.99, 0.99), 4000),
    }


@pytest.mark.parametrize("unnamed", [None, "contact_depth_db"])
def test_signal_quality_is_judged_alike(modules: NodeModules, unnamed: str | None) -> None:
    analysis = {name: value for name, value in LIMITS["analysis"].items() if name != unnamed}
    limits = {**LIMITS, "analysis": analysis}
    sounds = faulty_sounds()
    answers = modules.run(
        *({"task": "assessQuality", "file": modules.wave(w), "rate": r, "limits": limits} for w, r in sounds.values())
    )
    gate = QualityGate.from_dict(limits)
    reasons = set()
    for name, answer, (wave, rate_hz) in zip(sounds, answers, sounds.values(), strict=True):
        expected = gate.assess(wave, rate_hz)
        assert {key for key in answer if key != "failed"} == set(expected), name
        for key, value in expected.items():
            if isinstance(value, float):
                assert answer[key] == pytest.approx(value, rel=1e-5, abs=1e-7), (name, key)
            else:
                assert answer[key] == value, (name, key)
        reasons |= {reason.partition(":")[0] for reason in expected["reasons"]}
    assert reasons == {check["reason"] for check in LIMITS["checks"]} - {"packets lost"}


@pytest.mark.parametrize("piece", [0, 997])
def test_resampling_follows_soxr(modules: NodeModules, piece: int) -> None:
    ratios = [(44100, 4000), (48000, 4000), (48000, 16000), (8000, 4000), (2000, 4000), (11127, 4000), (4000, 4000)]
    waves = [np.random.default_rng(f).standard_normal(f).astype(np.float32) * 0.2 for f, _ in ratios]
    answers = modules.run(
        *(
            {"task": "resample", "file": modules.wave(wave), "from": f, "to": t, "piece": piece}
            for wave, (f, t) in zip(waves, ratios, strict=True)
        )
    )
    for wave, (from_hz, to_hz), answer in zip(waves, ratios, answers, strict=True):
        expected = resample(wave, from_hz, to_hz)
        assert len(answer) == int(wave.size * to_hz / from_hz + 0.5) == len(expected)
        # soxr's first output differs: it begins within its filter.
        error = np.asarray(answer, np.float32)[1:] - expected[1:]
        # Of white noise, so of all frequencies up to half the rate.
        relative_db = 10 * np.log10(np.mean(error**2) / np.mean(expected**2) + 1e-20)
        assert relative_db < (-199 if from_hz == to_hz else -58), (from_hz, to_hz, relative_db)


def test_windows_are_cut_alike(modules: NodeModules) -> None:
    sound = heart_like(3.3, 1000)
    quiet_ends = np.concatenate([np.zeros(777, np.float32), sound, np.zeros(1234, np.float32)])
    cases: list[tuple[np.ndarray, int, float, float, float | None]] = [
        (sound, 1000, 1.0, 0.4, None),
        (sound, 1000, 1.0, 1.0, 60.0),
        (quiet_ends, 1000, 1.0, 0.5, 60.0),
        (sound[:300], 1000, 1.0, 0.5, 60.0),
        (sound[:1], 1000, 0.5, 0.5, 60.0),
        (np.zeros(500, np.float32), 1000, 1.0, 1.0, 60.0),
        (quiet_ends + np.float32(0.5), 1000, 1.0, 0.5, 60.0),
        (quiet_ends, 1025, 0.7, 0.3, 20.0),
    ]
    answers = modules.run(
        *(
            {"task": "recordingWindows", "file": modules.wave(w), "rate": r, "window": s, "hop": h, "trim": t}
            for w, r, s, h, t in cases
        )
    )
    for case, answer in zip(cases, answers, strict=True):
        expected = recording_windows(*case)
        found = np.array([window["wave"] for window in answer], np.float32)
        assert np.array_equal(found, expected)
        for window in answer:
            kept = window["stop"] - window["start"]
            raw = repeat_pad(case[0][window["start"] : window["stop"]], len(window["wave"]))
            assert np.array_equal(without_offset(raw)[-kept:], np.float32(window["wave"])[-kept:])


@pytest.mark.parametrize("window, hop", [(400, 100), (400, 400), (100, 300)])
def test_streams_are_cut_alike(modules: NodeModules, window: int, hop: int) -> None:
    sizes = [37, 400, 5, 1200, 1]
    waves = [make_sound(length / 1000) for length in (3217, 400, 1200, 90, 800)]
    answers = modules.run(
        *(
            {"task": "streamWindows", "file": modules.wave(w), "window": window, "hop": hop, "pieces": sizes}
            for w in waves
        )
    )
    for wave, answer in zip(waves, answers, strict=True):
        expected = list(stream_windows([wave], window, hop))
        assert [(w["start"], w["stop"], w["final"]) for w in answer] == [(w.start, w.stop, w.final) for w in expected]
        assert all(np.array_equal(np.float32(a["wave"]), e.wave) for a, e in zip(answer, expected, strict=True))


def test_npz_files_are_read(modules: NodeModules) -> None:
    draw = np.random.default_rng(0)
    arrays = {
        "header": np.array(json.dumps({"names": ["heart", "lüng 😀"]})),
        "pcm": draw.integers(-32768, 32767, (3, 50)).astype(np.int16),
        "single": draw.normal(size=(2, 3, 4)).astype(np.float32),
        "double": draw.normal(size=7),
        "long": np.arange(-3, 9).reshape(3, 4),
        "bytes": np.arange(250, 256, dtype=np.uint8),
        "nothing": np.zeros((0, 4), np.float32),
    }
    np.savez(modules.folder / "stored.npz", **arrays)  # type: ignore[arg-type]
    np.savez_compressed(modules.folder / "deflated.npz", **arrays)  # type: ignore[arg-type]
    for answer in modules.run({"task": "readNpz", "file": "stored.npz"}, {"task": "readNpz", "file": "deflated.npz"}):
        assert answer.pop("header") == {"shape": [], "data": str(arrays["header"])}
        for name, entry in answer.items():
            assert entry["shape"] == list(arrays[name].shape)
            assert np.array_equal(np.array(entry["data"]).reshape(entry["shape"]), arrays[name]), name
        assert set(answer) == set(arrays) - {"header"}


WAV_SUBTYPES = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")


@pytest.mark.parametrize("channels", [1, 2])
def test_wav_files_are_read(modules: NodeModules, channels: int) -> None:
    sound = np.stack([make_sound(0.3, seed=seed) for seed in range(channels)], axis=1)
    for subtype in WAV_SUBTYPES:
        soundfile.write(modules.folder / f"{subtype}.wav", sound, 11025, subtype=subtype)
        soundfile.write(modules.folder / f"{subtype}-x.wav", sound, 11025, subtype=subtype, format="WAVEX")
    names = [f"{subtype}{kind}.wav" for subtype in WAV_SUBTYPES for kind in ("", "-x")]
    for name, answer in zip(names, modules.run(*({"task": "readWav", "file": n} for n in names)), strict=True):
        assert answer["isWav"] and answer["rate"] == 11025 and answer["refused"] is None
        expected, _ = soundfile.read(modules.folder / name, dtype="float32", always_2d=True)
        assert np.allclose(answer["wave"], expected.mean(axis=1), atol=1e-7, rtol=0), name


def test_wav_files_that_cannot_be_used_are_refused(modules: NodeModules) -> None:
    buffer = io.BytesIO()
    with wave_files.open(buffer, "wb") as file:
        file.setparams((1, 2, 4000, 0, "NONE", ""))
        file.writeframes(np.arange(4000, dtype="<i2").tobytes())
    whole = buffer.getvalue()
    unknown_length = whole[:40] + b"\xff\xff\xff\xff" + whole[44:]
    (modules.folder / "broken.wav").write_bytes(whole[: len(whole) // 2])
    (modules.folder / "pipe.wav").write_bytes(unknown_length)
    (modules.folder / "header.wav").write_bytes(whole[:36])
    (modules.folder / "text.wav").write_bytes(b"this is no sound at all" * 3)
    soundfile.write(modules.folder / "integers.wav", 9000 * make_sound(0.2), 4000, subtype="FLOAT")
    soundfile.write(modules.folder / "nan.wav", np.full(90, np.nan, np.float32), 4000, subtype="FLOAT")
    soundfile.write(modules.folder / "ulaw.wav", make_sound(0.2), 8000, subtype="ULAW")
    names = ("broken", "pipe", "header", "integers", "nan", "ulaw", "text")
    answers = modules.run(*({"task": "readWav", "file": f"{name}.wav"} for name in names))
    broken, pipe, header, integers, nan, ulaw, text = answers
    assert "50 % of the samples" in broken["refused"]
    assert pipe["refused"] is None and len(pipe["wave"]) == 4000
    assert "holds no samples" in header["refused"]
    assert "far beyond [-1, 1]" in integers["refused"] and "NaN" in nan["refused"]
    assert ulaw["wave"] is None and ulaw["refused"] is None  # left to the browser
    assert not text["isWav"]


def test_lengths_that_a_pipe_cannot_know_are_read_alike(modules: NodeModules) -> None:
    pcm = np.round(make_sound(1.0, 4000) * 32768).astype("<i2").tobytes()
    files = {
        "sox": wav(pcm, rate=4000, promised=0x7FFFF000),
        "arecord": wav(pcm, rate=4000, promised=0x7FFFFFDB),
        "zero": wav(pcm, rate=4000, promised=0),
        "flushed": wav(pcm, rate=4000, promised=2000),
        "empty": wav(b"", rate=4000) + b"LIST\x04\0\0\0INFO",
    }
    for name, data in files.items():
        (modules.folder / f"{name}.wav").write_bytes(data)
    answers = dict(zip(files, modules.run(*({"task": "readWav", "file": f"{n}.wav"} for n in files)), strict=True))
    for name in ("sox", "arecord", "zero"):
        assert np.float32(answers[name]["wave"]).tobytes() == (np.frombuffer(pcm, "<i2") / np.float32(32768)).tobytes()
        assert answers[name]["warnings"] == []
    assert len(answers["flushed"]["wave"]) == 1000 and "6000 bytes lie behind" in answers["flushed"]["warnings"][0]
    assert "holds no samples" in answers["empty"]["refused"]


def test_channels_are_mixed_alike(modules: NodeModules) -> None:
    sound, other = make_sound(1.0, 4000) * 0.9, make_sound(1.0, 4000, seed=3)
    pairs = [(sound, -sound), (0.9 * sound, -0.7 * sound), (sound, other), (sound, 0 * sound), (-0.5 * sound, sound)]
    for number, pair in enumerate(pairs):
        soundfile.write(modules.folder / f"{number}.wav", np.stack(pair, 1), 4000, subtype="FLOAT")
    answers = modules.run(*({"task": "readWav", "file": f"{number}.wav"} for number in range(len(pairs))))
    for number, answer in enumerate(answers):
        audio = read_audio(modules.folder / f"{number}.wav")
        np.testing.assert_allclose(np.float32(answer["wave"]), audio.wave, atol=1e-7)
        assert answer["warnings"] == list(audio.warnings)


def test_a_decoder_that_scales_positive_samples_by_32767_is_mended(modules: NodeModules) -> None:
    pcm = np.round(make_sound(0.5) * 32768).astype(np.float32)
    plain, other = pcm / np.float32(32768), make_sound(0.5, seed=1)
    lopsided = np.where(pcm > 0, pcm / np.float32(32767), plain)
    answers = modules.run(*({"task": "restoreSteps", "file": modules.wave(w)} for w in (lopsided, plain, other)))
    for answer, expected in zip(answers, (plain, plain, other), strict=True):
        assert np.array_equal(np.float32(answer), expected)


def test_scores_are_pooled_and_described_alike(modules: NodeModules) -> None:
    draw = np.random.default_rng(1)
    rows = draw.uniform(size=(4, 5)).astype(np.float32)
    rows[:, 1:4] /= rows[:, 1:4].sum(axis=1, keepdims=True)
    rows[0, 0], rows[1, 0] = 1.0, 0.0
    undecided = [{**TASKS[0], "threshold": None}, *TASKS[1:]]
    cases = [(TASKS, True), (TASKS, False), (undecided, True)]
    answers = modules.run(
        *({"task": "describe", "rows": rows.tolist(), "tasks": t, "measurable": m} for t, m in cases),
        {"task": "runningMean", "rows": rows.tolist(), "measurable": [False, True, False, True]},
    )
    for (tasks, measurable), answer in zip(cases, answers, strict=False):
        columns = [TaskColumns.of(msgspec.convert(task, ScoredTask)) for task in tasks]
        pooled = pool_windows(rows, columns)
        assert np.allclose(answer["pooled"], pooled, rtol=1e-12)
        expected = describe_scores(pooled, columns, measurable)
        assert rounded(answer["answers"]) == rounded(expected)
    mean = RunningMean()
    expected_rows = [mean.add(row, ok) for row, ok in zip(rows, [False, True, False, True], strict=True)]
    assert np.allclose(answers[-1], expected_rows, rtol=1e-12)


def rounded(value: Any) -> Any:
    """Nested values with every number cut to ten digits."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return float(f"{value:.10g}") if isinstance(value, float) else value


def test_prompts_are_scored_alike(modules: NodeModules, bundle_dir: Path) -> None:
    (modules.folder / "zero_shot.npz").write_bytes((bundle_dir / "zero_shot.npz").read_bytes())
    embedding = np.random.default_rng(2).normal(size=DIM)
    request = {"task": "prompts", "file": "zero_shot.npz", "embedding": embedding.tolist()}
    prompts = load_prompt_vectors(bundle_dir, DIM)
    assert prompts is not None
    for measurable, answer in zip(
        (True, False), modules.run({**request, "measurable": True}, {**request, "measurable": False}), strict=True
    ):
        assert rounded(answer) == rounded(prompts.answer(embedding, measurable))


def test_the_self_test_judges_alike(modules: NodeModules) -> None:
    draw = np.random.default_rng(4)
    expected, scores = draw.normal(size=(4, 6)), draw.uniform(size=(4, 5)) * 20
    found, found_scores = expected.copy(), scores.copy()
    found[1] += 0.05
    found_scores[2, 3] += 0.05
    found_scores[3, 4] *= 1.0004
    tolerance = {"cosine_min": 0.9999, "score_max_abs": 0.001}
    names = ["same", "embedding", "score", "within"]
    golden = SelfTest(
        **{field.name: None for field in dataclasses.fields(SelfTest)}
        | {"names": names, "embeddings": {"float": expected}, "scores": {"float": scores}}
        | {"tolerances": {"float": tolerance}}
    )
    answers = modules.run(
        *(
            {
                "task": "compare", "tolerance": tolerance, "embedding": expected[i].tolist(),
                "scores": scores[i].tolist(),
                "found": {"embedding": found[i].tolist(), "scores": found_scores[i].tolist()},
            }
            for i in range(4)
        )
    )  # fmt: skip
    judged = golden.compare("float", found, found_scores)
    assert [entry["passed"] for entry in judged] == [True, False, False, True]
    for answer, entry in zip(answers, judged, strict=True):
        assert answer["passed"] == entry["passed"]
        assert answer["cosine"] == pytest.approx(entry["cosine"]) and answer["score_error"] == pytest.approx(
            entry["score_error"]
        )


def test_numbers_in_reasons_are_written_alike(modules: NodeModules) -> None:
    values = [0.0, 1.0, -96.2341, 12.5, 0.000123456, 1.94e3, 99.96, 1e-9, 123456789.0, 0.1, 100.0, -0.5]
    three, six = modules.run(*({"task": "general", "values": values, "digits": digits} for digits in (3, 6)))
    assert three == [f"{value:.3g}" for value in values]
    assert six == [f"{value:.6g}" for value in values]


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_frequencies_lie_where_the_filters_do(modules: NodeModules, scale: str) -> None:
    bands = 64
    edges = hz_to_mel(np.array([25.0, 2000.0]), scale)
    corners = np.linspace(*edges, bands + 2)
    hz = np.array([50.0, 200.0, 900.0, 1500.0])
    frontend = {"kind": "log-mel", "mel_scale": scale, "fmin_hz": 25.0, "fmax_hz": 2000.0}
    (answer,) = modules.run({"task": "bandPlace", "frontend": frontend, "bands": bands, "hz": hz.tolist()})
    # Band m is centered on corner m + 1 and drawn from m to m + 1.
    expected = (np.interp(hz_to_mel(hz, scale), corners, np.arange(bands + 2)) - 1 + 0.5) / bands
    assert np.allclose(answer, expected)
