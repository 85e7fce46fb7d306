"""NoseMic (OPERA): nasal breathing heard by a microphone below the nose, respiratory rate.

``audio/<user>_<x>_<y>_<rr>.wav``; rr is in breaths per minute. What x and y mean is written nowhere; x is taken for
the session and y for the segment's number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from acula_edge.data.manifest import Recording
from acula_edge.data.reader import (
    Corpus,
    PublishedSplit,
    Reader,
    ReadResult,
    check_options,
    readers,
    require_folder,
)
from acula_edge.data.release import find_entry, name_audio, read_or_set_aside, require_recordings, warn_of_counts
from acula_edge.errors import ManifestError

DATASET = "nosemic"
USERS = (*range(4, 15), *range(17, 22))
HIGHEST_RATE_PER_MIN = 120.0
_NAME = re.compile(r"(?P<user>\d+)_(?P<session>[^_]+)_(?P<segment>[^_]+)_(?P<rate>\d+(\.\d+)?)")


class NoseMicReader(Reader):
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

    def read(self, root: Path, options: Mapping[str, Any]) -> ReadResult:
        """See :class:`acula_edge.data.reader.Reader`; there are no options."""
        check_options(DATASET, options, ())
        require_folder(root, "NoseMic (it holds audio/)")
        root = root.absolute()
        result = ReadResult()
        left_out: dict[int, int] = {}
        for path in name_audio(find_entry(root, "audio") or root).values():
            match = _NAME.fullmatch(path.stem)
            if match is None:
                raise ManifestError(
                    f"{path} is not named like a NoseMic recording", allowed="<user>_<x>_<y>_<breaths per minute>.wav"
                )
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
            header = read_or_set_aside(result, f"{DATASET}/{path.stem}", path)
            if header is None:
                continue
            result.recordings.append(
                Recording(
                    recording=path.stem,
                    path=str(path),
                    subject=f"{DATASET}/{user}",
                    dataset=DATASET,
                    sample_rate_hz=header[0],
                    duration_s=header[1],
                    metadata={
                        "sound": "nasal breathing",
                        "respiratory_rate": rate_per_min,
                        "session": match["session"],
                        "segment": match["segment"],
                    },
                )
            )
        require_recordings(root, self.corpus, result)
        if left_out:
            users = ", ".join(str(user) for user in sorted(left_out))
            result.warnings.append(
                f"{DATASET}: {sum(left_out.values())} recordings of the users {users} are left out, who are not among "
                "the sixteen of the published evaluation (4 to 14 and 17 to 21)"
            )
        warn_of_counts(self.corpus, result)
        return result

    def published(
        self, root: Path, recordings: Sequence[Recording], options: Mapping[str, Any]
    ) -> PublishedSplit | None:
        """Every user is held out once."""
        return PublishedSplit({r.key: {"*": "test"} for r in recordings}, "leave one subject out", True, True)


readers.register(DATASET, NoseMicReader())
