"""Does a stream hold: memory flat, speed steady, answers in time? Through a real pipe, or many streams in one process.

    python benchmarks/stream_soak.py BUNDLE heart1.wav heart2.wav ...
    python benchmarks/stream_soak.py BUNDLE heart*.wav --speed realtime --hop 1 --json FILE
    python benchmarks/stream_soak.py BUNDLE heart*.wav --streams 64 --minutes 2

Recordings are joined and repeated until they fill the minutes; without any, a phantom heart is heard. ``--speed max``
hands sound over as fast as it is taken, ``realtime`` as a microphone would. It needs the base install only.

* resident memory: of the process that streams, after the first tenth (warm-up): span from smallest to largest, and the
  slope of a line through it;
* real-time factor: CPU seconds of the whole process (JSON included) over seconds of sound after the warm-up, and its
  drift, last third against first. The stream's own account of it is kept beside;
* latency: arrival of a window's last sample to the answer (``realtime`` only).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.decode import read_audio
from acula_edge.audio.resample import resample
from acula_edge.benchmarking.environment import describe_environment
from acula_edge.data.phantom.heart import heart_sound
from acula_edge.files import write_json
from acula_edge.runtime import Bundle, load_bundle

SCHEMA = "acula-edge/stream-soak/1"
PIECE_S = 0.1
WARM_UP = 0.1
TARGETS = {"rss_span_mb": 5.0, "real_time_factor": 0.005, "drift": 1.1}

Pcm = NDArray[np.int16]


def main() -> int:
    arguments = parse()
    pcm = join(arguments.audio, arguments.rate, arguments.minutes)
    measure = soak_pipe if arguments.streams == 1 else soak_threads
    figures = measure(arguments, pcm)
    result = {
        "schema": SCHEMA,
        "environment": describe_environment(),
        "bundle": arguments.bundle.name,
        "recordings": len(arguments.audio) or "phantom",
        "sound_s": pcm.size / arguments.rate,
        "sample_rate_hz": arguments.rate,
        "hop_s": arguments.hop,
        "speed": arguments.speed,
        "streams": arguments.streams,
        **figures,
        "targets": TARGETS,
        "within_targets": {name: figures[name] <= limit for name, limit in TARGETS.items()},
    }
    if arguments.json is not None:
        write_json(arguments.json, result)
    print(json.dumps({k: v for k, v in result.items() if k not in ("environment", "over_time")}, indent=2))
    return 0 if all(result["within_targets"].values()) else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("audio", type=Path, nargs="*")
    parser.add_argument("--rate", type=int, default=4000, help="of the stream, in Hz (default 4000)")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--hop", type=float, help="seconds between answers; default the bundle's")
    parser.add_argument("--speed", choices=("max", "realtime"), default="max")
    parser.add_argument("--streams", type=int, default=1, help="more than one: threads that share one bundle")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def join(files: list[Path], rate_hz: int, minutes: float) -> Pcm:
    """16-bit sound of that many minutes. Shape: [T]."""
    count = round(60 * minutes * rate_hz)
    waves = []
    for file in files:
        audio = read_audio(file)
        waves.append(resample(audio.wave, audio.sample_rate_hz, rate_hz))
        if sum(map(len, waves)) >= count:
            break
    if not waves:
        facts = {"age": "Adult", "murmur": "Absent"}
        draw = np.random.default_rng(0)
        heart = heart_sound(draw, min(count, 60 * rate_hz), rate_hz, facts)
        waves.append((0.3 * heart + 0.003 * draw.standard_normal(heart.size)).astype(np.float32))
    pcm = np.clip(np.round(np.concatenate(waves) * 32767), -32768, 32767).astype("<i2")
    return np.resize(pcm, count)


def pieces(pcm: Pcm, rate_hz: int, speed: str) -> Iterator[Pcm]:
    """Pieces of a stream, each no earlier than its last sample is spoken where `speed` is ``realtime``."""
    size, began = round(PIECE_S * rate_hz), time.monotonic()
    for start in range(0, pcm.size, size):
        piece = pcm[start : start + size]
        if speed == "realtime":
            time.sleep(max(0.0, began + (start + piece.size) / rate_hz - time.monotonic()))
        yield piece


def soak_pipe(arguments: argparse.Namespace, pcm: Pcm) -> dict[str, Any]:
    """One stream through ``acula-edge run BUNDLE - --stream``."""
    command = [sys.executable, "-m", "acula_edge", "run", str(arguments.bundle), "-", "--stream"]
    command += ["--rate", str(arguments.rate)]
    command += [] if arguments.hop is None else ["--hop", str(arguments.hop)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    stdin = process.stdin

    def feed() -> None:
        for piece in pieces(pcm, arguments.rate, arguments.speed):
            stdin.write(piece.tobytes())
            stdin.flush()
        stdin.close()

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    rows, updates = [], []
    for line in process.stdout:
        update = json.loads(line)
        cpu_s, rss_mb = usage(process.pid)
        if rss_mb == 0:
            # It has ended already, and these are its last words.
            break
        updates.append(update)
        rows.append({
            "sound_s": update["end_s"], "cpu_s": cpu_s, "rss_mb": rss_mb, "compute_ms": update["compute_ms"],
            "latency_ms": update["latency_ms"], "stream_rtf": update["real_time_factor"],
        })  # fmt: skip
    process.stdout.read()
    if process.wait() != 0:
        raise SystemExit(f"the stream ended with exit code {process.returncode}")
    return {**describe(rows, arguments.speed), "windows": len(rows), "measurable": share_measurable(updates)}


def soak_threads(arguments: argparse.Namespace, pcm: Pcm) -> dict[str, Any]:
    """Many streams of the same sound in this process; all must say the same."""
    bundle = load_bundle(arguments.bundle)
    # What each stream said, as a running hash: kept answers would look like a leak.
    told = [hashlib.sha256() for _ in range(arguments.streams)]
    latencies: list[float] = []
    rows: list[dict[str, float]] = []
    began = time.monotonic()

    def hear(index: int, bundle: Bundle) -> None:
        for update in bundle.stream(pieces(pcm, arguments.rate, arguments.speed), arguments.rate, arguments.hop):
            told[index].update(json.dumps([update.end_s, update.tasks, update.state]).encode())
            latencies.append(update.latency_ms)
            if index == 0:
                cpu_s, rss_mb = usage(os.getpid())
                rows.append({
                    "sound_s": update.end_s, "cpu_s": cpu_s / arguments.streams, "rss_mb": rss_mb,
                    "compute_ms": update.compute_ms, "latency_ms": update.latency_ms,
                    "stream_rtf": update.real_time_factor,
                })  # fmt: skip

    threads = [threading.Thread(target=hear, args=(index, bundle)) for index in range(arguments.streams)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall_s = time.monotonic() - began
    figures = describe(rows, arguments.speed)
    if arguments.speed == "realtime":
        figures["latency_ms"] = percentiles(latencies)
    return {
        **figures,
        "windows": len(latencies),
        "identical_streams": len({hash.hexdigest() for hash in told}) == 1,
        "sound_per_wall": arguments.streams * pcm.size / arguments.rate / wall_s,
    }


def describe(rows: list[dict[str, float]], speed: str) -> dict[str, Any]:
    """Figures after the warm-up, and what they were over time."""
    after = rows[max(1, round(WARM_UP * len(rows))) :]
    if len(after) < 6:
        raise SystemExit("too few answers: give more minutes or a shorter hop")
    sound, cpu, rss = (np.array([row[name] for row in after]) for name in ("sound_s", "cpu_s", "rss_mb"))
    third = len(after) // 3
    first, last = (
        float((cpu[stop] - cpu[start]) / (sound[stop] - sound[start])) for start, stop in ((0, third), (-1 - third, -1))
    )
    compute = [np.median([row["compute_ms"] for row in part]) for part in (after[:third], after[-third:])]
    return {
        "rss_mb": {"first": float(rss[0]), "last": float(rss[-1]), "largest": float(rss.max())},
        "rss_span_mb": float(np.ptp(rss)),
        "rss_slope_mb_per_hour": float(np.polyfit(sound / 3600, rss, 1)[0]),
        "real_time_factor": float((cpu[-1] - cpu[0]) / (sound[-1] - sound[0])),
        "real_time_factor_of_stream": after[-1]["stream_rtf"],
        "real_time_factor_thirds": [first, last],
        "compute_ms": percentiles([row["compute_ms"] for row in after]),
        "compute_ms_thirds": [float(value) for value in compute],
        "drift": float(compute[1] / compute[0]),
        "latency_ms": percentiles([row["latency_ms"] for row in after]) if speed == "realtime" else None,
        "over_time": rows[:: max(1, len(rows) // 60)],
    }


def percentiles(values: list[float]) -> dict[str, float]:
    """Median, tail and worst."""
    return {name: float(np.percentile(values, q)) for name, q in (("p50", 50), ("p99", 99), ("max", 100))}


def share_measurable(updates: list[dict[str, Any]]) -> float:
    """Share of windows that were measurable."""
    return float(np.mean([update["quality"]["measurable"] for update in updates]))


def usage(pid: int) -> tuple[float, float]:
    """CPU seconds and resident memory in MB (2**20 bytes) of a process (Linux).

    The scheduler's own account is in nanoseconds; that of /proc/PID/stat is sampled at ticks, at which a stream wakes.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    accounts = [file.read_text().split() for file in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    ticks = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    cpu_s = sum(int(account[0]) for account in accounts) / 1e9 if accounts else ticks
    return cpu_s, int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    raise SystemExit(main())
