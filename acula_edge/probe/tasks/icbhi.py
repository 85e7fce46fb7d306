"""COPD in the ICBHI 2017 respiratory sounds (SPEC section 2.3, T7)."""

from acula_edge.probe.tasks import PublishedProbe, PublishedSplitFacts, Task, labels, tasks

tasks.register(
    "T7",
    Task(
        id="T7",
        name="COPD, lung (ICBHI)",
        dataset="icbhi",
        sound="lung",
        target=labels("diagnosis", {"COPD": 1, "Healthy": 0}),
        target_text="diagnosis COPD = 1, Healthy = 0, others dropped",
        labels=("healthy", "COPD"),
        window="at least 8 s",
        published_probe=PublishedProbe(batch_size=32),
        published_split=PublishedSplitFacts(
            "official challenge split; validation is 20 % of its training recordings",
            (14, 355),
            (4, 89),
            (17, 349),
            leaks="patients 156 and 218 are in train and test; 25 of 28 validation patients are in train",
        ),
    ),
)
