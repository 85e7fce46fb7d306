"""HF Lung V1 (Heroic Faith Medical Science): lung sounds of adults in fifteen-second pieces, with timed labels.

From the release's README and Hsu et al., PLoS ONE 16(7): e0254134 (2021):

* ``train/`` and ``test/`` hold ``NAME.wav`` (4 kHz, 15 s) beside ``NAME_label.txt``, whose lines are ``<label> <start>
  <end>``, times as ``hh:mm:ss.mmm``; labels are I and E (breath phases), D (discontinuous sounds, all of them
  crackles), Wheeze, Stridor and Rhonchi. They may overlap.
* ``steth_<yyyymmdd>_<HH>_<MM>_<SS>`` was heard with a Littmann 3200, its site is not known;
  ``trunc_<yyyy>-<mm>-<dd>-<HH>-<MM>-<SS>-L<1-8>_<n>`` is the n-th piece of what one of the eight microphones of an
  HF-Type-1 recorded.
* There are no patient ids. Dates are shifted, and files of one date are very likely of one patient.

Assumed here: all recordings of one date are one person's, which keeps together whoever was recorded on a day; a
patient recorded on two dates counts as two persons. Microphones L1 to L4 lie on the right, L5 to L8 on the left, the
first two of each side in front. A sound that is not annotated in a file with annotations was not heard; of a file
without any annotation nothing is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from acula_edge.data.manifest import Recording
from acula_edge.data.reader import Corpus, Options, PublishedSplit, register_reader
from acula_edge.data.release import Candidate, ReleaseReader, find_entry, name_audio, parse_name
from acula_edge.data.release_tables import list_once, read_note
from acula_edge.errors import ManifestError

DATASET = "hf_lung"
SOUNDS = {"Wheeze": "wheeze", "Stridor": "stridor", "Rhonchi": "rhonchi", "D": "crackles"}
PHASES = {"I": "inspiratory", "E": "expiratory"}
SITES = {
    "1": "right anterior", "2": "right anterior", "3": "right lateral", "4": "right lateral",
    "5": "left anterior", "6": "left anterior", "7": "left lateral", "8": "left lateral",
}  # fmt: skip
SPLITS = ("train", "test")
_STETHOSCOPE = re.compile(r"steth_(?P<date>\d{8})_\d{2}_\d{2}_\d{2}.*")
_MICROPHONES = re.compile(r"trunc_(?P<date>\d{4}-\d{2}-\d{2})-\d{2}-\d{2}-\d{2}-L(?P<site>[1-8])_\d+")
_TIME = re.compile(r"(?:(\d+):)?(?:(\d+):)?(\d+(?:\.\d+)?)")

Event = tuple[str, float, float]


@register_reader
class HFLungReader(ReleaseReader):
    """One recording per fifteen-second file."""

    corpus = Corpus(
        name=DATASET,
        title="HF_Lung_V1",
        sound="lung, adults",
        licence="CC BY 4.0",
        access="open: https://gitlab.com/techsupportHF/HF_Lung_V1",
        layout=(
            "train/ and test/: <name>.wav beside <name>_label.txt",
            "names: steth_<yyyymmdd>_<HH>_<MM>_<SS> or trunc_<yyyy-mm-dd-HH-MM-SS>-L<1-8>_<n>",
        ),
        recordings=9765,
        minutes=2441.25,
        alignment_only=True,
    )

    def list_recordings(self, root: Path, options: Options, warnings: list[str]) -> Iterator[Candidate]:
        """See :class:`acula_edge.data.release.ReleaseReader`."""
        listed: dict[str, str] = {}
        for path in _list_audio(root):
            name = path.stem
            date, site = _read_name(path)
            list_once(listed, name, str(path))
            notes = path.with_name(f"{name}_label.txt")
            if not notes.is_file():
                yield Candidate(name, path, reason="it has no label file")
                continue
            events = read_labels(notes)
            heard = [name for label, name in SOUNDS.items() if any(event[0] == label for event in events)]
            yield Candidate(
                recording=name,
                path=path,
                person=date,
                stratum="+".join(heard),
                metadata={
                    "sound": "lung",
                    **{name: int(name in heard) if events else None for name in SOUNDS.values()},
                    "wheeze_phase": phase_of(events, "Wheeze"),
                    "crackles_phase": phase_of(events, "D"),
                    "location": SITES[site] if site else None,
                    "device": "HF-Type-1" if site else "Littmann 3200",
                },
            )
        warnings.append(f"{DATASET}: there are no patient ids; the recordings of one date count as one person's")

    def published(self, root: Path, recordings: Sequence[Recording], options: Options) -> PublishedSplit | None:
        """The folders of the release; whether they divide patients cannot be told."""
        return PublishedSplit(
            splits={r.key: {"*": Path(r.path).parent.name.casefold()} for r in recordings},
            source="folders of the release",
            exact=True,
            by_person=False,
        )


def read_labels(file: Path) -> list[Event]:
    """Label, start and end in seconds, as listed.

    Raises:
        ManifestError: a line is no label with two times in order, or the label is not known.
    """
    events = []
    for number, line in enumerate(read_note(file).splitlines(), start=1):
        if not line.strip():
            continue
        label, *times = line.split()
        seconds = [_seconds(text) for text in times]
        if label not in (*SOUNDS, *PHASES):
            raise ManifestError(f"{file}, line {number}: not a known label", allowed=(*PHASES, *SOUNDS))
        if len(seconds) != 2 or None in seconds or seconds[1] < seconds[0]:  # type: ignore[operator]
            raise ManifestError(
                f"{file}, line {number}: a label needs a start and a later end",
                allowed="<label> hh:mm:ss.mmm hh:mm:ss.mmm",
            )
        events.append((label, seconds[0], seconds[1]))
    return events  # type: ignore[return-value]


def phase_of(events: Sequence[Event], label: str) -> str | None:
    """Breath phase that a sound's labels overlap: inspiratory, expiratory or both; None where none is annotated."""
    overlapped = [
        word
        for phase, word in PHASES.items()
        if any(
            one[0] == label and other[0] == phase and one[1] < other[2] and other[1] < one[2]
            for one in events
            for other in events
        )
    ]
    return " and ".join(overlapped) or None


def _read_name(path: Path) -> tuple[str, str | None]:
    """Date without hyphens, and the microphone's number."""
    if match := _STETHOSCOPE.fullmatch(path.stem):
        return match["date"], None
    match = parse_name(HFLungReader.corpus, _MICROPHONES, path.stem, path)
    return match["date"].replace("-", ""), match["site"]


def _list_audio(root: Path) -> list[Path]:
    folders = [folder for side in SPLITS if (folder := find_entry(root, side)) is not None]
    if not folders:
        raise ManifestError(
            f"{root} is not HF_Lung_V1: it has neither train/ nor test/",
            remedy="give the folder that holds train/ and test/",
        )
    return [path for folder in folders for path in name_audio(folder).values()]


def _seconds(text: str) -> float | None:
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    first, second, last = match.groups()
    parts = [float(part) for part in (first, second, last) if part is not None]
    seconds = 0.0
    for part in parts:
        seconds = 60 * seconds + part
    return seconds
