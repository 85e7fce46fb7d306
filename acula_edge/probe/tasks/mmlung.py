"""Lung function from breath and voice in MMLung (SPEC sections 2.2 and 2.3, T13 to T18)."""

from acula_edge.probe.tasks import PublishedProbe, PublishedSplitFacts, Task, number, tasks

_SOUNDS = (("deep breath", "T13", "T14", "T15"), ("vowel o", "T16", "T17", "T18"))
_TARGETS = (
    ("FVC", "fvc_l", "L", "forced vital capacity in liters, by spirometry"),
    ("FEV1", "fev1_l", "L", "forced expiratory volume in the first second in liters, by spirometry"),
    ("FEV1/FVC", "fev1_fvc", "", "FEV1 / FVC, a fraction, by spirometry"),
)

for sound, *ids in _SOUNDS:
    for name, (title, column, unit, text) in zip(ids, _TARGETS, strict=True):
        tasks.register(
            name,
            Task(
                id=name,
                name=f"{title}, {sound} (MMLung)",
                dataset="mmlung",
                sound=sound,
                target=number(column, where={"sound": sound}),
                target_text=text,
                metric="mae",
                kind="regression",
                unit=unit,
                evaluation="leave-one-subject-out",
                window="windows of 5 s, or 20 s (OPERA-CT)",
                # Patience counts epochs; only what is kept waits for every third.
                published_probe=PublishedProbe(batch_size=64, validate_every=3, patience=5, val_fraction=0.11),
                published_split=PublishedSplitFacts("one of 40 subjects is held out at a time"),
                note="with 40 subjects, differences of a few hundredths between encoders are mostly noise",
            ),
        )
