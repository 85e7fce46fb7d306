"""Miniature releases: the folder layout, file names and tables of a published data set with generated sound.

A pipeline can be rehearsed on one before the data arrives, and readers are tested on them. Each lies beside the reader
that it is for, as ``acula_edge/corpora/NAME_miniature.py``, and shares nothing with it, so that a mistake in one shows
in the other:

    @miniatures.register("my-corpus")
    def write(folder: Path, config: MiniatureConfig) -> None: ...
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from acula_edge.errors import InputError
from acula_edge.files import atomic_folder, write_json
from acula_edge.registry import Registry

SCHEMA = "acula-edge/miniature/1"
MARKER = "acula-edge-miniature.json"
"""Its presence in a corpus's folder says that the sound is generated; it lies beside the release's own files."""


@dataclass(frozen=True)
class MiniatureConfig:
    """Size of a miniature release.

    Attributes:
        subjects: about this many persons; where a release's rules need a certain number of them, that number.
        duration_s: mean length of a recording.
        seed: equal seeds give equal files.
    """

    subjects: int = 60
    duration_s: float = 4.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 20 <= self.subjects <= 100_000:
            raise InputError("a miniature release has a certain size", given=self.subjects, allowed="20 to 100000")
        if not 1 <= self.duration_s <= 60:
            raise InputError("a recording's length is out of range", given=self.duration_s, allowed="1 to 60 seconds")


Miniature = Callable[[Path, MiniatureConfig], None]
miniatures: Registry[Miniature] = Registry("miniature release", package="acula_edge.corpora")


def write_miniature(dataset: str, out: Path, config: MiniatureConfig) -> None:
    """Write the miniature release of a data set to `out`, whole or not at all.

    Raises:
        InputError: there is no such miniature, or `out` holds something that is none.
    """
    write = miniatures[dataset]
    if out.exists() and not is_miniature(out) and (not out.is_dir() or any(out.iterdir())):
        raise InputError(
            f"{out} holds something that is no miniature release", remedy="choose an empty or a new folder with --out"
        )
    with atomic_folder(out) as folder:
        write(folder, config)
        write_json(folder / MARKER, {"schema": SCHEMA, "dataset": dataset, "parameters": asdict(config)})


def is_miniature(root: Path) -> bool:
    """Whether a corpus's folder holds generated sound."""
    return (root / MARKER).is_file()
