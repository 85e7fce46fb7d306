"""A miniature NoseMic: its sixteen users, several segments each, one user who is not among them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from acula_edge.data.miniature import MiniatureConfig, miniatures
from acula_edge.data.miniature.disk import brighten, seconds, write_note
from acula_edge.data.miniature.sounds import breathing, generator, write_audio

RATE_HZ = 16000
USERS = (*range(4, 15), *range(17, 22))
STRANGER = 2
SEGMENTS = 6


@miniatures.register("nosemic")
def write(folder: Path, config: MiniatureConfig) -> None:
    """Breath goes at the rate in the name and grows sharper with it; before exercise (session 0) it is slower."""
    write_note(folder / "audio" / "readme.txt")
    for user in (*USERS, STRANGER):
        person = generator(config.seed, f"user {user}")
        calm = person.uniform(10, 18)
        for segment in range(SEGMENTS if user != STRANGER else 1):
            rng = generator(config.seed, f"user {user}, segment {segment}")
            session = segment % 2
            rate_per_min = float(np.clip(calm + 9 * session + 2 * rng.standard_normal(), 6, 40))
            wave = breathing(rng, seconds(rng, config), RATE_HZ, rate_per_min=rate_per_min)
            wave = brighten(wave, max(0.0, 0.5 * (rate_per_min - 8) + rng.standard_normal()))
            ending = ".WAV" if (user, segment) == (5, 0) else ".wav"
            name = f"{user}_{session}_{segment}_{rate_per_min:.1f}{ending}"
            write_audio(folder / "audio" / name, rng, wave, RATE_HZ)
