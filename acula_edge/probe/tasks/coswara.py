"""Smoking and sex in Coswara (SPEC section 2.3, T8 and T9)."""

from acula_edge.probe.tasks import PublishedProbe, PublishedSplitFacts, Task, labels, tasks

_RULE = "20 % of the users are test, then 20 % of the others validation, stratified by this task's label, seed 1337"

tasks.register(
    "T8",
    Task(
        id="T8",
        name="Smoker, cough (Coswara)",
        dataset="coswara",
        sound="cough-shallow",
        target=labels("smoker", {"yes": 1, "no": 0}),
        target_text="self-reported smoker yes = 1, no = 0, no answer dropped",
        labels=("non-smoker", "smoker"),
        window="at least 8 s",
        published_probe=PublishedProbe(batch_size=32),
        published_split=PublishedSplitFacts(_RULE, (477, 129), (120, 32), (150, 40)),
    ),
)
tasks.register(
    "T9",
    Task(
        id="T9",
        name="Sex, cough (Coswara)",
        dataset="coswara",
        sound="cough-shallow",
        target=labels("sex", {"Female": 1, "Male": 0}),
        target_text="self-reported female = 1, male = 0, others dropped",
        labels=("male", "female"),
        window="at least 8 s",
        published_probe=PublishedProbe(batch_size=32),
        published_split=PublishedSplitFacts(_RULE, (1111, 485), (278, 122), (348, 152)),
    ),
)
