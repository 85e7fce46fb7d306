"""How often do the limits of quality stop real recordings, and how often do they find planted faults?

    python benchmarks/quality_limits.py RUN/recordings.jsonl --json FILE
    python benchmarks/quality_limits.py RUN/recordings.jsonl --bundle BUNDLE

RUN is any run on real recordings: its list says which persons are for training. Limits were chosen on those (--split
train, the default) and are checked on the others (--split rest). Recordings are cut into the windows that a stream
judges; false alarms are counted by window, by recording (judged whole) and by person, with 95 % Wilson intervals.

Faults are planted into the first window of every recording of the split that passes by itself: clipping after a gain,
silence, contact lost for part of the time, offset, narrow band, white noise at a signal-to-noise ratio (in 25 to
800 Hz), rubbing, and too short a clip. A fault is found when its own check fails; that any check fails is beside it.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.decode import read_audio
from acula_edge.audio.quality_limits import QualityLimits, describe_quality
from acula_edge.bundle.folder import read_bundle
from acula_edge.files import write_json
from acula_edge.runtime.quality_gate import QualityGate

SCHEMA = "acula-edge/quality-limits/1"
BAND_HZ = (25.0, 800.0)
# The floor of a stethoscope's own electronics, without a body: -75 dBFS.
SENSOR_FLOOR = 10 ** (-75 / 20)

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class Clip:
    """One recording, and the person whom it is of."""

    wave: Wave
    sample_rate_hz: int
    dataset: str
    subject: str


Fault = Callable[[Wave, int, np.random.Generator], NDArray[Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--split", choices=("train", "rest"), default="train")
    parser.add_argument("--bundle", type=Path, help="whose limits are judged; default the package's")
    parser.add_argument("--window", type=float, default=8.16, metavar="S")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    entry = describe_quality(QualityLimits()) if arguments.bundle is None else read_bundle(arguments.bundle).quality
    gate = QualityGate.from_dict(entry)
    clips = list(read(arguments.recordings, arguments.split))
    result = {
        "schema": SCHEMA,
        "split": arguments.split,
        "window_s": arguments.window,
        "limits": entry["checks"],
        "false_alarms": {name: alarms(gate, group, arguments.window) for name, group in by_dataset(clips).items()},
        "extremes": {name: extremes(gate, group, arguments.window) for name, group in by_dataset(clips).items()},
        "faults": detections(gate, clips, arguments.window),
    }
    if arguments.json is not None:
        write_json(arguments.json, result)
    show(result)


def read(path: Path, split: str) -> Iterator[Clip]:
    """Recordings of a run's list, of persons for training or of the others."""
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if (row["split"] == "train") == (split == "train"):
            audio = read_audio(row["path"])
            yield Clip(audio.wave, audio.sample_rate_hz, row["dataset"], row["subject"])


def by_dataset(clips: list[Clip]) -> dict[str, list[Clip]]:
    groups: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        groups[clip.dataset].append(clip)
    return {**groups, "all": clips}


def windows(clip: Clip, window_s: float) -> list[Wave]:
    """Whole windows one after the other; a clip that is shorter is one."""
    size = round(window_s * clip.sample_rate_hz)
    return [clip.wave[start : start + size] for start in range(0, max(1, clip.wave.size - size + 1), size)]


def alarms(gate: QualityGate, clips: list[Clip], window_s: float) -> dict[str, Any]:
    """How much of what is real is stopped, and by which check."""
    whole = [gate.assess(clip.wave, clip.sample_rate_hz) for clip in clips]
    parts = [[gate.assess(part, clip.sample_rate_hz) for part in windows(clip, window_s)] for clip in clips]
    flat = [quality for qualities in parts for quality in qualities]
    persons: dict[str, list[bool]] = defaultdict(list)
    for clip, quality in zip(clips, whole, strict=True):
        persons[clip.subject].append(quality["measurable"])
    reasons: dict[str, int] = defaultdict(int)
    for quality in flat:
        for reason in quality["reasons"]:
            reasons[reason.partition(":")[0]] += 1
    return {
        "windows": rate(sum(not quality["measurable"] for quality in flat), len(flat)),
        "recordings": rate(sum(not quality["measurable"] for quality in whole), len(whole)),
        "persons": rate(sum(not all(passed) for passed in persons.values()), len(persons)),
        "windows_by_reason": dict(reasons),
    }


def extremes(gate: QualityGate, clips: list[Clip], window_s: float) -> dict[str, dict[str, float]]:
    """The figures of windows: smallest, half a percent from either end, median, largest."""
    figures = [gate.assess(part, clip.sample_rate_hz) for clip in clips for part in windows(clip, window_s)]
    found = {}
    for check in gate.checks:
        values = [figure[check.name] for figure in figures if figure[check.name] is not None]
        points = np.percentile(values, (0, 0.5, 50, 99.5, 100))
        found[check.name] = {q: float(v) for q, v in zip(("p0", "p0.5", "p50", "p99.5", "p100"), points, strict=True)}
    return found


def rate(count: int, total: int) -> dict[str, Any]:
    """A share with its 95 % Wilson interval."""
    z, share = 1.96, count / total
    center = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    return {"count": count, "total": total, "share": share, "ci95": [max(0.0, center - half), min(1.0, center + half)]}


def detections(gate: QualityGate, clips: list[Clip], window_s: float) -> list[dict[str, Any]]:
    """How many planted faults are found, of windows that pass without."""
    sound = [(windows(clip, window_s)[0], clip) for clip in clips]
    sound = [(wave, clip) for wave, clip in sound if gate.assess(wave, clip.sample_rate_hz)["measurable"]]
    rows = []
    for name, reason, fault in faults():
        draw = np.random.default_rng(0)
        own = stopped = 0
        for wave, clip in sound:
            planted = fault(wave, clip.sample_rate_hz, draw)
            quantized = (np.clip(np.round(planted * 32768), -32768, 32767) / 32768).astype(np.float32)
            reasons = [found.partition(":")[0] for found in gate.assess(quantized, clip.sample_rate_hz)["reasons"]]
            own += reason in reasons
            stopped += bool(reasons)
        rows.append(
            {"fault": name, "check": reason, "found": rate(own, len(sound)), "stopped": rate(stopped, len(sound))}
        )
    return rows


def faults() -> Iterator[tuple[str, str, Fault]]:
    """Name, the check that must fail, and what is done to a wave."""
    for share in (0.01, 0.02, 0.03, 0.05, 0.1):
        yield f"{share:.0%} of the samples clipped", "clipped", clip_share(share)
    yield "5% clipped, then turned down by 12 dB", "clipped", lambda w, r, d: clip_share(0.05)(w, r, d) * 0.25
    yield "silence: all zeros", "silent", lambda w, r, d: np.zeros_like(w)
    yield "silence: 70 dB down", "silent", lambda w, r, d: w / np.float32(w.std()) * np.float32(10 ** (-70 / 20))
    for share in (0.2, 0.4, 0.6):
        yield f"zeros for {share:.0%} of the time", "stands still", replace_end(share, lambda n, d: np.zeros(n))
    for share in (0.2, 0.3, 0.5, 0.7, 0.9):
        yield f"contact lost for {share:.0%} of the time", "contact lost", replace_end(share, sensor_noise)
    yield "no contact at all", "silent", lambda w, r, d: sensor_noise(w.size, d).astype(np.float32)
    for offset in (0.2, 0.35, 0.5):
        yield f"offset of {offset:g}", "offset", shift(offset)
    for cutoff in (60, 100, 150, 200):
        yield f"nothing above {cutoff} Hz", "narrow band", low_pass(cutoff)
    for snr in (12, 6, 3, 0, -3, -6):
        yield f"white noise at {snr} dB", "noisy", add_noise(snr)
    for share in (0.2, 0.4):
        yield f"rubbing for {share:.0%} of the time", "handling noise", rub(share)
    yield "half a second", "too short", lambda w, r, d: w[: r // 2]


def clip_share(share: float) -> Fault:
    def fault(wave: Wave, rate_hz: int, draw: np.random.Generator) -> NDArray[Any]:
        centered = wave - wave.mean()
        return np.asarray(np.clip(centered / np.quantile(np.abs(centered), 1 - share), -1, 1))

    return fault


def replace_end(share: float, by: Callable[[int, np.random.Generator], NDArray[Any]]) -> Fault:
    def fault(wave: Wave, rate_hz: int, draw: np.random.Generator) -> NDArray[Any]:
        count = round(share * wave.size)
        return np.concatenate([wave[:-count], by(count, draw)]).astype(np.float32)

    return fault


def sensor_noise(count: int, draw: np.random.Generator) -> NDArray[Any]:
    return SENSOR_FLOOR * draw.standard_normal(count)


def rub(share: float) -> Fault:
    def fault(wave: Wave, rate_hz: int, draw: np.random.Generator) -> NDArray[Any]:
        # 26 dB above the sound itself, and all turned down together where it would clip.
        rubbed = (wave - wave.mean()).astype(np.float64)
        rubbed[: round(share * wave.size)] = 20 * wave.std() * draw.standard_normal(round(share * wave.size))
        return np.asarray(rubbed * min(1.0, 0.9 / float(np.abs(rubbed).max())))

    return fault


def shift(offset: float) -> Fault:
    return lambda wave, rate_hz, draw: (wave - wave.mean()) * 0.5 + offset


def low_pass(cutoff_hz: float) -> Fault:
    def fault(wave: Wave, rate_hz: int, draw: np.random.Generator) -> NDArray[Any]:
        spectrum = np.fft.rfft(wave)
        spectrum[np.fft.rfftfreq(wave.size, 1 / rate_hz) > cutoff_hz] = 0
        return np.asarray(np.fft.irfft(spectrum, wave.size))

    return fault


def add_noise(snr_db: float) -> Fault:
    def fault(wave: Wave, rate_hz: int, draw: np.random.Generator) -> NDArray[Any]:
        noise = draw.standard_normal(wave.size)
        gain = np.sqrt(band_power(wave, rate_hz) / band_power(noise, rate_hz)) * 10 ** (-snr_db / 20)
        mixed = wave - wave.mean() + gain * noise
        # Turned down where it would clip, so that clipping is not what is found.
        return np.asarray(mixed * min(1.0, 0.9 / float(np.abs(mixed).max())))

    return fault


def band_power(wave: NDArray[Any], rate_hz: int) -> float:
    spectrum, frequency = np.abs(np.fft.rfft(wave)) ** 2, np.fft.rfftfreq(wave.size, 1 / rate_hz)
    return float(spectrum[(frequency >= BAND_HZ[0]) & (frequency <= BAND_HZ[1])].sum())


def show(result: dict[str, Any]) -> None:
    for name, found in result["false_alarms"].items():
        for unit in ("windows", "recordings", "persons"):
            print(f"{name:8} {unit:11} not measurable: {text(found[unit])}")
        print(f"{'':8} reasons: {found['windows_by_reason']}")
    for row in result["faults"]:
        print(f"{row['fault']:40} {row['check']:14} {text(row['found'])}   any check {row['stopped']['share']:.1%}")


def text(found: dict[str, Any]) -> str:
    low, high = found["ci95"]
    return f"{found['count']:5} of {found['total']:5} = {found['share']:6.1%} [{low:.1%}, {high:.1%}]"


if __name__ == "__main__":
    main()
