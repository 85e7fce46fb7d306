"""FluSense (University of Massachusetts Amherst): coughs, sneezes and what surrounds them, in clips of AudioSet.

From the repository and Al Hossain et al., Proc. ACM IMWUT 4(1), 2020 (doi 10.1145/3381014): ``flusense_data/`` holds
one TextGrid of Praat per clip, in its long text form with one tier of intervals; the audio comes by a separate link as
``FluSense audio/`` with files of the same names. A name is AudioSet's: the id of a YouTube video (11 characters), and
the part of it in seconds where the clip is not the whole (``<id>_30_000-40_000``). Labels are cough, sneeze, sniffle,
throat-clearing, speech, etc (everything else), and a few rare ones.

Assumed here: all clips of one video are one person's. Who is heard is not known: one video may hold several persons,
and one person may be in several videos. Silence and "etc" say nothing of health and are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from acula_edge.data.reader import Corpus, Options, register_reader
from acula_edge.data.release import Candidate, ReleaseReader, find_entry, name_audio, parse_name
from acula_edge.data.release_tables import read_note
from acula_edge.errors import ManifestError

DATASET = "flusense"
EVENTS = {
    "cough": "cough", "sneeze": "sneeze", "sniffle": "sniffle", "throat-clearing": "throat clearing",
    "speech": "speech", "snore": "snore", "gasp": "gasp", "breathe": "breathing", "hiccup": "hiccup",
    "vomit": "vomiting", "burp": "burp", "wheeze": "wheeze",
}  # fmt: skip
SYMPTOMS = ("cough", "sneeze", "sniffle", "throat clearing", "wheeze", "breathing", "gasp", "snore")
_NAME = re.compile(r"(?P<video>.{11})(_\d+_\d+-\d+_\d+)?")
_FIELD = re.compile(r'\s*(?P<name>xmin|xmax|text)\s*=\s*(?:"(?P<text>(?:[^"]|"")*)"|(?P<number>[-+.\deE]+))\s*')


@register_reader
class FluSenseReader(ReleaseReader):
    """One recording per clip."""

    corpus = Corpus(
        name=DATASET,
        title="FluSense",
        sound="cough and other airway sounds, in the wild",
        licence="annotations: not stated in the repository; audio: of the YouTube videos that AudioSet names",
        access="open: https://github.com/Forsad/FluSense-data (the audio by a link there)",
        layout=("flusense_data/<video>[_<from>-<to>].TextGrid", "FluSense audio/ with .wav files of the same names"),
        recordings=1132,
        alignment_only=True,
    )

    def list_recordings(self, root: Path, options: Options, warnings: list[str]) -> Iterator[Candidate]:
        """See :class:`acula_edge.data.release.ReleaseReader`."""
        grids = find_entry(root, "flusense_data", "annotations") or root
        folder = find_entry(root, "FluSense audio", "audio") or grids
        audio = name_audio(folder)
        for grid in sorted(p for p in grids.iterdir() if p.suffix.casefold() == ".textgrid" and p.name[0] != "."):
            name = grid.stem
            path = audio.pop(name.casefold(), folder / f"{name}.wav")
            match = parse_name(self.corpus, _NAME, name, grid)
            counts = Counter(EVENTS[label] for label in read_labels(grid) if label in EVENTS)
            if not counts:
                yield Candidate(name, path, reason="no event of the airways or the voice is labeled in it")
                continue
            heard = [name for name in SYMPTOMS if counts[name]]
            yield Candidate(
                recording=name,
                path=path,
                person=match["video"],
                stratum=heard[0] if heard else "speech",
                metadata={
                    "sound": "cough" if counts["cough"] else "airway",
                    "events": ", ".join(heard) or None,
                    "coughs": counts["cough"],
                    "sneezes": counts["sneeze"],
                    "speech": int(counts["speech"] > 0),
                },
            )
        if audio:
            warnings.append(f"{DATASET}: {len(audio)} audio files have no TextGrid and are left out")
        warnings.append(f"{DATASET}: who is heard is not known; the clips of one video count as one person's")


def read_labels(file: Path) -> list[str]:
    """Labels of a TextGrid's intervals in lower case, blanks as hyphens, in order of time; empty ones are left out.

    Raises:
        ManifestError: it is no TextGrid in the long text form.
    """
    text = read_note(file)
    if "TextGrid" not in text or "intervals" not in text:
        raise ManifestError(f"{file} is no TextGrid with intervals", allowed="Praat's long text form")
    found = (_FIELD.fullmatch(line) for line in text.splitlines())
    labels = [match["text"] for match in found if match is not None and match["name"] == "text"]
    words = ("-".join((label or "").casefold().replace("-", " ").split()) for label in labels)
    return [word for word in words if word]
