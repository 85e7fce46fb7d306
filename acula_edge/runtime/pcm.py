"""PCM as a device hands it over; the rule is :mod:`acula_edge.audio.samples`, the same for files and front ends."""

from __future__ import annotations

from acula_edge.audio.samples import check_rate, to_wave

__all__ = ["check_rate", "to_wave"]
