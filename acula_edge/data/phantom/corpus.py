"""Generate the phantom corpus on disk: WAV files and a manifest, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import soundfile

from acula_edge.data.manifest import Recording, read_manifest, write_manifest
from acula_edge.data.phantom.cough import coughs
from acula_edge.data.phantom.heart import heart_sound
from acula_edge.data.phantom.lung import breath_leak, lung_sound
from acula_edge.data.phantom.noise import background, handling
from acula_edge.data.phantom.plan import DATASET, PhantomConfig, Plan, generator, plan_corpus
from acula_edge.data.phantom.sound import Array, decibels, rms
from acula_edge.errors import InputError, ManifestError
from acula_edge.files import atomic_folder, read_json, write_json
from acula_edge.progress import track

SCHEMA = "acula-edge/phantom/1"
MARKER = "phantom.json"
# Changes whenever equal parameters give other sound.
VERSION = 1


def generate_wave(plan: Plan, seed: int) -> Array:
    """Wave [T] at the device's rate, as it would be stored; depends on the plan and the seed alone."""
    rng = generator(seed, f"{plan.recording}/sound")
    rate_hz = plan.device.sample_rate_hz
    samples = round(plan.duration_s * rate_hz)
    facts = plan.facts
    if facts["sound"] == "heart":
        wave = heart_sound(rng, samples, rate_hz, facts)
        wave += rng.uniform(0.02, 0.12) * breath_leak(rng, samples, rate_hz)
    elif facts["sound"] == "lung":
        wave = lung_sound(rng, samples, rate_hz, facts)
    else:
        wave = 0.3 * background(rng, samples, rate_hz)
    level = rms(wave)
    peak = float(np.abs(wave).max())
    wave += level * decibels(-plan.snr_db) * background(rng, samples, rate_hz)
    if rng.random() < 0.5:
        wave += rng.uniform(0.3, 0.8) * peak * handling(rng, samples, rate_hz)
    if facts.get("cough"):
        # What is to be heard in these is the cough, so the ratio sets its level too.
        wave += peak * decibels(rng.uniform(-9, 3) + 0.3 * (plan.snr_db - 10)) * coughs(rng, samples, rate_hz)
    return plan.device.record(rng, wave)


def encode_wav(wave: Array, rate_hz: int) -> bytes:
    """A 16-bit WAV file of a wave, which is limited to full scale."""
    pcm = np.clip(np.round(wave * 32768), -32768, 32767).astype(np.int16)
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, rate_hz, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def generate(root: Path, config: PhantomConfig) -> None:
    """Write the corpus to `root`, in the place of another phantom corpus if there is one.

    Raises:
        ManifestError: `root` holds something that is no phantom corpus.
        InputError: it cannot be written.
    """
    if root.exists() and not (root / MARKER).is_file() and (not root.is_dir() or any(root.iterdir())):
        raise ManifestError(
            f"{root} holds something that is no phantom corpus", remedy="choose an empty or a new folder for it"
        )
    with atomic_folder(root) as folder:
        recordings = []
        for plan in track(plan_corpus(config), "generating the phantom corpus"):
            data = encode_wav(generate_wave(plan, config.seed), plan.device.sample_rate_hz)
            name = f"audio/{plan.recording}.wav"
            (folder / "audio").mkdir(exist_ok=True)
            (folder / name).write_bytes(data)
            recordings.append(
                Recording(
                    recording=plan.recording,
                    path=name,
                    subject=f"{DATASET}/{plan.subject}",
                    dataset=DATASET,
                    sample_rate_hz=plan.device.sample_rate_hz,
                    duration_s=plan.duration_s,
                    sha256=hashlib.sha256(data).hexdigest(),
                    stratum=plan.stratum,
                    metadata=plan.facts,
                )
            )
        write_manifest(folder / "manifest.jsonl", recordings)
        write_json(folder / MARKER, _marker(config))


def load(root: Path, config: PhantomConfig) -> list[Recording]:
    """Recordings of the corpus at `root`, generated first unless it is there with the same parameters."""
    root = root.absolute()
    if not is_there(root, config):
        generate(root, config)
    return [replace(r, path=str(root / r.path), synthetic=True) for r in read_manifest(root / "manifest.jsonl")]


def is_there(root: Path, config: PhantomConfig) -> bool:
    """Whether `root` holds the corpus with these parameters."""
    try:
        found = read_json(root / MARKER, schema=SCHEMA)
    except InputError:
        return False
    return bool(found == json.loads(json.dumps(_marker(config)))) and (root / "manifest.jsonl").is_file()


def _marker(config: PhantomConfig) -> dict[str, object]:
    return {"schema": SCHEMA, "version": VERSION, "parameters": asdict(config)}
