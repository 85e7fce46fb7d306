"""The file on the disk that a table's path means, where the two are spelled differently.

Folders copied from a Mac hold decomposed names (``Herzto\u0308n.wav``) for composed ones in the table, cameras and
recorders write ``.WAV``, and tables made on Windows have backslashes. What means one file only is found; nothing is
guessed between two.
"""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

_SHOWN = 3


class ListedFiles:
    """Finds listed paths; remembers the folders it looked into, for as long as one table is read."""

    def __init__(self) -> None:
        self._names: dict[Path, dict[str, list[str]]] = {}

    def find(self, folder: Path, listed: str) -> Path:
        """The existing file that `listed` means, relative to `folder` (or absolute); as it is listed where none is.

        An exact name wins, then one that differs by its Unicode form, then the only one that differs by case, by the
        kind of a blank or by the width of a letter.
        """
        exact = Path(os.path.normpath(folder / listed))
        if os.path.lexists(exact):
            return exact
        slashes = Path(os.path.normpath(folder / listed.replace("\\", "/")))
        found = Path(slashes.anchor)
        for part in slashes.parts[len(found.parts) :]:
            name = part if os.path.lexists(found / part) else self._only_one_alike(found, part)
            if name is None:
                return exact
            found /= name
        return found

    def near(self, missing: Path) -> list[str]:
        """Names beside a file that is not there which differ by case, by Unicode form or by their ending; a few."""
        same_stem = self._in(missing.parent).get(_caseless(missing.stem), [])
        return sorted(same_stem)[:_SHOWN]

    def _only_one_alike(self, folder: Path, name: str) -> str | None:
        stem = _caseless(os.path.splitext(name)[0])
        alike = [other for other in self._in(folder).get(stem, []) if _caseless(other) == _caseless(name)]
        composed = unicodedata.normalize("NFC", name)
        same = [other for other in alike if unicodedata.normalize("NFC", other) == composed] or alike
        return same[0] if len(same) == 1 else None

    def _in(self, folder: Path) -> dict[str, list[str]]:
        """Names in a folder by their stem, without case and in one Unicode form."""
        if folder not in self._names:
            self._names[folder] = {}
            for name in _names_in(folder):
                self._names[folder].setdefault(_caseless(os.path.splitext(name)[0]), []).append(name)
        return self._names[folder]


def _names_in(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:  # the path is told as it is listed
        return []


def _caseless(name: str) -> str:
    # NFKC: a Mac's recorder puts a narrow no-break space before "AM", which tables hold as a blank.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
