"""Respiratory rate from nasal breathing in NoseMic (SPEC sections 2.2 and 2.3, T19)."""

from acula_edge.probe.tasks import PublishedProbe, PublishedSplitFacts, Task, number, tasks

tasks.register(
    "T19",
    Task(
        id="T19",
        name="Respiratory rate, nose (NoseMic)",
        dataset="nosemic",
        sound="nasal breathing",
        target=number("respiratory_rate"),
        target_text="breaths per minute, from the file's name",
        metric="mae",
        kind="regression",
        unit="breaths/min",
        evaluation="leave-one-subject-out",
        window="windows of 8 s, or 30 s (OPERA-CT)",
        published_probe=PublishedProbe(batch_size=64, val_fraction=0.2, val_unit="recording"),
        published_split=PublishedSplitFacts(
            "one of 16 users is held out at a time; validation is 20 % of the other users' segments",
            leaks="validation segments come from users that are trained on",
        ),
    ),
)
