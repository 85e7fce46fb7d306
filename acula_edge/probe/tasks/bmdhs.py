"""Valvular heart disease in BMD-HS (SPEC section 2.4, C2'); beside the 18."""

from __future__ import annotations

from acula_edge.data.manifest import Recording
from acula_edge.probe.tasks import Task, tasks


def diseased(recording: Recording) -> float | None:
    """1 where any valve is diseased, 0 where the heart is normal."""
    normal = recording.metadata.get("normal")
    return float(1 - normal) if normal in (0, 1) else None


tasks.register(
    "B1",
    Task(
        id="B1",
        name="Valvular heart disease (BMD-HS)",
        dataset="bmdhs",
        sound="heart",
        target=diseased,
        target_text="any of AS, AR, MR, MS, MD = 1, normal = 0",
        labels=("normal", "valvular disease"),
        window="at least 8 s",
        assumed=True,
        optional=True,
        note="the paper's second cardiac data set may be this one; it is not among the 18 tasks here",
    ),
)
