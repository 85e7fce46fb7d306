"""NoseMic (OPERA): nasal breathing heard by a microphone below the nose, respiratory rate.

``audio/<user>_<x>_<y>_<rr>.wav``; rr is in breaths per minute. What x and y mean is written nowhere; x is taken for
the session and y for the segment's number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from acula_edge.data.reader import Corpus, Options, register_reader
from acula_edge.data.release import Candidate, ReleaseReader, find_entry, name_audio, parse_name
from acula_edge.errors import ManifestError
from acula_edge.probe.tasks import PublishedProbe, PublishedSplitFacts, Task, number

DATASET = "nosemic"
USERS = (*range(4, 15), *range(17, 22))
HIGHEST_RATE_PER_MIN = 120.0
_NAME = re.compile(r"(?P<user>\d+)_(?P<session>[^_]+)_(?P<segment>[^_]+)_(?P<rate>\d+(\.\d+)?)")


@register_reader
class NoseMicReader(ReleaseReader):
    """Segments of sixteen users."""

    corpus = Corpus(
        name=DATASET,
        title="NoseMic",
        sound="nasal breathing, a microphone below the nose",
        licence="custom (University of Cambridge, all rights reserved)",
        access="link in https://github.com/evelyn0414/OPERA/tree/main/datasets/nosemic (Google Drive)",
        layout=("audio/<user>_<x>_<y>_<breaths per minute>.wav",),
        recordings=1297,
        subjects=len(USERS),
        test_only=True,
    )

    def list_recordings(self, root: Path, options: Options, warnings: list[str]) -> Iterator[Candidate]:
        """See :class:`acula_edge.data.release.ReleaseReader`."""
        left_out: dict[int, int] = {}
        for path in name_audio(find_entry(root, "audio") or root).values():
            match = parse_name(self.corpus, _NAME, path.stem, path)
            user, rate_per_min = int(match["user"]), float(match["rate"])
            if not 0 < rate_per_min <= HIGHEST_RATE_PER_MIN:
                raise ManifestError(
                    f"the name of {path} ends in no respiratory rate",
                    given=match["rate"],
                    allowed=f"above 0, up to {HIGHEST_RATE_PER_MIN:g} breaths per minute",
                )
            if user not in USERS:
                left_out[user] = left_out.get(user, 0) + 1
                continue
            yield Candidate(
                recording=path.stem,
                path=path,
                person=str(user),
                metadata={
                    "sound": "nasal breathing",
                    "respiratory_rate": rate_per_min,
                    "session": match["session"],
                    "segment": match["segment"],
                },
            )
        if left_out:
            users = ", ".join(str(user) for user in sorted(left_out))
            warnings.append(
                f"{DATASET}: {sum(left_out.values())} recordings of the users {users} are left out, who are not among "
                "the sixteen of the published evaluation (4 to 14 and 17 to 21)"
            )


# Respiratory rate from nasal breathing in NoseMic (SPEC sections 2.2 and 2.3, T19).
Task(
    id="T19",
    name="Respiratory rate, nose (NoseMic)",
    dataset="nosemic",
    sound="nasal breathing",
    target=number("respiratory_rate"),
    target_text="breaths per minute, from the file's name",
    metric="mae",
    kind="regression",
    unit="breaths/min",
    evaluation="leave-one-subject-out",
    window="windows of 8 s, or 30 s (OPERA-CT)",
    published=True,
    published_probe=PublishedProbe(batch_size=64, val_fraction=0.2, val_unit="recording"),
    published_split=PublishedSplitFacts(
        "one of 16 users is held out at a time; validation is 20 % of the other users' segments",
        leaks="validation segments come from users that are trained on",
    ),
).register()
