"""CoughVID, first release (Zenodo 4048312): coughs sent in by anyone, with what they say of themselves.

``metadata_compiled.csv`` (uuid, cough_detected, age, gender, status, respiratory_condition, fever_muscle_pain, and what
up to four experts heard in some of them), and the audio, converted with ffmpeg, in ``wav/<uuid>.wav``; the names of a
few converted files lack the last character. Optional: the lists that published figures rest on,
``coughvid__<train|val>_uuids.npy`` and ``coughvid_gender_test_uuids.npy``.

Recordings in which the release's classifier is not sure to hear a cough (cough_detected below 0.8) are left out, as in
published figures. Who sent in two recordings is not known, so each counts as a person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from acula_edge.data.lists import fold_name, read_lists
from acula_edge.data.manifest import Recording
from acula_edge.data.reader import Corpus, Options, PublishedSplit, register_reader
from acula_edge.data.release import Candidate, ReleaseReader, find_entry, name_audio, require_file
from acula_edge.data.release_tables import name_columns, read_keyed, read_number, require_label
from acula_edge.errors import ManifestError
from acula_edge.probe.tasks import PublishedProbe, PublishedSplitFacts, Task, labels

DATASET = "coughvid"
MIN_COUGH_DETECTED = 0.8
# "pnts" is "prefer not to say".
STATUSES = {
    "COVID-19": "COVID-19", "healthy": "healthy", "symptomatic": "symptomatic", "other": None, "pnts": None,
}  # fmt: skip
SEXES = {"female": "Female", "male": "Male", "other": None, "pnts": None}
# Persons of the complete release who are kept, and how many of them the published rule tests.
KEPT = {"Female": 2468, "Male": 4795}
TESTED = {"Female": 1031, "Male": 1924}
EXPERTS = range(1, 5)
FINDINGS = ("dyspnea", "wheezing", "stridor", "choking", "congestion")
# Metadata column -> what the experts' columns of it begin with.
_JUDGED = {
    "cough_type": "cough_type", "severity": "severity", "quality": "quality", "expert_diagnosis": "diagnosis",
}  # fmt: skip
_LISTS = {
    "train": "coughvid__train_uuids.npy",
    "val": "coughvid__val_uuids.npy",
    "test": "coughvid_gender_test_uuids.npy",
}
_SPELLED = {
    "upper_infection": "upper respiratory tract infection",
    "lower_infection": "lower respiratory tract infection",
    "obstructive_disease": "obstructive lung disease",
}
_FLAGS = {"true": 1, "1": 1, "1.0": 1, "false": 0, "0": 0, "0.0": 0}


@register_reader
class CoughVIDReader(ReleaseReader):
    """One cough recording per row of the table."""

    corpus = Corpus(
        name=DATASET,
        title="CoughVID",
        sound="cough, phones and computers",
        licence="CC BY 4.0",
        access="open: https://zenodo.org/records/4048312 (doi 10.5281/zenodo.4048312)",
        layout=(
            "metadata_compiled.csv",
            "wav/<uuid>.wav (made from the release's webm and ogg files with ffmpeg)",
            "coughvid__<train|val>_uuids.npy and coughvid_gender_test_uuids.npy (optional)",
        ),
        recordings=10_746,
        labels={"status": {"COVID-19": 547, "healthy": 5628}, "sex": KEPT},
    )

    def list_recordings(self, root: Path, options: Options, warnings: list[str]) -> Iterator[Candidate]:
        """See :class:`acula_edge.data.release.ReleaseReader`."""
        rows, left_out = read_rows(root)
        folder = find_entry(root, "wav")
        if folder is None:
            raise ManifestError(
                f"{root} has no folder wav",
                remedy="convert the release's webm and ogg files: ffmpeg -i <uuid>.webm wav/<uuid>.wav",
            )
        audio = name_audio(folder)
        file_of = match_files([*rows, *left_out], audio)
        for uuid, metadata in rows.items():
            path = audio[file_of[uuid]] if uuid in file_of else folder / f"{uuid}.wav"
            yield Candidate(
                recording=uuid,
                path=path,
                person=uuid,
                stratum=metadata["status"] or "unlabelled",
                metadata=metadata,
            )
        if left_out:
            warnings.append(
                f"{DATASET}: {len(left_out)} rows have cough_detected below {MIN_COUGH_DETECTED} and are left out"
            )
        if unlisted := len(audio) - len(file_of):
            warnings.append(f"{DATASET}: {unlisted} audio files are in no row and are left out")

    def published(self, root: Path, recordings: Sequence[Recording], options: Options) -> PublishedSplit | None:
        """The lists of the published figures; without them the rule that made the lists.

        The test set is drawn by sex, and serves the task on COVID-19 too.
        """
        rows, left_out = read_rows(root)
        lists = read_lists(root, _LISTS)
        if lists is None:
            return self._deal(rows, recordings)
        unknown = set(lists) - {uuid.casefold() for uuid in (*rows, *left_out)}
        for name, (_, place) in lists.items():
            if name in unknown:
                raise ManifestError(
                    f"{place}: metadata_compiled.csv has no recording {name}", given=f"{len(unknown)} such names"
                )
        missing = sum(uuid.casefold() in lists for uuid in left_out)
        return PublishedSplit(
            splits={r.key: {"*": lists[name][0]} for r in recordings if (name := r.recording.casefold()) in lists},
            source="OPERA's lists of uuids" + (f", without {missing} that are left out" if missing else ""),
            exact=not missing,
            by_person=True,
        )

    @staticmethod
    def _deal(rows: Mapping[str, Mapping[str, Any]], recordings: Sequence[Recording]) -> PublishedSplit | None:
        from sklearn.model_selection import train_test_split

        side_of: dict[str, str] = {}
        for sex, tested in TESTED.items():
            uuids = [uuid for uuid, metadata in rows.items() if metadata["sex"] == sex]
            # What pandas draws with sample(n, random_state=0).
            drawn = np.random.RandomState(0).choice(len(uuids) or 1, round(len(uuids) * tested / KEPT[sex]), False)
            side_of.update((uuids[place], "test") for place in drawn)
        rest = [uuid for uuid in rows if uuid not in side_of]
        if len(rest) < 2:
            return None
        for side, uuids in zip(("train", "val"), train_test_split(rest, test_size=0.25, random_state=100), strict=True):
            side_of.update((uuid, side) for uuid in uuids)
        return PublishedSplit(
            splits={r.key: {"*": side_of[r.recording]} for r in recordings},
            source="published rule: 1031 of 2468 women and 1924 of 4795 men, seed 0; 25 % of the others, seed 100",
            exact=False,
            by_person=True,
        )


def read_rows(root: Path) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Metadata by uuid of the rows that take part, in the table's order, and the uuids of those that are left out.

    Raises:
        ManifestError: a uuid is missing or listed twice, or a cell holds no known label.
    """
    table = require_file(CoughVIDReader.corpus, "metadata_compiled", ".csv", root)
    rows, left_out = {}, []
    for uuid, (number, row) in read_keyed(table, "uuid", ("cough_detected", "gender", "status"), "recording").items():
        facts = name_columns(row)
        cough_detected = read_number(facts["cough_detected"] or "0", 1)
        if cough_detected is None:
            raise ManifestError(
                f"{table}, row {number}: the column 'cough_detected' holds no probability", allowed="0 to 1, or nothing"
            )
        if cough_detected < MIN_COUGH_DETECTED:
            left_out.append(uuid)
            continue
        labels = {
            column: None if facts[column] is None else require_label(facts[column], known, table, number, column)
            for column, known in (("status", STATUSES), ("gender", SEXES))
        }
        labels["sex"] = labels.pop("gender")
        rows[uuid] = {"sound": "cough", **labels, "cough_detected": cough_detected, **describe(facts)}
    return rows, left_out


def match_files(uuids: Sequence[str], stems: Mapping[str, Path]) -> dict[str, str]:
    """File of each recording, by name as the files' names are: its own, else the one that lacks its last character."""
    found = {uuid: fold_name(uuid) for uuid in uuids if fold_name(uuid) in stems}
    taken = set(found.values())
    shortened = {uuid: fold_name(uuid)[:-1] for uuid in uuids if uuid not in found}
    claims = Counter(shortened.values())
    found.update(
        (uuid, stem) for uuid, stem in shortened.items() if stem in stems and stem not in taken and claims[stem] == 1
    )
    return found


def describe(facts: Mapping[str, str | None]) -> dict[str, str | int | None]:
    """What a row says of the person, and what most of the experts who listened say of the cough."""
    heard = [name for name in FINDINGS if _FLAGS.get((agree(facts, name) or "").casefold())]
    nothing = _FLAGS.get((agree(facts, "nothing") or "").casefold())
    age = read_number(facts.get("age"), 120)
    described: dict[str, str | int | None] = {
        "age": None if age is None else round(age),
        "respiratory_condition": _FLAGS.get((facts.get("respiratory_condition") or "").casefold()),
        "fever_muscle_pain": _FLAGS.get((facts.get("fever_muscle_pain") or "").casefold()),
        "findings": ", ".join(heard) or ("none" if nothing else None),
    }
    for column, name in _JUDGED.items():
        answer = agree(facts, name)
        described[column] = None if answer in (None, "unknown") else _SPELLED.get(answer, answer.replace("_", " "))
    return described


def agree(facts: Mapping[str, str | None], name: str) -> str | None:
    """What most experts answered; None where none did, or as many answered otherwise."""
    answers = [answer for expert in EXPERTS if (answer := facts.get(f"{name}_{expert}")) is not None]
    first, *others = Counter(answers).most_common(2) if answers else [(None, 0)]
    return None if others and others[0][1] == first[1] else first[0]


# COVID-19 and sex in CoughVID (SPEC section 2.3, T5 and T6).
_RULE = "uuid lists; the test set is that of the sex task, and for COVID-19 those of it with a label"

Task(
    id="T5",
    name="COVID-19, cough (CoughVID)",
    dataset="coughvid",
    sound="cough",
    target=labels("status", {"COVID-19": 1, "healthy": 0}),
    target_text="self-reported status COVID-19 = 1, healthy = 0, symptomatic dropped",
    labels=("healthy", "COVID-19"),
    window="at least 2 s",
    published=True,
    published_probe=PublishedProbe(batch_size=64),
    published_split=PublishedSplitFacts(_RULE, (2501, 248), (826, 93), (2301, 206)),
).register()
Task(
    id="T6",
    name="Sex, cough (CoughVID)",
    dataset="coughvid",
    sound="cough",
    target=labels("sex", {"Female": 1, "Male": 0}),
    target_text="self-reported female = 1, male = 0, others dropped",
    labels=("male", "female"),
    window="at least 2 s",
    published=True,
    published_probe=PublishedProbe(batch_size=64),
    published_split=PublishedSplitFacts(_RULE, (2154, 1064), (717, 373), (1924, 1031)),
).register()
