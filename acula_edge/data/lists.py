"""Lists of a published partition as NumPy arrays of names, one file per side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from acula_edge.data.reader import clean
from acula_edge.errors import ManifestError

_MAGIC = b"\x93NUMPY"


def read_lists(root: Path, files: Mapping[str, str]) -> dict[str, tuple[str, str]] | None:
    """What the lists name, in their order.

    They lie in `root`, in ``splits/`` or in ``feature/`` or a folder of it, all in one of these.

    Args:
        files: file of each side.

    Returns:
        Side, and place in the lists for messages, by name as :func:`fold_name` makes it; None where no list is here.

    Raises:
        ManifestError: one is missing or cannot be read, or names something twice.
    """
    folders = [root, root / "splits", root / "feature", *sorted((root / "feature").glob("*/"))]
    folder = next((f for f in folders if any((f / name).is_file() for name in files.values())), None)
    if folder is None:
        return None
    if missing := [name for name in files.values() if not (folder / name).is_file()]:
        raise ManifestError(
            f"{folder} has some lists of the published partition and lacks others",
            given=f"{', '.join(missing)} missing",
            allowed=files.values(),
            remedy="add them, or move the others away",
        )
    found: dict[str, tuple[str, str]] = {}
    for side, file in files.items():
        for number, text in enumerate(load_names(folder / file)):
            name, place = fold_name(text), f"{folder / file}, item {number}"
            if clean(name) is None:  # a participant without this recording
                continue
            if name in found:
                raise ManifestError(f"{place}: {name} is listed twice", given=f"first in {found[name][1]}")
            found[name] = side, place
    return found


def fold_name(text: str) -> str:
    """A file's name in lower case, without folders and ``.wav``."""
    return text.strip().replace("\\", "/").rpartition("/")[2].casefold().removesuffix(".wav")


def load_names(path: Path) -> list[str]:
    """Texts of an array [N] or [N, 1]; never unpickles.

    Raises:
        ManifestError: it cannot be read, or holds something else.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        with open(path, "rb") as file:
            pickled = file.read(len(_MAGIC)) == _MAGIC and "pickle" in str(error)
        raise ManifestError(
            f"the list {path} holds pickled objects, which are not loaded, since they could run code"
            if pickled
            else f"the list {path} cannot be read",
            allowed="an array of text",
            remedy=f"if you trust its source, convert it once: python -c \"import numpy as np; f = '{path}'; "
            'np.save(f, np.load(f, allow_pickle=True).astype(str))"'
            if pickled
            else "copy it again from its source",
        ) from error
    if (
        not isinstance(array, np.ndarray)
        or array.dtype.kind != "U"
        or array.shape not in {(array.size,), (array.size, 1)}
    ):
        raise ManifestError(f"{path} is no list of texts", allowed="an array of text, [N] or [N, 1]")
    return [str(text) for text in array.ravel()]
