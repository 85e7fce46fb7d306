"""COVID-19 and sex in CoughVID (SPEC section 2.3, T5 and T6)."""

from acula_edge.probe.tasks import PublishedProbe, PublishedSplitFacts, Task, labels, tasks

_RULE = "uuid lists; the test set is that of the sex task, and for COVID-19 those of it with a label"

tasks.register(
    "T5",
    Task(
        id="T5",
        name="COVID-19, cough (CoughVID)",
        dataset="coughvid",
        sound="cough",
        target=labels("status", {"COVID-19": 1, "healthy": 0}),
        target_text="self-reported status COVID-19 = 1, healthy = 0, symptomatic dropped",
        labels=("healthy", "COVID-19"),
        window="at least 2 s",
        published_probe=PublishedProbe(batch_size=64),
        published_split=PublishedSplitFacts(_RULE, (2501, 248), (826, 93), (2301, 206)),
    ),
)
tasks.register(
    "T6",
    Task(
        id="T6",
        name="Sex, cough (CoughVID)",
        dataset="coughvid",
        sound="cough",
        target=labels("sex", {"Female": 1, "Male": 0}),
        target_text="self-reported female = 1, male = 0, others dropped",
        labels=("male", "female"),
        window="at least 2 s",
        published_probe=PublishedProbe(batch_size=64),
        published_split=PublishedSplitFacts(_RULE, (2154, 1064), (717, 373), (1924, 1031)),
    ),
)
