"""ZCHSound: heart sounds of children, congenital heart disease.

``clean Heartsound Data/ZCHnnnn.wav`` with ``Clean Heartsound Data Details.csv``, and, read with the option ``noisy``,
``Noise Heartsound Data Details/`` with the table of that name; columns fileName;gender;age(days);diagnosis. One file
is one child.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from acula_edge.data.manifest import Recording
from acula_edge.data.reader import Corpus, Options, PublishedSplit, register_reader
from acula_edge.data.release import Candidate, ReleaseReader, divide, find_entry, name_audio, require_file
from acula_edge.data.release_tables import list_once, name_columns, read_table, require_label
from acula_edge.errors import ManifestError, RecipeError
from acula_edge.probe.tasks import PublishedProbe, PublishedSplitFacts, Task, labels

DATASET = "zchsound"
DIAGNOSES = ("NORMAL", "ASD", "PDA", "PFO", "VSD")
NOISY_RECORDINGS = 318
_FOLDERS = {
    "clean": ("clean Heartsound Data", "Clean Heartsound Data Details"),
    "noisy": ("Noise Heartsound Data Details", "Noise Heartsound Data"),
}
_TABLES = {"clean": "Clean Heartsound Data Details", "noisy": "Noise Heartsound Data Details"}


@register_reader
class ZCHSoundReader(ReleaseReader):
    """The clean recordings; the noisy ones too where the option says so."""

    corpus = Corpus(
        name=DATASET,
        title="ZCHSound",
        sound="heart, children",
        licence="not stated in any source at hand; ask the authors",
        access="site of its authors, reported dead; ask them (doi 10.1109/TBME.2023.3348800)",
        layout=(
            "Clean Heartsound Data Details.csv",
            "clean Heartsound Data/ZCHnnnn.wav",
            "Noise Heartsound Data Details.csv and Noise Heartsound Data Details/ (option noisy)",
        ),
        recordings=941,
        subjects=941,
        labels={"diagnosis": {"NORMAL": 533, "ASD": 119, "PDA": 32, "PFO": 70, "VSD": 187}},
    )

    options = ("noisy",)

    def complete(self, options: Options) -> Corpus:
        """The totals are those of the clean recordings."""
        return replace(self.corpus, recordings=None) if "noisy" in _parts(options) else self.corpus

    def list_recordings(self, root: Path, options: Options, warnings: list[str]) -> Iterator[Candidate]:
        """See :class:`acula_edge.data.release.ReleaseReader`; option ``noisy`` (false): whether to read them too."""
        listed: dict[str, str] = {}
        unlisted = 0
        for noise in _parts(options):
            folder = find_entry(root, *_FOLDERS[noise])
            if folder is None:
                raise ManifestError(f"{root} has no folder of {noise} recordings", allowed=_FOLDERS[noise])
            audio = name_audio(folder)
            table = read_diagnoses(root, noise)
            for name, (number, metadata) in table.items():
                list_once(listed, name, f"{find_table(root, noise)}, row {number}")
                path = audio.pop(name.casefold(), folder / f"{name}.wav")
                yield Candidate(
                    recording=name,
                    path=path,
                    person=name,
                    stratum=metadata["diagnosis"],
                    metadata={"sound": "heart", "noise": noise, **metadata},
                )
            unlisted += len(audio)
        if unlisted:
            warnings.append(f"{DATASET}: {unlisted} audio files are in no table and are left out")

    def published(self, root: Path, recordings: Sequence[Recording], options: Options) -> PublishedSplit | None:
        """Each table in its own order, stratified by diagnosis; scikit-learn, seed 42 (assumed, SPEC section 2.4)."""
        side_of: dict[str, str] = {}
        for noise in _parts(options):
            table = read_diagnoses(root, noise)
            diagnoses = {name: metadata["diagnosis"] for name, (_, metadata) in table.items()}
            sides = divide(diagnoses, seed=42, test=0.2, val=0.2)
            if sides is None:
                return None
            side_of.update(sides)
        return PublishedSplit(
            splits={r.key: {"*": side_of[r.recording]} for r in recordings},
            source="assumed rule: 20 %, then 20 % of the others, by diagnosis, seed 42",
            exact=False,
            by_person=True,
        )


def find_table(root: Path, noise: str) -> Path:
    """The table of the clean or the noisy recordings."""
    return require_file(ZCHSoundReader.corpus, _TABLES[noise], ".csv", root)


def read_diagnoses(root: Path, noise: str) -> dict[str, tuple[int, dict[str, Any]]]:
    """Row's number and metadata of each recording of a table, in its order."""
    file = find_table(root, noise)
    found: dict[str, tuple[int, dict[str, Any]]] = {}
    listed: dict[str, str] = {}
    for number, row in read_table(file, ("fileName", "diagnosis"), delimiter=";"):
        name = row["fileName"].strip()
        name = name[:-4] if name.casefold().endswith(".wav") else name
        if not name:
            raise ManifestError(f"{file}, row {number}: the column 'fileName' is empty")
        list_once(listed, name, f"{file}, row {number}")
        facts = name_columns(row)
        found[name] = (
            number,
            {
                "diagnosis": require_label(row["diagnosis"], DIAGNOSES, file, number, "diagnosis"),
                "age": spell_age(facts.get("age_days")),
                "sex": {"M": "Male", "F": "Female"}.get((facts.get("gender") or "").upper()[:1]),
            },
        )
    return found


def spell_age(days: str | None) -> str | None:
    """``5`` -> ``5 days``, ``300`` -> ``10 months``, ``2310`` -> ``6 years``; None where it is no number."""
    try:
        number = round(float(days or ""))
    except (ValueError, OverflowError):
        return None
    if number < 0:
        return None
    amount, unit = next(
        (int(number / length), unit) for length, unit in ((365.25, "year"), (30.44, "month"), (1, "day"))
        if number >= 2 * length or unit == "day"
    )  # fmt: skip
    return f"{amount} {unit}{'' if amount == 1 else 's'}"


def _parts(options: Options) -> tuple[str, ...]:
    noisy = options.get("noisy", False)
    if not isinstance(noisy, bool):
        raise RecipeError(f"the option noisy of the reader {DATASET!r} is true or false", given=noisy)
    return ("clean", "noisy") if noisy else ("clean",)


# Congenital heart disease in ZCHSound (SPEC section 2.4, C2).
Task(
    id="C2",
    name="Congenital heart disease (ZCHSound)",
    dataset="zchsound",
    sound="heart",
    target=labels("diagnosis", {"NORMAL": 0, "ASD": 1, "PDA": 1, "PFO": 1, "VSD": 1}, where={"noise": "clean"}),
    target_text="ASD, PDA, PFO or VSD = 1, NORMAL = 0; the clean recordings",
    labels=("normal", "abnormal"),
    window="at least 8 s",
    published=True,
    published_probe=PublishedProbe(batch_size=32),
    published_split=PublishedSplitFacts(
        "20 % are test, then 20 % of the others validation, stratified by diagnosis, seed 42 (assumed)"
    ),
    assumed=True,
    note="which cardiac data sets the paper used cannot be read; data set, target, split and metric are assumed",
).register()
