"""Severity of COPD in RespiratoryDatabase@TR (SPEC section 2.3, T11)."""

from acula_edge.probe.tasks import PublishedProbe, PublishedSplitFacts, Task, labels, tasks

GRADES = ("COPD0", "COPD1", "COPD2", "COPD3", "COPD4")

tasks.register(
    "T11",
    Task(
        id="T11",
        name="COPD severity, lung (Respiratory@TR)",
        dataset="respiratory_tr",
        sound="lung",
        target=labels("severity", {grade: index for index, grade in enumerate(GRADES)}),
        target_text="severity COPD0 to COPD4; each channel inherits the patient's",
        kind="multiclass",
        labels=GRADES,
        window="at least 8 s",
        published_probe=PublishedProbe(batch_size=32),
        published_split=PublishedSplitFacts(
            "20 % of the patients are test, then 20 % of the others validation, stratified by severity, seed 1337",
            (48, 36, 60, 48, 120),
            (12, 12, 12, 12, 36),
            (12, 12, 12, 24, 48),
        ),
    ),
)
