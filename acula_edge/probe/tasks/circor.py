"""Heart murmurs in CirCor DigiScope (SPEC section 2.4)."""

from acula_edge.probe.tasks import Task, labels, tasks

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
        licence="ODC-By 1.0",
        access="open, PhysioNet circor-heart-sound 1.0.3 (the 942 training patients)",
        assumed=True,
        note="the paper's cardiac tasks are not readable; target, split and metric are assumed",
    ),
)
