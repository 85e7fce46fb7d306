"""COVID-19 in the UK COVID-19 Vocal Audio Dataset (SPEC section 2.3, T1 and T2)."""

from functools import partial

from acula_edge.probe.tasks import PublishedProbe, PublishedSplitFacts, Target, Task, labels, tasks

_covid = partial(
    Task,
    dataset="ukcovid",
    target_text="PCR test Positive = 1, Negative = 0",
    labels=("COVID-19 negative", "COVID-19 positive"),
    window="at least 2 s",
    published_probe=PublishedProbe(batch_size=64),
)
_RULE = "file lists: 1000, 500 and 1000 recordings of the official split by participant"


def _target(sound: str) -> Target:
    return labels("covid_test_result", {"Positive": 1, "Negative": 0}, where={"sound": sound})


tasks.register(
    "T1",
    _covid(
        id="T1",
        name="COVID-19, exhalation (UK COVID-19)",
        sound="exhalation",
        target=_target("exhalation"),
        published_split=PublishedSplitFacts(_RULE, (652, 348), (327, 173), (681, 319)),
    ),
)
tasks.register(
    "T2",
    _covid(
        id="T2",
        name="COVID-19, cough (UK COVID-19)",
        sound="cough",
        target=_target("cough"),
        published_split=PublishedSplitFacts(_RULE, (634, 366), (296, 204), (686, 314)),
    ),
)
