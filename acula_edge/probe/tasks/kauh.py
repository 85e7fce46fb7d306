"""Obstructive disease in lung sounds of King Abdullah University Hospital (SPEC section 2.3, T10)."""

from __future__ import annotations

from acula_edge.data.manifest import Recording
from acula_edge.probe.tasks import PublishedProbe, PublishedSplitFacts, Task, tasks


def obstructive(recording: Recording) -> float | None:
    """1 for asthma or COPD (also beside another disease), 0 for exactly "Normal", None for any other diagnosis."""
    diagnosis = recording.metadata.get("diagnosis")
    if not isinstance(diagnosis, str):
        return None
    text = diagnosis.strip().casefold()
    if "asthma" in text or "copd" in text:
        return 1.0
    return 0.0 if text == "normal" else None


tasks.register(
    "T10",
    Task(
        id="T10",
        name="Obstructive disease, lung (KAUH)",
        dataset="kauh",
        sound="lung",
        target=obstructive,
        target_text="diagnosis contains asthma or COPD = 1, exactly Normal = 0, others dropped",
        labels=("normal", "obstructive"),
        window="at least 8 s",
        published_probe=PublishedProbe(batch_size=32, epochs=50, validate_every=5),
        published_split=PublishedSplitFacts(
            "stored array, misaligned with its file list; validation is 10 % of its training recordings",
            (67, 78),
            (8, 9),
            (30, 42),
            leaks="49 of 78 patients are in train and test",
        ),
        note="the published partition leaks patients; values of the clean one are not comparable with the paper's",
    ),
)
