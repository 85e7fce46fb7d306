"""T19b, respiratory rate in RRuJO, without any encoder: what a probe of embeddings has to beat.

    python benchmarks/respiratory_rate.py --data rrujo=DIR [--run RUN ...] --out FILE.json

Two lines: the mean of all other persons' rates, and a rule that counts breaths. The rule was written before its error
was looked at, and has no fitted number: breath noise (150 to 1,000 Hz) is followed by its envelope, and of all rates
between 6 and 30 breaths per minute the one is taken whose own strength and whose double's, breathing in and out
being two sounds, are largest together in the envelope's spectrum. ``--run`` adds the probe of that
run's encoder, which leaves one person out at a time. Mean absolute error over recordings in breaths per minute, 95 %
intervals over persons.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.data.reader import readers
from acula_edge.data.store import WaveStore

Array = NDArray[np.float64]

RATE_HZ = 4000
ENVELOPE_HZ = 20
BAND_HZ = (150.0, 1000.0)
RATES_PER_MIN = (6.0, 30.0)


def count_breaths(wave: NDArray[np.float32], sample_rate_hz: int = RATE_HZ) -> float:
    """Breaths per minute of a wave [T] of some ten breaths, by the rule of this module."""
    from scipy.signal import butter, periodogram, resample_poly, sosfiltfilt

    noise = sosfiltfilt(butter(4, BAND_HZ, "bandpass", fs=sample_rate_hz, output="sos"), wave)
    smooth = butter(2, 1.5, fs=sample_rate_hz, output="sos")
    envelope = np.log(np.maximum(sosfiltfilt(smooth, np.abs(noise)), 1e-6))
    envelope = resample_poly(envelope - envelope.mean(), 1, sample_rate_hz // ENVELOPE_HZ)
    frequency, power = periodogram(envelope, ENVELOPE_HZ, "hann", nfft=1 << 14, detrend="linear")
    rates = np.arange(*RATES_PER_MIN, 0.05)
    strength = np.interp(rates / 60, frequency, power) + np.interp(rates / 30, frequency, power)
    return float(rates[int(np.argmax(strength))])


def mean_of_others(rates: Array, persons: NDArray[Any]) -> Array:
    """For every recording the mean rate of all other persons' [N]."""
    return np.array([rates[persons != person].mean() for person in persons])


def describe(errors: Array, persons: NDArray[Any], resamples: int = 2000) -> dict[str, Any]:
    """Mean error with an interval over persons, and how many recordings lie within one breath per minute."""
    generator = np.random.default_rng(0)
    names = np.unique(persons)
    rows = [errors[persons == name] for name in names]
    means = [
        np.concatenate([rows[i] for i in generator.integers(0, len(names), len(names))]).mean()
        for _ in range(resamples)
    ]
    low, high = np.percentile(means, [2.5, 97.5])
    return {
        "mae": float(errors.mean()), "ci95": [float(low), float(high)], "within_one": float((errors <= 1).mean()),
        "recordings": len(errors), "persons": len(names),
    }  # fmt: skip


def probe_errors(run_folder: Path, root: Path, cache: Path, rates: Array) -> Array:
    """Errors of a probe of a run's encoder, fitted on all other persons."""
    from acula_edge.encoders import load_encoder
    from acula_edge.pipeline.evaluation import encoder_embeddings
    from acula_edge.probe.heads import fit_cross
    from acula_edge.probe.tasks import tasks
    from acula_edge.run import Run

    run = Run.open(run_folder)
    encoder = load_encoder(run.encoder_dir)
    store = WaveStore.build(readers["rrujo"].read(root, {}).recordings, encoder.frontend.sample_rate_hz, cache)
    recordings = [replace(recording, split="test") for recording in store.recordings]
    embeddings = encoder_embeddings(encoder, store, run.recipe)
    heads = fit_cross(embeddings, recordings, tasks["T19b"])
    found = heads.score(embeddings, [recording.subject for recording in recordings])[:, 0]
    return np.abs(found.astype(np.float64) - rates)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="rrujo=DIR")
    parser.add_argument("--run", action="append", default=[], type=Path, help="with an aligned encoder; repeatable")
    parser.add_argument("--cache", default="runs/respiratory-rate", type=Path, help="where decoded recordings lie")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    root = Path(options.data.partition("=")[2])
    store = WaveStore.build(readers["rrujo"].read(root, {}).recordings, RATE_HZ, options.cache)
    rates = np.array([float(recording.metadata["respiratory_rate"]) for recording in store.recordings])
    persons = np.array([recording.subject for recording in store.recordings])
    counted = np.array([count_breaths(store[index]) for index in range(len(store))])
    lines = {
        "mean of other persons": np.abs(mean_of_others(rates, persons) - rates),
        "breaths counted by a rule": np.abs(counted - rates),
    }
    for run in options.run:
        lines[run.name] = probe_errors(run, root, options.cache, rates)
    figures = {name: describe(errors, persons) for name, errors in lines.items()}
    figures["breaths counted by a rule"]["by_rate"] = {
        f"{rate:g}": float(np.abs(counted - rates)[rates == rate].mean()) for rate in np.unique(rates)
    }
    for name, row in figures.items():
        print(
            f"{name:28s} MAE {row['mae']:.2f} [{row['ci95'][0]:.2f}, {row['ci95'][1]:.2f}]  within one per minute "
            f"{row['within_one']:.0%}  {row['persons']} persons, {row['recordings']} recordings"
        )
    if options.out:
        options.out.write_text(
            json.dumps({"schema": "acula-edge/respiratory-rate/1", "lines": figures}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
