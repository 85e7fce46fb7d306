"""Texts from outside, read within limits: regular files only, so long and no longer, JSON without surprises.

What is wrong is an :class:`OSError` or a :class:`ValueError`; whoever reads makes it an error that names the file.
"""

from __future__ import annotations

import errno
import io
import json
import os
import stat
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NoReturn

from acula_edge.limits import MAX_DEPTH, MAX_INTEGER, MAX_LINE_CHARACTERS, MAX_TABLE_BYTES

Pairs = list[tuple[str, Any]]


class TextError(ValueError):
    """A text that exceeds a limit, or says what cannot be taken."""


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading that is one: no pipe, which would wait for ever, no device, which would never end.

    Raises:
        OSError: there is none, it may not be read, or it is something else than a regular file.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except ValueError as error:  # a NUL, or half a character
        raise OSError(errno.EINVAL, "this is no name of a file", repr(os.fspath(path))) from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a regular file but a folder, a pipe or a device", os.fspath(path))
        return open(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_text(path: str | os.PathLike[str], max_bytes: int, encoding: str = "utf-8") -> str:
    """A file's text.

    Raises:
        OSError: see :func:`open_regular`.
        TextError: it is longer than `max_bytes`.
        UnicodeDecodeError: it is no such text.
    """
    with open_regular(path) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise TextError(f"it is longer than {max_bytes} bytes")
    return data.decode(encoding)


def read_lines(path: str | os.PathLike[str], encoding: str = "utf-8", newline: str | None = None) -> Iterator[str]:
    """A file's lines with their ends, one at a time.

    Raises:
        OSError: see :func:`open_regular`.
        TextError: a line or the file is longer than the limits allow.
        UnicodeDecodeError: it is no such text.
    """
    read = 0
    with open_regular(path) as file, io.TextIOWrapper(file, encoding=encoding, newline=newline) as lines:
        number = 0
        while line := lines.readline(MAX_LINE_CHARACTERS + 1):
            number += 1
            read += len(line)
            if "\0" in line:
                raise TextError(f"line {number} holds a NUL byte")
            if len(line) > MAX_LINE_CHARACTERS:
                raise TextError(f"line {number} is longer than {MAX_LINE_CHARACTERS} characters")
            if read > MAX_TABLE_BYTES:
                raise TextError(f"it is longer than {MAX_TABLE_BYTES} bytes")
            yield line


def parse_json(
    text: str, make: Callable[[dict[str, Any]], dict[str, Any]] | None = None, allow_nan: bool = False
) -> Any:
    """The value of a JSON text.

    Args:
        make: what every object becomes.
        allow_nan: take ``NaN`` and ``Infinity``, which are no JSON.

    Raises:
        ValueError: it is no JSON; a key is there twice; a number is NaN, infinite or of more than 64 bits; it is
            nested deeper than :data:`~acula_edge.limits.MAX_DEPTH`; a text holds half a character.
    """

    def pairs(found: Pairs) -> dict[str, Any]:
        value = dict(found)
        if len(value) < len(found):
            raise TextError(f"the key {_repeated(found)!r} is there twice")
        return make(value) if make is not None else value

    try:
        value = json.loads(
            text,
            object_pairs_hook=pairs,
            parse_int=_integer,
            parse_float=float if allow_nan else _finite,
            parse_constant=float if allow_nan else _refuse,
        )
    except RecursionError as error:
        raise TextError(_TOO_DEEP) from error
    if text.count("[") + text.count("{") > MAX_DEPTH:
        check_depth(value)
    if "\\ud" in text or "\\uD" in text:
        json.dumps(value, ensure_ascii=False).encode()  # raises UnicodeEncodeError
    return value


def check_depth(value: Any, above: int = 0) -> None:
    """Raises TextError where lists and mappings lie deeper in each other than :data:`~acula_edge.limits.MAX_DEPTH`."""
    level, depth = [value], above
    while level := [item for item in level if isinstance(item, (dict, list))]:
        depth += 1
        if depth > MAX_DEPTH:
            raise TextError(_TOO_DEEP)
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]


_TOO_DEEP = f"it is nested deeper than {MAX_DEPTH} levels"


def _integer(text: str) -> int:
    # More digits than this are not even converted: Python takes quadratic time, or refuses.
    value = int(text) if len(text) <= 21 else MAX_INTEGER
    if abs(value) >= MAX_INTEGER:
        raise TextError(f"a whole number has more than 64 bits: {text[:30]}")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if value - value != 0:
        raise TextError(f"a number is too large: {text[:30]}")
    return value


def _refuse(text: str) -> NoReturn:
    raise TextError(f"{text} is no number of JSON")


def _repeated(pairs: Pairs) -> str:
    seen = set()
    return next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
