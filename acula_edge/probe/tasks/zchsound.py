"""Congenital heart disease in ZCHSound (SPEC section 2.4, C2)."""

from acula_edge.probe.tasks import PublishedProbe, PublishedSplitFacts, Task, labels, tasks

tasks.register(
    "C2",
    Task(
        id="C2",
        name="Congenital heart disease (ZCHSound)",
        dataset="zchsound",
        sound="heart",
        target=labels("diagnosis", {"NORMAL": 0, "ASD": 1, "PDA": 1, "PFO": 1, "VSD": 1}, where={"noise": "clean"}),
        target_text="ASD, PDA, PFO or VSD = 1, NORMAL = 0; the clean recordings",
        labels=("normal", "abnormal"),
        window="at least 8 s",
        published_probe=PublishedProbe(batch_size=32),
        published_split=PublishedSplitFacts(
            "20 % are test, then 20 % of the others validation, stratified by diagnosis, seed 42 (assumed)"
        ),
        assumed=True,
        note="which cardiac data sets the paper used cannot be read; data set, target, split and metric are assumed",
    ),
)
