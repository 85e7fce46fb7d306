"""Which recordings a run was made of: data sets by name, licence and origin, and the hash of what was used."""

from __future__ import annotations

from acula_edge.bundle.schema import DataSet
from acula_edge.data.manifest import Recording
from acula_edge.data.reader import readers
from acula_edge.files import sha256_json
from acula_edge.run import Run

SUBJECTS_NOTE = (
    "Calibration subjects appear in quantize.json as the first 16 hexadecimal digits of the SHA-256 of their id. That "
    "shows whether two sets of persons overlap without naming anyone to a reader, but ids are short: whoever has a "
    "list of ids can hash it and find them here. The hashes are pseudonyms, not anonymous."
)


def describe_datasets(run: Run) -> dict[str, DataSet]:
    """By data set: ``title, licence, access`` (None where no source states them), counts, and ``version``.

    ``version`` is the SHA-256 of the sorted hashes of the audio files that were used: releases change under one name,
    and copies are often parts of them. ``access`` names the release where its authors number it.
    """
    by_dataset: dict[str, list[Recording]] = {}
    for recording in run.recordings():
        by_dataset.setdefault(recording.dataset, []).append(recording)
    described = {}
    known = set(readers.names())
    for name, recordings in sorted(by_dataset.items()):
        corpus = readers[name].corpus if name in known else None
        described[name] = DataSet(
            title=corpus.title if corpus else None,
            licence=corpus.licence if corpus else None,
            access=corpus.access if corpus else None,
            recordings=len(recordings),
            subjects=len({recording.subject for recording in recordings}),
            synthetic=all(recording.synthetic for recording in recordings) or name == "phantom",
            version=sha256_json(sorted(recording.sha256 for recording in recordings)),
        )
    return described
