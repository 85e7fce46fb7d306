"""Tasks on the generated corpus: they need no download and have known difficulty."""

from functools import partial

from acula_edge.probe.tasks import Task, any_present, labels, number, tasks

_phantom = partial(Task, dataset="phantom", optional=True)

tasks.register(
    "P1",
    _phantom(
        id="P1",
        name="Heart murmur (phantom)",
        sound="heart",
        target=labels("murmur", {"Present": 1, "Absent": 0}, where={"sound": "heart"}),
        target_text="murmur Present = 1, Absent = 0, in heart sounds",
        labels=("murmur absent", "murmur present"),
    ),
)
tasks.register(
    "P2",
    _phantom(
        id="P2",
        name="Adventitious lung sound (phantom)",
        sound="lung",
        target=any_present(("wheeze", "crackles"), where={"sound": "lung"}),
        target_text="wheeze or crackles = 1, neither = 0, in lung sounds",
        labels=("clear", "wheeze or crackles"),
    ),
)
tasks.register(
    "P3",
    _phantom(
        id="P3",
        name="Cough (phantom)",
        sound="lung or room",
        target=any_present(("cough",)),
        target_text="cough = 1, no cough = 0, in lung sounds and room recordings",
        labels=("no cough", "cough"),
    ),
)
tasks.register(
    "P4",
    _phantom(
        id="P4",
        name="Respiratory rate (phantom)",
        sound="lung",
        target=number("respiratory_rate", where={"sound": "lung"}),
        target_text="breaths per minute, in lung sounds",
        metric="mae",
        kind="regression",
        unit="breaths/min",
    ),
)
