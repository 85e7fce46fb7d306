"""A miniature HF_Lung_V1: two pieces per date, of the stethoscope or of the eight microphones, with timed labels."""

from __future__ import annotations

from pathlib import Path

from acula_edge.data.miniature import MiniatureConfig, miniatures
from acula_edge.data.miniature.disk import deal, heard, seconds, write_note
from acula_edge.data.miniature.sounds import breathing, generator, write_audio

RATE_HZ = 4000
SHARES = {"": 40, "Wheeze": 22, "Rhonchi": 12, "Stridor": 3, "D": 15, "Wheeze D": 5, "none": 3}


@miniatures.register("hf_lung")
def write(folder: Path, config: MiniatureConfig) -> None:
    """What is continuous wheezes, D crackles; one file lacks its labels, and some labels are empty."""
    kinds = deal(generator(config.seed, "sounds"), 2 * config.subjects, SHARES)
    for day in range(config.subjects):
        date = f"{2018 + day // 336}-{1 + day // 28 % 12:02d}-{1 + day % 28:02d}"
        side = "test" if day % 5 == 4 else "train"
        for piece in range(2):
            name = (
                f"steth_{date.replace('-', '')}_09_{piece:02d}_11"
                if day % 2
                else f"trunc_{date}-10-35-06-L{1 + (day + 3 * piece) % 8}_{1 + piece}"
            )
            kind = kinds[2 * day + piece]
            rng = generator(config.seed, name)
            continuous = heard(rng, kind not in ("", "D", "none"))
            duration_s = seconds(rng, config)
            wave = breathing(rng, duration_s, RATE_HZ, rng.uniform(14, 26), continuous, heard(rng, "D" in kind))
            ending = ".WAV" if day == 1 else ".wav"
            write_audio(folder / side / f"{name}{ending}", rng, wave, RATE_HZ)
            if (day, piece) != (2, 1):
                write_note(folder / side / f"{name}_label.txt", _labels(kind, duration_s))
    write_note(folder / "README.md")


def _labels(kind: str, duration_s: float) -> str:
    """A breath every 2.4 s; the sounds lie in it, crackles in inspiration, the others in expiration."""
    if kind == "none":
        return ""
    lines = []
    start = 0.0
    while start < max(duration_s - 0.5, 0.1):
        lines.append(("I", start, start + 0.9))
        lines += [("D", start + 0.2, start + 0.6)] * ("D" in kind)
        lines.append(("E", start + 1.0, start + 2.1))
        lines += [(sound, start + 1.1, start + 1.9) for sound in kind.split() if sound != "D"]
        start += 2.4
    return "".join(f"{label} {_clock(begin)} {_clock(end)}\n" for label, begin, end in lines)


def _clock(time_s: float) -> str:
    return f"00:00:{time_s:06.3f}"
