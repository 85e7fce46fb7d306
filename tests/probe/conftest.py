"""A small study: 60 subjects, 1-4 phantom recordings each, embeddings that carry a murmur and a rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from acula_edge.data.manifest import Recording
from acula_edge.probe.heads import Probes, fit_probes
from acula_edge.probe.tasks import Task, tasks

SPLITS = {"train": 60, "val": 24, "test": 60}


@dataclass
class Study:
    """Recordings, the embeddings of three models, their probes, and the tasks P1, P2, P4."""

    recordings: list[Recording]
    embeddings: dict[str, np.ndarray]
    tasks: list[Task]
    probes: dict[str, Probes]


def make_recordings(seed: int = 0) -> list[Recording]:
    rng = np.random.default_rng(seed)
    recordings = []
    for split, count in SPLITS.items():
        for number in range(count):
            murmur = number % 3 == 0
            rate = float(rng.uniform(10, 30))
            for take in range(int(rng.integers(1, 5))):
                sound = "heart" if take % 2 == 0 else "lung"
                metadata = {
                    "sound": sound,
                    "murmur": "Present" if murmur else "Absent",
                    "wheeze": int(rng.random() < 0.4),
                    "crackles": int(rng.random() < 0.2),
                    "cough": 0,
                    "respiratory_rate": rate,
                }
                recordings.append(
                    Recording(
                        recording=f"{split}-{number}-{take}",
                        path="",
                        subject=f"phantom/{split}-{number}",
                        dataset="phantom",
                        sample_rate_hz=4000,
                        duration_s=8.0,
                        split=split,
                        metadata=metadata,
                        synthetic=True,
                    )
                )
    return recordings


def make_embeddings(recordings: list[Recording], noise: float = 1.0, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = 0.5 * rng.normal(size=(len(recordings), 12))
    for row, recording in enumerate(recordings):
        facts = recording.metadata
        values[row, 0] += 1.5 * (facts["murmur"] == "Present") + noise * rng.normal()
        values[row, 1] += 1.5 * (facts["wheeze"] or facts["crackles"]) + noise * rng.normal()
        values[row, 2] += facts["respiratory_rate"] / 5 + 0.3 * noise * rng.normal()
    return values.astype(np.float32)


@pytest.fixture(scope="session")
def study() -> Study:
    recordings = make_recordings()
    student = make_embeddings(recordings)
    rng = np.random.default_rng(2)
    embeddings = {
        "float_teacher": np.hstack([student, make_embeddings(recordings, seed=3)]),
        "float_student": student,
        "int8": (student + 0.01 * rng.normal(size=student.shape)).astype(np.float32),
    }
    chosen = [tasks[name] for name in ("P1", "P2", "P4")]
    probes = {model: fit_probes(values, recordings, chosen) for model, values in embeddings.items()}
    return Study(recordings, embeddings, chosen, probes)
