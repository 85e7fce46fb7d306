"""RRuJO: breathing at five paced rates, heard by a stethoscope with a microphone; respiratory rate.

``audio/<device>/<rate>/<code>.wav`` and ``manifest.csv`` with ``file``, ``person``, ``device`` and
``breaths_per_minute``: the release's own table is a workbook that does not name the files. Every person breathed at all
five rates, 8, 10, 12, 18 and 20 breaths per minute, so that a model could learn five classes: nobody is trained on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from acula_edge.data.identity import cell_id
from acula_edge.data.reader import Corpus, Options, register_reader
from acula_edge.data.release import Candidate, ReleaseReader
from acula_edge.data.release_tables import read_table
from acula_edge.errors import ManifestError
from acula_edge.plain_text import is_plain_name
from acula_edge.probe.tasks import Task, number

DATASET = "rrujo"
HIGHEST_RATE_PER_MIN = 120.0
COLUMNS = ("file", "person", "device", "breaths_per_minute")


@register_reader
class RRuJOReader(ReleaseReader):
    """One-minute recordings, five of every person and device."""

    corpus = Corpus(
        name=DATASET,
        title="RRuJO",
        sound="paced breathing, stethoscope",
        licence="MIT",
        access="open: https://github.com/QHPC-SP-Research-Lab/Respiratory-Rate-Database",
        layout=("manifest.csv (file, person, device, breaths_per_minute)", "audio/<device>/<rate>/<code>.wav"),
        recordings=310,
        subjects=31,
        test_only=True,
    )

    def list_recordings(self, root: Path, options: Options, warnings: list[str]) -> Iterator[Candidate]:
        """See :class:`acula_edge.data.release.ReleaseReader`."""
        table = root / "manifest.csv"
        for row_number, row in read_table(table, COLUMNS):
            parts = row["file"].split("/")
            if not all(is_plain_name(part) for part in parts):
                raise ManifestError(
                    f"{table}, row {row_number}: no file within the folder", given="a path that leads out"
                )
            yield Candidate(
                # One code names a recording of every device.
                recording=f"{row['device']}-{Path(parts[-1]).stem}",
                path=root.joinpath(*parts),
                person=cell_id(row["person"]),
                split="test",
                metadata={
                    "sound": "breathing",
                    "respiratory_rate": _read_rate(row["breaths_per_minute"], table, row_number),
                    "device": row["device"],
                },
            )


def _read_rate(text: str, table: Path, number: int) -> float:
    try:
        rate_per_min = float(text)
    except ValueError:
        rate_per_min = 0.0
    if not 0 < rate_per_min <= HIGHEST_RATE_PER_MIN:
        raise ManifestError(
            f"{table}, row {number}: the column 'breaths_per_minute' holds no respiratory rate",
            allowed=f"above 0, up to {HIGHEST_RATE_PER_MIN:g} breaths per minute",
        )
    return rate_per_min


# Respiratory rate from paced breathing; none of the published tasks.
Task(
    id="T19b",
    name="Respiratory rate, paced (RRuJO)",
    dataset="rrujo",
    sound="breathing",
    target=number("respiratory_rate"),
    target_text="breaths per minute that the person was paced at: 8, 10, 12, 18 or 20",
    metric="mae",
    kind="regression",
    unit="breaths/min",
    evaluation="leave-one-subject-out",
    note="five values only, so a regressor can learn classes; compare with a line that counts breaths",
).register()
