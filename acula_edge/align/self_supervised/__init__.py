"""Self-supervised objectives that keep the acoustic detail while the encoder is aligned, one small file each."""

from acula_edge.align.self_supervised.base import SelfSupervised, self_supervised
from acula_edge.align.self_supervised.cola import Cola

__all__ = ["Cola", "SelfSupervised", "self_supervised"]
