"""What kept the persons who are evaluated out of the alignment corpus, and how much it left out."""

from __future__ import annotations

from acula_edge.reporting.document import Block, Cell, Column, Heading, Notice, Table, Text
from acula_edge.reporting.evidence import Evidence, Json
from acula_edge.reporting.numbers import count, listing

INCLUDED = "evaluation subjects included"
_WHAT = {
    "person": "Of a person who is in a validation or test set of some task",
    "equal": "Equal, byte for byte, to an evaluated recording under another person's id",
    "near": "The same sound as an evaluated recording under another person's id",
    "linked": "More of a person of whom such a copy was found",
}


def includes_evaluated(evidence: Evidence) -> bool:
    """Whether the run was aligned on persons who are evaluated."""
    return evidence.recipe.data.guard.include_evaluation_subjects


def guard_blocks(evidence: Evidence) -> list[Block]:
    """The policy and counts; no ids: those of some data sets hold a person's age."""
    facts: Json | None = evidence.stage("data").get("guard")
    blocks: list[Block] = [Heading("Leak guard of the alignment corpus")]
    if includes_evaluated(evidence):
        included = f" {count(facts['included'], 'test recording')} among them." if facts else ""
        text = (
            "This run was aligned on the persons whom it is evaluated on (include_evaluation_subjects)."
            f"{included} Its figures, and those of every model made from it, are not of unseen persons: they are no "
            "evidence of quality and must not be set beside others."
        )
        return [*blocks, Notice(text, "bad")]
    if facts is None:
        return [*blocks, Text("This run has not been through the guard: it was made before there was one.")]
    policy, evaluated = facts["policy"], facts["evaluated"]
    compared = (
        f"{count(facts['compared'], 'recording')} were compared by fingerprint, up to a bit error of "
        f"{policy['max_bit_error']:g}"
        + (f", {count(facts['too_little'])} are too short or too quiet for it" if facts["too_little"] else "")
        if policy["near_duplicates"]
        else "the recipe leaves out the comparison by fingerprint"
    )
    blocks.append(
        Text(
            f"Left out of alignment are all recordings of the {count(evaluated['test'], 'person')} tested and the "
            f"{count(evaluated['val'], 'person')} of validation, whichever task they are of, and what is equal to or "
            f"sounds like one of theirs under another id: {compared}."
        )
    )
    withheld: dict[str, Json] = facts["withheld"]
    if not withheld:
        blocks.append(Text("No copy was found under another id, and the splits leave nobody on two sides."))
        return blocks
    rows = [
        [Cell(_WHAT.get(reason, reason)), Cell(count(counts["recordings"])), Cell(count(counts["persons"]))]
        for reason, counts in withheld.items()
    ]
    columns = [Column("Reason"), Column("Recordings", numeric=True), Column("Persons", numeric=True)]
    where = listing([f"{name} {count(number)}" for name, number in facts["datasets"].items()])
    blocks.append(
        Table(
            "Training and validation recordings left out by the guard",
            columns,
            rows,
            note=f"By data set: {where}. Their ids are in manifest.json (stages.data.guard.recordings).",
        )
    )
    return blocks
