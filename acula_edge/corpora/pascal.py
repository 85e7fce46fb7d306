"""PASCAL Classifying Heart Sounds Challenge 2011, set B: heart sounds of a hospital, heard through a DigiScope.

``audio/<class>_[noisy<class>]_<person>_<time>_<site>.wav``, in a few names with a number behind. The release's folders
``Btraining_murmur`` and so on are not looked into. Set B comes from the project behind CirCor, from another campaign:
nobody of it is ever trained on, so that it can say how a model fares on another campaign's recordings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from acula_edge.data.reader import Corpus, Options, register_reader
from acula_edge.data.release import Candidate, ReleaseReader, find_entry, name_audio, parse_name
from acula_edge.probe.tasks import Task, labels

DATASET = "pascal"
CLASSES = {"normal": "normal", "murmur": "murmur", "extrastole": "extrasystole", "extrasystole": "extrasystole"}
_NAME = re.compile(
    r"(?P<label>normal|murmur|extrastole|extrasystole|bunlabelledtest)_(?P<noisy>noisy[a-z]+)?_"
    r"(?P<person>\d+)_(?P<time>\d+)_(?P<site>[A-Za-z]\d*)(?:_\d+)?"
)


@register_reader
class PascalReader(ReleaseReader):
    """Recordings of set B; unlabelled ones have no class."""

    corpus = Corpus(
        name=DATASET,
        title="PASCAL Classifying Heart Sounds, set B",
        sound="heart",
        licence="CC0, as a catalogue says",
        access="open: http://www.peterjbentley.com/heartchallenge/",
        layout=("audio/<class>_[noisy<class>]_<person>_<time>_<site>.wav",),
        recordings=656,
        subjects=171,
        labels={"class": {"normal": 320, "murmur": 95, "extrasystole": 46}},
        test_only=True,
    )

    def list_recordings(self, root: Path, options: Options, warnings: list[str]) -> Iterator[Candidate]:
        """See :class:`acula_edge.data.release.ReleaseReader`."""
        for path in name_audio(find_entry(root, "audio") or root).values():
            match = parse_name(self.corpus, _NAME, path.stem.casefold(), path)
            yield Candidate(
                recording=path.stem,
                path=path,
                person=match["person"],
                split="test",
                metadata={
                    "sound": "heart",
                    "class": CLASSES.get(match["label"]),
                    "noisy": int(match["noisy"] is not None),
                    "location": match["site"].upper(),
                },
            )


# CirCor's probe on another campaign; none of the published tasks.
Task(
    id="C1b",
    name="Heart murmur, other campaign (PASCAL B)",
    dataset="pascal",
    sound="heart",
    target=labels("class", {"murmur": 1, "normal": 0}),
    target_text="murmur = 1, normal = 0, extrasystole and unlabelled dropped",
    labels=("murmur absent", "murmur present"),
    probe_of="C1",
    note="learned from CirCor alone; recordings of a hospital, 0.8 to 28 s, some named noisy",
).register()
