"""Lists of a published partition as NumPy arrays of names, one file per side."""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections.abc import Mapping
from pathlib import Path
from tokenize import TokenError
from typing import BinaryIO

import numpy as np

from acula_edge.data.release_tables import clean
from acula_edge.errors import ManifestError
from acula_edge.limits import MAX_PATH_CHARACTERS, MAX_WORKBOOK_BYTES
from acula_edge.untrusted.texts import open_regular

# What the pickle of an array names; see :class:`_TextUnpickler`.
_SHELL = frozenset({("numpy.core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")})


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
    """Texts of an array [N] or [N, 1].

    Lists that pandas wrote hold Python objects, which only a pickle can store. It is read without NumPy's classes or
    any other, so that nothing in the file can run.

    Raises:
        ManifestError: it cannot be read, or holds something else.
    """
    try:
        with open_regular(path) as opened:
            data = opened.read(MAX_WORKBOOK_BYTES + 1)
        if len(data) > MAX_WORKBOOK_BYTES:
            raise ValueError(f"it is longer than {MAX_WORKBOOK_BYTES} bytes")
        file = io.BytesIO(data)
        kind, items = _pass_header(file)
        if kind.hasobject:
            array = _load_objects(data[file.tell() :])
        elif kind.itemsize * items != len(data) - file.tell():
            raise ValueError("it is longer or shorter than its header says")
        else:
            array = np.load(io.BytesIO(data), allow_pickle=False)
        texts = [str(text) for text in array.ravel()]
    except pickle.UnpicklingError as error:
        raise ManifestError(
            f"the list {path} holds pickled objects that are no texts; they are not loaded, since they could run code",
            given=str(error),
            allowed="an array of text",
            remedy='if you trust its source, convert it once: python -c "import numpy as np, sys; f = sys.argv[1]; '
            'np.save(f, np.load(f, allow_pickle=True).astype(str))" FILE',
        ) from error
    except (
        OSError, ValueError, TypeError, EOFError, SyntaxError, RecursionError, MemoryError, SystemError, TokenError,
    ) as error:  # fmt: skip
        raise ManifestError(
            f"the list {path} cannot be read",
            given=error,
            allowed="an array of text",
            remedy="copy it again from its source",
        ) from error
    if (
        not isinstance(array, np.ndarray)
        or array.dtype.kind != "U"
        or array.shape not in {(array.size,), (array.size, 1)}
    ):
        raise ManifestError(f"{path} is no list of texts", allowed="an array of text, [N] or [N, 1]")
    return texts


# What NumPy writes for an array of texts, at every protocol.
_WRITTEN = """
    PROTO FRAME STOP MARK GLOBAL STACK_GLOBAL REDUCE BUILD MEMOIZE PUT BINPUT LONG_BINPUT GET BINGET LONG_BINGET
    NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG1 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING BINBYTES
    SHORT_BINBYTES UNICODE BINUNICODE SHORT_BINUNICODE TUPLE EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 LIST EMPTY_LIST APPEND
    APPENDS
"""
_STEPS = frozenset(_WRITTEN.split())


class _Inert:
    """Stands for an array, or its type, while a pickle is read: keeps what it would be filled with."""

    def __init__(self, *arguments: object) -> None:
        self.state: object = arguments

    def __setstate__(self, state: object) -> None:
        self.state = state


class _TextUnpickler(pickle.Unpickler):
    """Reads plain values and the shell that NumPy puts around them; makes nothing else, and calls nothing."""

    def find_class(self, module: str, name: str) -> type[_Inert]:
        """See :class:`pickle.Unpickler`."""
        if (module.replace("._core.", ".core."), name) not in _SHELL:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return _Inert


def _pass_header(file: BinaryIO) -> tuple[np.dtype, int]:
    """Type of an array's elements, and how many they are; the file is left where they begin."""
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, kind = read_header(file)
    return kind, math.prod(shape)


def _load_objects(data: bytes) -> np.ndarray:
    """Texts [...] of the pickle that follows an array's header; missing ones are ``nan``.

    Raises:
        UnpicklingError: it holds something else.
    """
    try:
        # Steps first, without carrying them out: a few bytes can make the unpickler take gigabytes (LONG_BINPUT).
        for count, (step, argument, _) in enumerate(pickletools.genops(data)):
            if step.name not in _STEPS or (step.name in ("PUT", "LONG_BINPUT") and int(argument or 0) > count):
                raise pickle.UnpicklingError(f"it takes a step {step.name}")
            if isinstance(argument, str) and len(argument) > MAX_PATH_CHARACTERS:
                raise pickle.UnpicklingError("a text is too long")
        shell = _TextUnpickler(io.BytesIO(data)).load()
        _, shape, _, _, values = shell.state
        if not all(isinstance(value, str) or value != value for value in values):
            raise pickle.UnpicklingError("some are no texts")
        return np.array([str(value) for value in values], dtype=str).reshape(shape)
    except (AttributeError, EOFError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise pickle.UnpicklingError(type(error).__name__) from error
