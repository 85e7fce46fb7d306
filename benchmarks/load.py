"""What load does to memory and answers: many threads, many recordings, recordings of hours.

    python benchmarks/load.py BUNDLE --json benchmarks/results/load.json
    python benchmarks/load.py BUNDLE --parts threads calls --minutes 0.5
    python benchmarks/load.py BUNDLE --parts corpus --recordings 1000 10000
    python benchmarks/load.py BUNDLE --parts hours --hours 6 --folder /scratch

* streams: 64 streams in one process (``stream_soak.py``): no window lost, every stream says the same;
* threads: one bundle, 12 threads that call score, embed and stream at random, against the same calls one by one;
* calls: 2,000 scores in a row, resident memory after each tenth;
* corpus: ``data prepare`` of generated recordings of 1 to 10 s at six rates, one in thirty broken, once and again;
* hours: a recording of hours at 4, 16 and 44.1 kHz, WAV and FLAC: ``run``, ``run --stream``, ``data prepare``.

Every command runs in a process of its own; resident memory is its largest. Generated files lie under ``--folder`` (a
temporary one) and are deleted. Seconds are of one try; memory and counts are firm.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from acula_edge.benchmarking.environment import describe_environment
from acula_edge.bundle.folder import read_bundle
from acula_edge.files import write_json
from acula_edge.runtime import Bundle, load_bundle

SCHEMA = "acula-edge/load/1"
RATES_HZ = (2000, 4000, 8000, 16000, 44100, 48000)
THREADS, SOUNDS = 12, 24
BROKEN_EVERY = 30
LONG = ((4000, "wav"), (16000, "wav"), (44100, "wav"), (4000, "flac"), (44100, "flac"))
FELLOWS = 60
"""Short recordings beside a long one: one person cannot be split."""


def main() -> int:
    arguments = parse()
    result: dict[str, Any] = {
        "schema": SCHEMA, "environment": describe_environment(), "bundle": arguments.bundle.name,
    }  # fmt: skip
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="load-") as folder:
        for part in arguments.parts:
            print(f"{part} ...", file=sys.stderr, flush=True)
            result[part] = PARTS[part](arguments, Path(folder))
            print(json.dumps(result[part], indent=2), flush=True)
    if arguments.json is not None:
        write_json(arguments.json, result)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--minutes", type=float, default=2.0, help="of streams and threads")
    parser.add_argument("--recordings", type=int, nargs="+", default=[1000, 10000], help="of the corpora")
    parser.add_argument("--hours", type=float, default=6.0, help="of the long recordings")
    parser.add_argument("--folder", type=Path, help="where a few GB may lie for the time being")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def measure_streams(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """64 streams by the soak's own account; the windows are as many as the sound holds."""
    kept = folder / "soak.json"
    words = [arguments.bundle, "--streams", 64, "--minutes", arguments.minutes, "--hop", 1, "--json", kept]
    # It ends with 1 where one of its own targets, of speed too, is missed.
    ran = run_python(Path(__file__).with_name("stream_soak.py"), *words, allowed=(0, 1))
    soak = json.loads(kept.read_text())
    window_s = read_bundle(arguments.bundle).input.window_s
    # One for every whole hop, and one more for the end where it lies between two hops.
    hops = soak["sound_s"] - window_s
    expected = 64 * (int(hops) + 1 + (hops % 1 > 0))
    names = ("rss_mb", "rss_span_mb", "identical_streams", "sound_per_wall", "windows")
    return {**{name: soak[name] for name in names}, "windows_expected": expected, **ran}


def measure_threads(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Every call of every thread gives what it gave alone."""
    bundle = load_bundle(arguments.bundle)
    generator = np.random.default_rng(0)
    sounds = [make_sound(generator, generator.uniform(1, 12), bundle.sample_rate_hz) for _ in range(SOUNDS)]
    calls: list[Callable[[np.ndarray], Any]] = [
        lambda sound: bundle.score(sound, bundle.sample_rate_hz),
        lambda sound: bundle.embed(sound, bundle.sample_rate_hz).tobytes().hex(),
        lambda sound: hear(bundle, sound),
    ]
    alone = {(kind, number): digest(calls[kind](sound)) for kind in range(3) for number, sound in enumerate(sounds)}
    differing, done, rss = [], [0] * THREADS, [resident_mb()]
    ends = time.monotonic() + 60 * arguments.minutes

    def work(thread: int) -> None:
        draw = random.Random(thread)
        while time.monotonic() < ends:
            kind, number = draw.randrange(3), draw.randrange(SOUNDS)
            if digest(calls[kind](sounds[number])) != alone[kind, number]:
                differing.append((kind, number))
            done[thread] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(1)
        rss.append(resident_mb())
    warm = rss[len(rss) // 5 :]
    return {
        "threads": THREADS, "calls": sum(done), "calls_per_s": sum(done) / (60 * arguments.minutes),
        "differing": len(differing), "rss_mb": {"warm": warm[0], "last": warm[-1], "largest": max(warm)},
    }  # fmt: skip


def measure_calls(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """2,000 scores in a row."""
    bundle = load_bundle(arguments.bundle)
    sound = make_sound(np.random.default_rng(0), 8.0, bundle.sample_rate_hz)
    rss, answers = [], set()
    for call in range(2000):
        answers.add(digest(bundle.score(sound, bundle.sample_rate_hz)))
        if call % 200 == 199:
            rss.append(round(resident_mb(), 2))
    return {"calls": 2000, "different_answers": len(answers), "rss_mb_after_each_200": rss}


def measure_corpus(arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """``data prepare`` of corpora of several sizes, and again from what it kept."""
    rows = []
    for count in arguments.recordings:
        corpus, run = folder / "corpus", folder / "run"
        broken = make_corpus(corpus, count)
        command = ["-m", "acula_edge", "data", "prepare", "manifest", "--root", corpus, "--out", run, "--json"]
        first = run_python(*command)
        stored = {path: path.stat().st_mtime_ns for path in run.rglob("waves-*")}
        again = run_python(*command)
        set_aside = len((run / "set_aside.jsonl").read_text().splitlines())
        rows.append({
            "recordings": count, "broken": broken, "set_aside": set_aside,
            "prepared": len((run / "recordings.jsonl").read_text().splitlines()), "first": first, "again": again,
            "decoded_again": stored != {path: path.stat().st_mtime_ns for path in run.rglob("waves-*")},
        })  # fmt: skip
        shutil.rmtree(corpus)
        shutil.rmtree(run)
    return rows


def measure_hours(arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """One recording of hours: what each command takes, and whether a window is missing."""
    rows = []
    source = read_bundle(arguments.bundle).input
    for rate_hz, kind in LONG:
        corpus = folder / "long"
        make_corpus(corpus, FELLOWS)
        path = corpus / f"long.{kind}"
        seconds = write_long(path, arguments.hours, rate_hz)
        whole = round(seconds * source.sample_rate_hz)
        window, hop = source.samples, round(source.hop_s * source.sample_rate_hz)
        expected = 1 + -(-(whole - window) // hop)
        score = run_python("-m", "acula_edge", "run", arguments.bundle, path, "--json", keep=True)
        stream = run_python("-m", "acula_edge", "run", arguments.bundle, path, "--stream", "--json", keep=True)
        with open(corpus / "manifest.csv", "a") as manifest:
            manifest.write(f"{path.name},long,present\n")
        words = ["data", "prepare", "manifest", "--root", corpus, "--out", folder / "run", "--json"]
        prepared = run_python("-m", "acula_edge", *words)
        windows = json.loads(score.pop("output"))["windows"], len(stream.pop("output").splitlines())
        rows.append({
            "rate_hz": rate_hz, "kind": kind, "hours": seconds / 3600, "samples": round(seconds * rate_hz),
            "windows_expected": expected,
            "run": {**score, "windows": windows[0]}, "run_stream": {**stream, "windows": windows[1]},
            "prepare": prepared,
        })  # fmt: skip
        print(json.dumps(rows[-1]), flush=True)
        shutil.rmtree(corpus)
        shutil.rmtree(folder / "run")
    return rows


def make_sound(generator: np.random.Generator, seconds: float, rate_hz: int) -> np.ndarray:
    """Thuds in noise. Shape: [seconds * rate_hz] float32."""
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    thuds = np.exp(-(((time_s % generator.uniform(0.6, 1.1)) - 0.2) ** 2) / 0.0008)
    thuds *= np.sin(2 * np.pi * generator.uniform(40, 90) * time_s)
    return (0.4 * thuds + 0.01 * generator.standard_normal(time_s.size)).astype(np.float32)


def make_corpus(folder: Path, count: int) -> int:
    """WAV files of 1 to 10 s and their manifest; how many of them are broken."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    rows, broken = ["path,subject,murmur"], 0
    for number in range(count):
        path = folder / f"{number:05}.wav"
        # Low rates are common, so that the corpus stays small.
        rate_hz = RATES_HZ[min(int(generator.exponential(1.2)), len(RATES_HZ) - 1)]
        sound = make_sound(generator, generator.uniform(1, 10), rate_hz)
        soundfile.write(path, sound, rate_hz, subtype="PCM_16")
        if number % BROKEN_EVERY == 0:
            broken += 1
            data = path.read_bytes()
            # Broken off; no recording; empty.
            path.write_bytes([data[: len(data) // 2], b"not a recording" * 100, b""][broken % 3])
        rows.append(f"{path.name},p{number // 3},{('present', 'absent')[number // 3 % 2]}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return broken


def write_long(path: Path, hours: float, rate_hz: int) -> float:
    """A recording of that many hours and a third of a second; its length in seconds."""
    minute = make_sound(np.random.default_rng(rate_hz), 60, rate_hz)
    with soundfile.SoundFile(path, "w", rate_hz, 1, "PCM_16") as file:
        for number in range(round(60 * hours)):
            file.write(np.roll(minute, 997 * number))
        file.write(minute[: round(rate_hz / 3)])
        return file.frames / rate_hz


def hear(bundle: Bundle, sound: np.ndarray) -> list[Any]:
    """What a stream of it says, but for the clock's figures."""
    updates = bundle.stream(np.array_split(sound, 20), bundle.sample_rate_hz)
    return [[update.end_s, update.tasks, update.state, update.recording, update.quality] for update in updates]


def digest(answer: Any) -> str:
    return hashlib.sha256(json.dumps(answer).encode()).hexdigest()


def resident_mb() -> float:
    """Of this process, MB of 2**20 bytes (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def run_python(*words: Any, keep: bool = False, allowed: tuple[int, ...] = (0,)) -> dict[str, Any]:
    """Run Python to its end: seconds, and the largest resident memory in MB of 2**20 bytes."""
    began, peak_kb = time.monotonic(), 0
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen([sys.executable, *map(str, words)], stdout=output, stderr=said)
        while process.poll() is None:
            # What getrusage says would count this process as it was before exec.
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak_kb = max([peak_kb, *(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line)])
            time.sleep(0.05)
        if process.returncode not in allowed:
            said.seek(0)
            raise SystemExit(f"{' '.join(map(str, words))} ended with {process.returncode}: {said.read()[-2000:]}")
        output.seek(0)
        figures: dict[str, Any] = {"seconds": time.monotonic() - began, "peak_rss_mb": peak_kb / 1024}
        return {**figures, "output": output.read()} if keep else figures


PARTS: dict[str, Callable[[argparse.Namespace, Path], Any]] = {
    "streams": measure_streams,
    "threads": measure_threads,
    "calls": measure_calls,
    "corpus": measure_corpus,
    "hours": measure_hours,
}

if __name__ == "__main__":
    raise SystemExit(main())
