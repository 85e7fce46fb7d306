"""How well the leak guard knows a sound again, how often it is wrong, and what a corpus of 100,000 recordings costs.

    python benchmarks/near_duplicates.py --circor DIR --kauh DIR --json benchmarks/results/near_duplicates.json
    python benchmarks/near_duplicates.py --scale 100000

Every figure goes the guard's own way: keys, index, comparison by bits at the recipe's threshold. Intervals are exact
(Clopper-Pearson, 95 %).

* Recall: copies of recordings, looked for among all recordings of the data set.
* False alarms: all pairs of recordings of different persons, and of different recordings of one child (CirCor). Of the
  latter one is found, and rightly: 50782_MV_2 is a piece of 50782_MV_1 (bit error 0.009).
* Threshold: the smallest bit error over all offsets of random pairs of different persons, and of one child.
* KAUH: pairs that the copy's manifest names as equal under two patients, and pairs that it does not name.
* Scale: fingerprints that are drawn, not heard (masks of phantom sounds, signs with the persistence of real ones),
  with 1,000 copies among them of whose bits 9 % differ; time and peak memory of the search.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import csv
import io
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.stats import beta

from acula_edge.audio.decode import read_audio
from acula_edge.audio.resample import resample
from acula_edge.data.fingerprint import FRAME_S, Keys, Words, bit_error_rate, fingerprint, make_keys
from acula_edge.data.miniature.sounds import breathing, generator, heart
from acula_edge.data.near_duplicates import MIN_BITS, find_pairs
from acula_edge.data.reader import readers
from acula_edge.recipe import GuardConfig

Wave = NDArray[np.float32]
MAX_BIT_ERROR = GuardConfig().max_bit_error


class Held:
    """Fingerprints in memory."""

    def __init__(self, words: Sequence[Words], keys: Sequence[Keys] = ()) -> None:
        self._words = words
        self._keys = [*keys, *(make_keys(each) for each in words[len(keys) :])]

    def and_also(self, words: Sequence[Words]) -> Held:
        """The same, and others behind them."""
        return Held([*self._words, *words], self._keys)

    def __len__(self) -> int:
        return len(self._words)

    def words(self, number: int) -> Words:
        return self._words[number]

    def keys(self, number: int) -> Keys:
        return self._keys[number]


def encode(wave: Wave, rate: int, container: str, subtype: str) -> tuple[Wave, int]:
    """Through a lossy or lossless encoder at 16 kHz, and back."""
    memory = io.BytesIO()
    soundfile.write(memory, np.clip(resample(wave, rate, 16000), -1, 1), 16000, format=container, subtype=subtype)
    memory.seek(0)
    back, rate = soundfile.read(memory, dtype="float32")
    return back, rate


def noisy(wave: Wave, rng: np.random.Generator, snr_db: float) -> Wave:
    """White noise added, so many decibels below the whole recording."""
    level = float(np.sqrt(np.mean(wave**2))) * 10 ** (-snr_db / 20)
    return (wave + level * rng.standard_normal(len(wave))).astype(np.float32)


def sixteen_bits(wave: Wave) -> Wave:
    return (np.round(np.clip(wave, -1, 1) * 32767) / 32767).astype(np.float32)


def copies(rng: np.random.Generator) -> dict[str, Callable[[Wave, int], tuple[Wave, int]]]:
    """What is done to a recording, by name."""
    return {
        "FLAC at 16 kHz": lambda w, r: encode(w, r, "FLAC", "PCM_16"),
        "4 to 16 to 4 kHz": lambda w, r: (resample(resample(w, r, 16000), 16000, r), r),
        "to 2 kHz": lambda w, r: (resample(w, r, 2000), 2000),
        "gain -12 dB, 16 bits": lambda w, r: (sixteen_bits(w * 10 ** (-12 / 20)), r),
        "gain +12 dB, clipped": lambda w, r: (sixteen_bits(w * 10 ** (12 / 20)), r),
        "shift 1 s": lambda w, r: (w[round(0.997 * r) :], r),
        "middle 60 %": lambda w, r: (w[round(0.2 * len(w)) : round(0.8 * len(w))], r),
        "MP3": lambda w, r: encode(w, r, "MP3", "MPEG_LAYER_III"),
        "Ogg Vorbis": lambda w, r: encode(w, r, "OGG", "VORBIS"),
        "noise at 20 dB": lambda w, r: (noisy(w, rng, 20), r),
        "noise at 10 dB": lambda w, r: (noisy(w, rng, 10), r),
        "MP3, shift, gain -6 dB, noise at 20 dB": lambda w, r: (
            lambda back: (sixteen_bits(0.5 * noisy(back[0], rng, 20)), back[1])
        )(encode(w[round(0.55 * r) :], r, "MP3", "MPEG_LAYER_III")),
    }


def interval(hits: int, number: int) -> dict[str, Any]:
    """A share with its exact 95 % interval."""
    low = float(beta.ppf(0.025, hits, number - hits + 1)) if hits else 0.0
    high = float(beta.ppf(0.975, hits + 1, number - hits)) if hits < number else 1.0
    return {"hits": hits, "of": number, "share": hits / number, "ci95": [low, high]}


def shown(result: dict[str, Any]) -> str:
    low, high = result["ci95"]
    return f"{result['share']:.4g} [{low:.3g}, {high:.3g}] ({result['hits']} of {result['of']})"


def measure_recall(waves: Sequence[tuple[Wave, int]], prints: Held, number: int, seed: int) -> dict[str, Any]:
    """Copies of some recordings, looked for among all."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(waves))[:number]
    results: dict[str, Any] = {}
    for name, change in copies(rng).items():
        made = [fingerprint(*change(*waves[row])) for row in chosen]
        held = prints.and_also(made)
        rank = np.array([0] * len(prints) + [1] * len(made))
        pairs = find_pairs(held, rank, np.arange(len(held)), MAX_BIT_ERROR)
        errors = [p.bit_error for p in pairs if p.second == chosen[p.first - len(prints)]]
        results[name] = {**interval(len(errors), len(chosen)), "largest_bit_error": max(errors, default=None)}
        print(f"  {name:40} {shown(results[name])}, bit error up to {results[name]['largest_bit_error']}", flush=True)
    return results


def all_pairs(prints: Sequence[Words], person: NDArray[Any]) -> set[tuple[int, int]]:
    """What the guard takes for one sound, among recordings of different persons."""
    twice = Held([*prints, *prints])
    rank = np.repeat([0, 1], len(prints))
    found = find_pairs(twice, rank, np.tile(person, 2), MAX_BIT_ERROR)
    rows = ((p.first - len(prints), p.second) for p in found)
    return {(min(row), max(row)) for row in rows if row[0] != row[1]}


def smallest_errors(prints: Sequence[Words], pairs: Sequence[tuple[int, int]]) -> dict[str, float]:
    """Smallest bit error over all offsets with enough bits, per pair; its quantiles over pairs."""
    least = []
    for one, other in pairs:
        a, b = prints[one], prints[other]
        rates = (bit_error_rate(a, b, offset) for offset in range(50 - len(b), len(a) - 50))
        least.append(min((error for error, bits in rates if bits >= MIN_BITS), default=1.0))
    found = np.array([error for error in least if error < 1])
    return {
        "pairs": len(found), "least": float(found.min()), "q01": float(np.quantile(found, 0.01)),
        "median": float(np.median(found)),
    }  # fmt: skip


def measure_data_set(name: str, root: Path, number: int, impostors: int, seed: int) -> dict[str, Any]:
    recordings = readers[name].read(root, {}).recordings
    waves = [(audio.wave, audio.sample_rate_hz) for audio in (read_audio(Path(r.path)) for r in recordings)]
    begun = time.process_time()
    prints = [fingerprint(*wave) for wave in waves]
    seconds = time.process_time() - begun
    persons, person = np.unique([r.subject for r in recordings], return_inverse=True)
    print(f"{name}: {len(recordings)} recordings of {len(persons)} persons", flush=True)
    result: dict[str, Any] = {
        "recordings": len(recordings), "persons": len(persons),
        "cpu_s_per_hour_of_sound": 3600 * seconds / sum(len(w) / r for w, r in waves),
        "recall": measure_recall(waves, Held(prints), number, seed),
    }  # fmt: skip
    size = np.bincount(person)
    apart = (len(prints) ** 2 - int((size**2).sum())) // 2
    wrong = all_pairs(prints, person)
    result["false_alarms_between_persons"] = interval(len(wrong), apart)
    print(f"  false alarms between persons             {shown(result['false_alarms_between_persons'])}", flush=True)
    rng = np.random.default_rng(seed)
    drawn = [tuple(rng.choice(len(prints), 2, replace=False).tolist()) for _ in range(4 * impostors)]
    others = [(a, b) for a, b in drawn if person[a] != person[b]][:impostors]
    result["bit_error_between_persons"] = smallest_errors(prints, others)
    print(f"  smallest bit error between persons       {result['bit_error_between_persons']}", flush=True)
    if name == "circor":
        same = [(a, b) for who in range(len(persons)) for a, b in _pairs(np.flatnonzero(person == who))]
        alike = {pair for pair in all_pairs(prints, np.arange(len(prints))) if person[pair[0]] == person[pair[1]]}
        result["found_within_a_child"] = {
            **interval(len(alike), len(same)),
            "pairs": [[recordings[a].key, recordings[b].key] for a, b in sorted(alike)],
        }
        print(f"  found within a child                     {shown(result['found_within_a_child'])}", flush=True)
        some = [same[place] for place in rng.permutation(len(same))[:impostors]]
        result["bit_error_within_a_child"] = smallest_errors(prints, some)
        print(f"  smallest bit error within a child        {result['bit_error_within_a_child']}", flush=True)
    return result


def _pairs(rows: NDArray[Any]) -> Iterator[tuple[int, int]]:
    for place, first in enumerate(rows.tolist()):
        for second in rows[place + 1 :].tolist():
            yield first, second


def measure_kauh_copies(root: Path) -> dict[str, Any]:
    """Patients under whose names one sound lies, as the copy's manifest knows them and as the guard finds them."""
    with open(root / "manifest.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    waves = [read_audio(root / row["file"]) for row in rows]
    prints = [fingerprint(audio.wave, audio.sample_rate_hz) for audio in waves]
    patients = np.unique([row["patient"] for row in rows], return_inverse=True)[1]
    known: set[tuple[int, int]] = set()
    for place, row in enumerate(rows):
        known |= {
            (place, other) for other in range(place + 1, len(rows))
            if rows[other]["pcm_sha256"] == row["pcm_sha256"] and rows[other]["patient"] != row["patient"]
        }  # fmt: skip
    found = all_pairs(prints, patients)
    linked = {tuple(sorted((rows[a]["patient"], rows[b]["patient"]))) for a, b in found}
    named = {tuple(sorted((rows[a]["patient"], rows[b]["patient"]))) for a, b in known}
    result = {
        "known_pairs_found": interval(len(known & found), len(known)),
        "other_pairs_found": sorted([rows[a]["recording"], rows[b]["recording"]] for a, b in found - known),
        "patients_linked": sorted(map(list, linked)),
        "patients_linked_that_are_not_known": sorted(map(list, linked - named)),
    }
    print(f"kauh, equal under two patients: found {shown(result['known_pairs_found'])}; patients linked {len(linked)}, "
          f"of them not known before {result['patients_linked_that_are_not_known']}", flush=True)  # fmt: skip
    return result


class Drawn:
    """Fingerprints in a file, drawn one by one."""

    def __init__(self, number: int, planted: int, folder: Path, seed: int) -> None:
        rng = np.random.default_rng(seed)
        masks = [mask[:, 1] for mask in (fingerprint(_phantom(n), 4000) for n in range(64))]
        self._places: list[tuple[int, int, int]] = []
        originals: dict[int, Words] = {}
        end = 0
        with open(folder / "drawn.u32", "wb") as file:
            for one in range(number):
                if one < number - planted:
                    words = self._draw(rng, masks[one % len(masks)])
                    if one < planted:
                        originals[one] = words
                else:
                    words = originals[one - (number - planted)].copy()
                    words[:, 0] ^= _rare(rng, len(words), 4) | _rare(rng, len(words), 5)
                keys, frames = make_keys(words)
                numbers = np.concatenate([words.ravel(), keys, frames.view(np.uint32)])
                file.write(numbers.tobytes())
                self._places.append((end, len(words), len(keys)))
                end += len(numbers)
        self._data = np.memmap(folder / "drawn.u32", dtype=np.uint32, mode="r")

    @staticmethod
    def _draw(rng: np.random.Generator, mask: NDArray[np.uint32]) -> Words:
        """Each sign stays as it is from one frame to the next with probability 7/8, as in recordings."""
        flips = _rare(rng, len(mask), 3)
        flips[0] = rng.integers(0, 1 << 32, dtype=np.uint32)
        return np.stack([np.bitwise_xor.accumulate(flips), np.roll(mask, int(rng.integers(len(mask))))], axis=1)

    def __len__(self) -> int:
        return len(self._places)

    def words(self, number: int) -> Words:
        start, frames, _ = self._places[number]
        return self._data[start : start + 2 * frames].reshape(frames, 2)

    def keys(self, number: int) -> Keys:
        start, frames, keys = self._places[number]
        begin = start + 2 * frames
        return self._data[begin : begin + keys], self._data[begin + keys : begin + 2 * keys].view(np.int32)


class PeakMemory:
    """Largest anonymous memory of this process while it is open; mapped files can be dropped at any time."""

    def __enter__(self) -> PeakMemory:
        self.before_mb = self.peak_mb = _anonymous_mb()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            self.peak_mb = max(self.peak_mb, _anonymous_mb())


def _anonymous_mb() -> float:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


def _rare(rng: np.random.Generator, number: int, halvings: int) -> NDArray[np.uint32]:
    """Words of which each bit is set with probability 2 ** -halvings."""
    drawn = rng.integers(0, 1 << 32, (halvings, number), dtype=np.uint32)
    return np.asarray(np.bitwise_and.reduce(drawn), dtype=np.uint32)


def _phantom(number: int) -> Wave:
    rng = generator(11, f"scale {number}")
    wave = heart(rng, 15.0, 4000, number % 4 == 0) if number % 2 else breathing(rng, 15.0, 4000)
    return (0.3 * wave / np.abs(wave).max()).astype(np.float32)


def measure_scale(number: int, seed: int) -> dict[str, Any]:
    """Thirty percent are evaluated; the planted copies lie on the other side."""
    planted = min(1000, number // 10)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        prints = Drawn(number, planted, Path(folder), seed)
        drawing_s = time.perf_counter() - begun
        rank = np.zeros(number, np.int64)
        rank[: max(planted, round(0.3 * number))] = 2
        begun, processor = time.perf_counter(), time.process_time()
        with PeakMemory() as memory:
            pairs = find_pairs(prints, rank, np.arange(number), MAX_BIT_ERROR)
        wall_s, cpu_s = time.perf_counter() - begun, time.process_time() - processor
        bytes_on_disk = (Path(folder) / "drawn.u32").stat().st_size
    right = sum(p.second == number - planted + p.first for p in pairs)
    result = {
        "recordings": number, "seconds_each": 15.0, "search_s": wall_s, "search_cpu_s": cpu_s, "drawing_s": drawing_s,
        "memory_before_mb": memory.before_mb, "peak_memory_mb": memory.peak_mb,
        "file_mb": bytes_on_disk / 1e6, "planted": interval(right, planted), "others": len(pairs) - right,
    }  # fmt: skip
    print(f"{number} recordings: {wall_s:.0f} s ({cpu_s:.0f} s of one core), peak {result['peak_memory_mb']:.0f} MB "
          f"(file of {result['file_mb']:.0f} MB mapped), planted {shown(result['planted'])}, "
          f"others {result['others']}", flush=True)  # fmt: skip
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--circor", type=Path)
    parser.add_argument("--kauh", type=Path)
    parser.add_argument("--recordings", type=int, default=150, help="copies made of each kind and data set")
    parser.add_argument("--impostors", type=int, default=200, help="pairs compared at all offsets")
    parser.add_argument("--scale", type=int, default=0, help="recordings of the drawn corpus")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results: dict[str, Any] = {"schema": "acula-edge/near-duplicates/1", "max_bit_error": MAX_BIT_ERROR,
                               "min_bits": MIN_BITS, "frame_s": FRAME_S}  # fmt: skip
    for name in ("circor", "kauh"):
        root = getattr(arguments, name)
        if root is not None:
            results[name] = measure_data_set(name, root, arguments.recordings, arguments.impostors, arguments.seed)
    if arguments.kauh is not None:
        results["kauh_copies"] = measure_kauh_copies(arguments.kauh)
    if arguments.scale:
        results["scale"] = measure_scale(arguments.scale, arguments.seed)
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
