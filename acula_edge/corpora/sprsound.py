"""SPRSound (Shanghai Jiao Tong University): lung sounds of children, release of the BioCAS 2022 challenge.

``BioCAS2022/train2022_wav/<patient>_<age>_<0|1>_<p1-p4>_<number>.wav`` with ``train2022_json/`` of the same names,
``test2022_wav/`` with ``test2022_json/{inter,intra}_test_json/``; sex is 0 male, 1 female, age in years. Diseases are
in ``Patient Summary/SPRSound_patient_summary.csv``. Recordings of poor quality carry no finding and are set aside.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from acula_edge.data.identity import cell_id
from acula_edge.data.manifest import Recording
from acula_edge.data.reader import Corpus, Options, PublishedSplit, register_reader
from acula_edge.data.release import Candidate, ReleaseReader, find_entry, name_audio, parse_name
from acula_edge.data.release_tables import clean, list_once, read_table
from acula_edge.errors import ManifestError
from acula_edge.limits import MAX_JSON_BYTES
from acula_edge.untrusted.texts import parse_json, read_text

DATASET = "sprsound"
ANNOTATIONS = ("Normal", "CAS", "DAS", "CAS & DAS", "Poor Quality")
EVENTS = ("Normal", "Rhonchi", "Wheeze", "Stridor", "Coarse Crackle", "Fine Crackle", "Wheeze+Crackle")
LOCATIONS = {"p1": "left posterior", "p2": "left lateral", "p3": "right posterior", "p4": "right lateral"}
SPLITS = ("train", "test")
_NAME = re.compile(r"(?P<patient>\d+)_(?P<age>\d+(\.\d+)?)_(?P<sex>[01])_(?P<location>p[1-4])_(?P<number>\d+)")


@register_reader
class SPRSoundReader(ReleaseReader):
    """One recording per site and take."""

    corpus = Corpus(
        name=DATASET,
        title="SPRSound (BioCAS 2022)",
        sound="lung, children",
        licence="see the release's LICENSE file; not stated in any source at hand",
        access="open: https://github.com/SJTU-YONGFU-RESEARCH-GRP/SPRSound (doi 10.21227/nfkk-1x47)",
        layout=(
            "BioCAS2022/train2022_wav/<patient>_<age>_<0|1>_<p1-p4>_<number>.wav and train2022_json/",
            "BioCAS2022/test2022_wav/ and test2022_json/{inter,intra}_test_json/",
            "Patient Summary/SPRSound_patient_summary.csv (optional)",
        ),
        recordings=2683,
        subjects=292,
        alignment_only=True,
    )

    def list_recordings(self, root: Path, options: Options, warnings: list[str]) -> Iterator[Candidate]:
        """See :class:`acula_edge.data.release.ReleaseReader`."""
        diseases = read_diseases(root)
        listed: dict[str, str] = {}
        for path, notes in _list_recordings(find_release(root)):
            name = path.stem
            match = parse_name(self.corpus, _NAME, name, path)
            list_once(listed, name, str(path))
            if notes is None:
                yield Candidate(name, path, reason="it has no annotation")
                continue
            annotation, events = read_annotation(notes)
            if annotation == "Poor Quality":
                yield Candidate(name, path, reason="annotated as of poor quality")
                continue
            yield Candidate(
                recording=name,
                path=path,
                person=match["patient"],
                stratum=annotation,
                metadata={
                    "sound": "lung",
                    "record_annotation": annotation,
                    "most_common_event": events[0] if events else None,
                    "events": ", ".join(events) or None,
                    "disease": diseases.get(match["patient"]),
                    "location": LOCATIONS[match["location"]],
                    "age": float(match["age"]),
                    "sex": "Female" if match["sex"] == "1" else "Male",
                },
            )

    def published(self, root: Path, recordings: Sequence[Recording], options: Options) -> PublishedSplit | None:
        """The challenge's train and test sets; the "intra" part of the test set is of children who are trained on."""
        tested = {r.key for r in recordings if Path(r.path).parent.name == "test2022_wav"}
        return PublishedSplit(
            splits={r.key: {"*": "test" if r.key in tested else "train"} for r in recordings},
            source="official split of the BioCAS 2022 challenge",
            exact=True,
            by_person=False,
        )


def find_release(root: Path) -> Path:
    """The folder that holds ``train2022_wav``.

    Raises:
        ManifestError: there is none.
    """
    for folder in (root, root / "BioCAS2022", root / "releases" / "BioCAS2022"):
        if (folder / "train2022_wav").is_dir():
            return folder
    raise ManifestError(
        f"{root} is not SPRSound: it has no BioCAS2022/train2022_wav", remedy="give the folder that holds BioCAS2022/"
    )


def read_annotation(file: Path) -> tuple[str, list[str]]:
    """The record's annotation, and the kinds of its events, most common first.

    Raises:
        ManifestError: it cannot be read, or holds a label that is not known.
    """
    try:
        notes = parse_json(read_text(file, MAX_JSON_BYTES), allow_nan=True)
        found = notes.get("record_annotation", notes.get("recording_annotation"))
        kinds = [event["type"] for event in notes.get("event_annotation") or ()]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ManifestError(f"the annotation {file} cannot be read", given=type(error).__name__) from error
    annotation = _known(found, ANNOTATIONS, file, "record_annotation")
    counts = Counter(_known(kind, EVENTS, file, "event_annotation") for kind in kinds)
    return annotation, [kind for kind, _ in sorted(counts.items(), key=lambda item: (-item[1], EVENTS.index(item[0])))]


def read_diseases(root: Path) -> dict[str, str | None]:
    """Disease by patient; empty where the summary is not there."""
    folder = find_entry(root, "Patient Summary") or root
    table = find_entry(folder, "SPRSound_patient_summary", suffix=".csv")
    if table is None:
        return {}
    return {
        cell_id(row["patient_num"]): clean(row["disease"]) for _, row in read_table(table, ("patient_num", "disease"))
    }


def _list_recordings(release: Path) -> list[tuple[Path, Path | None]]:
    """Audio files with their annotation, training set first."""
    found: list[tuple[Path, Path | None]] = []
    for split in SPLITS:
        notes: dict[str, Path] = {}
        for path in sorted((release / f"{split}2022_json").rglob("*.json")):
            if not path.name.startswith("."):
                if path.stem in notes:
                    raise ManifestError(
                        f"the recording {path.stem} is annotated twice", given=f"{notes[path.stem]} and {path}"
                    )
                notes[path.stem] = path
        audio = name_audio(release / f"{split}2022_wav")
        found += [(path, notes.pop(path.stem, None)) for path in audio.values()]
        found += [(release / f"{split}2022_wav" / f"{name}.wav", path) for name, path in notes.items()]
    return found


def _known(text: Any, known: Sequence[str], file: Path, place: str) -> str:
    """A label in the spelling of `known`; messages do not repeat the text."""
    spelled = {name.casefold(): name for name in known}
    if not isinstance(text, str) or text.strip().casefold() not in spelled:
        raise ManifestError(f"{file}: {place} holds no known label", allowed=known)
    return spelled[text.strip().casefold()]
