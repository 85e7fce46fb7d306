"""Obstructive disease in lung sounds of King Abdullah University Hospital (SPEC section 2.3, T10)."""

from __future__ import annotations

from acula_edge.data.manifest import Recording
from acula_edge.probe.tasks import Task, tasks


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
        name="Obstructive disease (KAUH), clean",
        dataset="kauh",
        sound="lung",
        target=obstructive,
        target_text="diagnosis contains asthma or COPD = 1, exactly Normal = 0, others dropped",
        labels=("normal", "obstructive"),
        licence="CC BY 4.0",
        access="open, Mendeley Data jwyy9np4gv v3",
        note="split by patient and duplicate group; the published split leaks, so values are not comparable with it",
    ),
)
