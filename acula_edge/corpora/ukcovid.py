"""UK COVID-19 Vocal Audio Dataset, open access edition (Zenodo 10043978): exhalations and coughs, PCR test result.

``audio_metadata.csv`` (participant_identifier, exhalation_file_name, cough_file_name and others),
``participant_metadata.csv`` (participant_identifier, covid_test_result, symptoms and others), the audio in
``audio_selected/``; optional ``train_test_splits.csv`` (participant_identifier, splits), and the lists of the
recordings that published figures rest on, ``<exhalation|cough>_<training|val|testing>_files_downsample.npy``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from acula_edge.data.lists import fold_name, read_lists
from acula_edge.data.manifest import Recording
from acula_edge.data.reader import Corpus, Options, PublishedSplit, register_reader
from acula_edge.data.release import Candidate, ReleaseReader, find_entry, name_audio, require_file
from acula_edge.data.release_tables import clean, list_once, name_columns, read_keyed, require_label
from acula_edge.errors import ManifestError
from acula_edge.probe.tasks import PublishedProbe, PublishedSplitFacts, Target, Task, labels

DATASET = "ukcovid"
PERSON = "participant_identifier"
SOUNDS = ("exhalation", "cough")
# A test whose result is void, like one that is not linked, leaves its recordings without a label.
RESULTS = {"Positive": "Positive", "Negative": "Negative", "Unknown/Void": None}
_LISTS = {"train": "training", "val": "val", "test": "testing"}
_AUDIO = ("audio_selected", "audio")
_SPELLED = {
    "cough_any": "cough",
    "diarrhoea": "diarrhea",
    "fever_high_temperature": "fever",
    "change_to_sense_of_smell_or_taste": "altered sense of smell or taste",
    "copd_or_emphysema": "COPD or emphysema",
}
_UNSAID = frozenset({"none", "other", "prefer_not_to_say", "onset"})


@dataclass(frozen=True)
class Listed:
    """An audio file of the release's table, with the number of its row there."""

    row: int
    participant: str
    sound: str
    file: str

    @property
    def recording(self) -> str:
        """Id of the recording."""
        return f"{self.participant}_{self.sound}"


@register_reader
class UKCovidReader(ReleaseReader):
    """One recording per participant and sound."""

    corpus = Corpus(
        name=DATASET,
        title="UK COVID-19 Vocal Audio Dataset",
        sound="exhalation and cough, phones and computers",
        licence="OGL 3.0",
        access="open: https://zenodo.org/records/10043978 (doi 10.5281/zenodo.10043978)",
        layout=(
            "audio_metadata.csv",
            "participant_metadata.csv",
            "audio_selected/<file>.wav",
            "train_test_splits.csv (optional)",
            "<exhalation|cough>_<training|val|testing>_files_downsample.npy (optional)",
        ),
        subjects=72_999,
    )

    def list_recordings(self, root: Path, options: Options, warnings: list[str]) -> Iterator[Candidate]:
        """See :class:`acula_edge.data.release.ReleaseReader`."""
        listed, others = read_files(root)
        participants = read_participants(root)
        folder = find_entry(root, *_AUDIO) or root
        audio = name_audio(folder)
        for one in listed:
            facts = participants.get(one.participant)
            if facts is None:
                raise ManifestError(
                    f"{find_table(root, 'audio_metadata')}, row {one.row}: participant_metadata.csv has no participant "
                    f"{one.participant}"
                )
            path = audio.pop(fold_name(one.file), folder / one.file)
            yield Candidate(
                recording=one.recording,
                path=path,
                person=one.participant,
                stratum=facts["covid_test_result"] or "unlabelled",
                metadata={"sound": one.sound, **facts},
            )
        if unlisted := set(audio) - others:
            warnings.append(f"{DATASET}: {len(unlisted)} audio files are in no table and are left out")

    def published(self, root: Path, recordings: Sequence[Recording], options: Options) -> PublishedSplit | None:
        """The lists of the published figures; for a sound without lists the release's own table by participant.

        The lists take 1000, 500 and 1000 recordings of a sound from the sides that the table gives to all of them.
        """
        heard = {recording.metadata["sound"] for recording in recordings}
        by_file = {fold_name(one.file): one for one in read_files(root)[0]}
        side_of: dict[str, str] = {}
        sources: dict[str, str] = {}
        for sound in (sound for sound in SOUNDS if sound in heard):
            lists = read_lists(root, {side: f"{sound}_{name}_files_downsample.npy" for side, name in _LISTS.items()})
            for name, (side, place) in (lists or {}).items():
                if name not in by_file or by_file[name].sound != sound:
                    raise ManifestError(f"{place}: audio_metadata.csv has no {sound} file {name}")
                side_of[by_file[name].recording] = side
            if lists is not None:
                sources[sound] = "OPERA's lists of files"
            elif (by_participant := read_sides(root)) is not None:
                sources[sound] = "train_test_splits.csv, by participant"
                side_of.update((f"{participant}_{sound}", side) for participant, side in by_participant.items())
        if not sources:
            return None
        return PublishedSplit(
            splits={r.key: {"*": side_of[r.recording]} for r in recordings if r.recording in side_of},
            source=next(iter(sources.values()))
            if len(set(sources.values())) == 1
            else "; ".join(f"{sound}: {source}" for sound, source in sources.items()),
            exact=all(sources.get(sound) == "OPERA's lists of files" for sound in heard),
            by_person=True,
        )


def find_table(root: Path, name: str) -> Path:
    """A table of the release."""
    return require_file(UKCovidReader.corpus, name, ".csv", root)


def read_files(root: Path) -> tuple[list[Listed], set[str]]:
    """Audio files of the two sounds, in the table's order, and the folded names of its files of other sounds.

    Raises:
        ManifestError: a participant or a file is in the table twice, or a row names no participant.
    """
    table = find_table(root, "audio_metadata")
    columns = {f"{sound}_file_name": sound for sound in SOUNDS}
    where: dict[str, str] = {}
    listed, others = [], set()
    for participant, (number, row) in read_keyed(table, PERSON, columns, "participant").items():
        for column, cell in row.items():
            file = clean(cell)
            if file is None or not column.strip().casefold().endswith("_file_name"):
                continue
            if column not in columns:
                others.add(fold_name(file))
                continue
            file = Path(file.replace("\\", "/")).name
            list_once(where, fold_name(file), f"{table}, row {number}, column {column}", "audio file")
            listed.append(Listed(number, participant, columns[column], file))
    return listed, others


def read_participants(root: Path) -> dict[str, dict[str, Any]]:
    """Metadata of each participant.

    Raises:
        ManifestError: a participant is in the table twice, or a test result is none that is known.
    """
    table = find_table(root, "participant_metadata")
    found = {}
    for participant, (number, row) in read_keyed(table, PERSON, ["covid_test_result"], "participant").items():
        facts = name_columns(row)
        found[participant] = {
            "covid_test_result": None
            if facts["covid_test_result"] is None
            else require_label(facts["covid_test_result"], RESULTS, table, number, "covid_test_result"),
            "symptoms": _name_marked(facts, "symptom_"),
            "conditions": _name_marked(facts, "respiratory_condition_"),
            "smoker_status": None if facts.get("smoker_status") == "Prefer not to say" else facts.get("smoker_status"),
            "age": (facts.get("age") or "").replace("+", " or older") or None,
            "sex": {"male": "Male", "female": "Female"}.get((facts.get("gender") or "").casefold()),
        }
    return found


def read_sides(root: Path) -> dict[str, str] | None:
    """Side of each participant in the release's own table; None where it is not here.

    Participants of its longitudinal test set and others that are on no side are left out.

    Raises:
        ManifestError: a participant is in the table twice, or no side is known.
    """
    table = find_entry(root, "train_test_splits", suffix=".csv")
    if table is None:
        return None
    rows = read_keyed(table, PERSON, ["splits"], "participant")
    sides = {participant: row["splits"].strip().casefold() for participant, (_, row) in rows.items()}
    side_of = {participant: side for participant, side in sides.items() if side in _LISTS}
    if not side_of:
        raise ManifestError(f"{table}: the column 'splits' names no known side", allowed=_LISTS)
    return side_of


def _name_marked(facts: Mapping[str, str | None], prefix: str) -> str | None:
    """What of a group of yes-or-no columns is marked, separated by commas: ``none``, or None where nothing is said."""
    marked = [name.removeprefix(prefix) for name, value in facts.items() if name.startswith(prefix) and _is_yes(value)]
    words = [_SPELLED.get(name, name.replace("_", " ")) for name in marked if name not in _UNSAID]
    return ", ".join(words) or ("none" if "none" in marked else None)


def _is_yes(value: str | None) -> bool:
    return (value or "").casefold() in {"1", "1.0", "true", "yes"}


# COVID-19 in the UK COVID-19 Vocal Audio Dataset (SPEC section 2.3, T1 and T2).
_covid = partial(
    Task,
    dataset="ukcovid",
    target_text="PCR test Positive = 1, Negative = 0",
    labels=("COVID-19 negative", "COVID-19 positive"),
    window="at least 2 s",
    published=True,
    published_probe=PublishedProbe(batch_size=64),
)
_RULE = "file lists: 1000, 500 and 1000 recordings of the official split by participant"


def _target(sound: str) -> Target:
    return labels("covid_test_result", {"Positive": 1, "Negative": 0}, where={"sound": sound})


_covid(
    id="T1",
    name="COVID-19, exhalation (UK COVID-19)",
    sound="exhalation",
    target=_target("exhalation"),
    published_split=PublishedSplitFacts(_RULE, (652, 348), (327, 173), (681, 319)),
).register()
_covid(
    id="T2",
    name="COVID-19, cough (UK COVID-19)",
    sound="cough",
    target=_target("cough"),
    published_split=PublishedSplitFacts(_RULE, (634, 366), (296, 204), (686, 314)),
).register()
