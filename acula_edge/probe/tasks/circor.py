"""Heart murmurs in CirCor DigiScope (SPEC section 2.4)."""

from acula_edge.probe.tasks import PublishedProbe, PublishedSplitFacts, Task, labels, tasks

tasks.register(
    "C1",
    Task(
        id="C1",
        name="Heart murmur (CirCor)",
        dataset="circor",
        sound="heart",
        target=labels("murmur", {"Present": 1, "Absent": 0}),
        target_text="murmur Present = 1, Absent = 0, Unknown dropped; every site inherits the patient's label",
        labels=("murmur absent", "murmur present"),
        window="at least 8 s",
        published_probe=PublishedProbe(batch_size=32),
        published_split=PublishedSplitFacts(
            "the official validation and test patients are not public: 60, 20 and 20 % of the 942 training patients, "
            "stratified by murmur (assumed)",
            leaks="children of both campaigns have two patient ids, which may be on two sides",
        ),
        assumed=True,
        note="the paper's cardiac tasks are not readable; target, split and metric are assumed",
    ),
)
