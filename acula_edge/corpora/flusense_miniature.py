"""A miniature FluSense: clips of videos, some of them two clips of one, with TextGrids in a folder of their own."""

from __future__ import annotations

import string
from pathlib import Path

from acula_edge.data.miniature import MiniatureConfig, miniatures
from acula_edge.data.miniature.disk import deal, seconds, write_note
from acula_edge.data.miniature.sounds import breathing, cough, generator, vowel, write_audio

RATE_HZ = 16000
SHARES = {"cough": 50, "sneeze": 15, "sniffle": 10, "throat-clearing": 8, "speech": 12, "etc": 5}
_LETTERS = string.ascii_letters + string.digits + "-_"


@miniatures.register("flusense")
def write(folder: Path, config: MiniatureConfig) -> None:
    """Every third video gives two clips; one clip has no audio, one audio file no labels."""
    labels = deal(generator(config.seed, "labels"), 2 * config.subjects, SHARES)
    for video in range(config.subjects):
        draw = generator(config.seed, f"video {video}")
        name = "".join(_LETTERS[int(place)] for place in draw.integers(0, len(_LETTERS), 10)) + "aA"[video % 2]
        for clip in range(2 if video % 3 == 0 else 1):
            part = f"_{10 * clip}_000-{10 * clip + 10}_000" if video % 3 == 0 or video % 2 else ""
            label = labels[2 * video + clip]
            rng = generator(config.seed, name + part)
            duration_s = seconds(rng, config)
            if label in ("cough", "sneeze", "throat-clearing"):
                wave = cough(rng, duration_s, RATE_HZ, low=bool(rng.random() < 0.5), wet=label == "sneeze")
            elif label == "speech":
                wave = vowel(rng, duration_s, RATE_HZ, float(rng.uniform(100, 220)), 0.2)
            else:
                wave = breathing(rng, duration_s, RATE_HZ, 20.0)
            if (video, clip) != (1, 0):
                write_audio(folder / "FluSense audio" / f"{name}{part}.wav", rng, wave, RATE_HZ)
            if (video, clip) != (2, 0):
                write_note(folder / "flusense_data" / f"{name}{part}.TextGrid", _grid(label, duration_s))
    write_note(folder / "README.md")


def _grid(label: str, duration_s: float) -> str:
    """The long text form, as Praat writes it: something else, the event, speech in some, silence."""
    edges = [0.0, 0.2 * duration_s, 0.6 * duration_s, 0.9 * duration_s, duration_s]
    words = ["etc", label, "" if label == "etc" else "speech" if label == "sniffle" else label, "silence"]
    head = (
        'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'
        f"xmin = 0 \nxmax = {duration_s} \ntiers? <exists> \nsize = 1 \nitem []: \n    item [1]:\n"
        f'        class = "IntervalTier" \n        name = "word" \n        xmin = 0 \n        xmax = {duration_s} \n'
        f"        intervals: size = {len(words)} \n"
    )
    return head + "".join(
        f"        intervals [{number}]:\n            xmin = {edges[number - 1]} \n            xmax = {edges[number]} \n"
        f'            text = "{word}" \n'
        for number, word in enumerate(words, start=1)
    )
