"""Texts from outside, read within limits: regular files only, so long and no longer, JSON without surprises.

A text is UTF-8, or UTF-16 where its byte-order mark says so; no other encoding is guessed, since what it would make of
a name cannot be checked. What is wrong is an :class:`OSError` or a :class:`ValueError`; whoever reads makes it an error
that names the file.
"""

from __future__ import annotations

import codecs
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


def read_text(path: str | os.PathLike[str], max_bytes: int) -> str:
    """A file's text, without the byte-order mark.

    Raises:
        OSError: see :func:`open_regular`.
        TextError: it is longer than `max_bytes`, or no text in UTF-8 or marked UTF-16.
    """
    with open_regular(path) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise TextError(f"it is longer than {max_bytes} bytes")
    try:
        return data.decode(_encoding_of(data)).removeprefix(_MARK)
    except UnicodeDecodeError as error:
        raise _undecodable(error, 1) from error


def read_lines(path: str | os.PathLike[str], newline: str | None = None) -> Iterator[str]:
    """A file's lines with their ends, one at a time and without byte-order marks.

    Raises:
        OSError: see :func:`open_regular`.
        TextError: a line or the file is longer than the limits allow; it is no text in UTF-8 or marked UTF-16.
    """
    read = number = 0
    with open_regular(path) as file:
        encoding = _encoding_of(file.peek(_LONGEST_SIGNATURE))  # type: ignore[attr-defined]
        with io.TextIOWrapper(file, encoding=encoding, newline=newline) as lines:
            try:
                while line := lines.readline(MAX_LINE_CHARACTERS + 1):
                    number += 1
                    read += len(line)
                    if "\0" in line:
                        raise TextError(f"line {number} holds a NUL byte: {_NOT_PLAIN}")
                    if len(line) > MAX_LINE_CHARACTERS:
                        raise TextError(f"line {number} is longer than {MAX_LINE_CHARACTERS} characters")
                    if read > MAX_TABLE_BYTES:
                        raise TextError(f"it is longer than {MAX_TABLE_BYTES} bytes")
                    # Files that were put one behind the other have a mark in the middle, too.
                    yield line.removeprefix(_MARK)
            except UnicodeDecodeError as error:
                raise _undecodable(error, number + 1) from error


_MARK = "\ufeff"
_NOT_PLAIN = "it is no text, or in UTF-16 without a byte-order mark; save it as UTF-8"
# What is often called a text and is none; the first bytes tell.
_SIGNATURES = {
    b"\x1f\x8b": "it is compressed with gzip: unpack it first",
    b"PK\x03\x04": "it is a zip archive or an Excel workbook: save the sheet as 'CSV UTF-8'",
    b"\xd0\xcf\x11\xe0": "it is an old Excel workbook: save the sheet as 'CSV UTF-8'",
    b"PAR1": "it is a Parquet file: let its name end in .parquet",
}
_LONGEST_SIGNATURE = max(map(len, _SIGNATURES))


def _encoding_of(head: bytes) -> str:
    """Encoding of a text that begins so; raises TextError where it is a known kind of other file."""
    for signature, what in _SIGNATURES.items():
        if head.startswith(signature):
            raise TextError(what)
    return "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8"


def _undecodable(error: UnicodeDecodeError, line: int) -> TextError:
    """Says where a text stops being one; `line` is the number of the line in which the decoder's bytes begin."""
    if error.encoding.startswith("utf-16"):
        return TextError("its byte-order mark says UTF-16, but it breaks off or is none; save it as UTF-8")
    if b"\0" in error.object:
        return TextError(_NOT_PLAIN)
    line += error.object[: error.start].count(b"\n")
    return TextError(
        f"line {line} is not UTF-8 (byte 0x{error.object[error.start]:02x}); the file is in another encoding, such as "
        "Windows-1252: save it as UTF-8 (in Excel as 'CSV UTF-8')"
    )


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
