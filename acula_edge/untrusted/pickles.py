"""The pickle of a checkpoint, followed instruction by instruction without making any object it names.

Looked for is what costs more than its length: keys of dictionaries that are tuples (each may hold the one before
twice, so that hashing them takes for ever), numbers of a storage that the archive does not have, too many steps. Code
is PyTorch's business: ``weights_only=True`` makes only what is on its list.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Mapping
from typing import Any

from acula_edge.limits import MAX_PICKLE_STEPS

_ITEM_BYTES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1, "UntypedStorage": 1,
}  # fmt: skip
_MARK = object()
_OTHER = object()
_SCALARS = (str, int, float, bool, bytes, type(None))
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = frozenset({
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
})  # fmt: skip
_EMPTY = ("EMPTY_DICT", "EMPTY_LIST")
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
# Made by PyTorch from what the pickle gives: of any size, or from keys of any kind.
_CONTAINERS = (
    "collections.OrderedDict", "collections.Counter", "collections.defaultdict", "builtins.set", "__builtin__.set",
    "builtins.bytearray", "__builtin__.bytearray",
)  # fmt: skip
_REBUILT = re.compile(r"torch\._utils\._rebuild_(?!tensor$|tensor_v[23]$|parameter$|parameter_with_state$)(\w+)")


class _Global(str):
    """The name of a class or function."""


def check_pickle(data: bytes, storages: Mapping[str, int]) -> None:
    """Follow a pickle of protocol 2 as ``torch.save`` writes it.

    Args:
        storages: bytes of each by key.

    Raises:
        ValueError: it is damaged or does what no checkpoint needs (named).
    """
    if not _Machine(storages).run(data):
        raise ValueError("its pickle has no end")


class _Machine:
    """Stack and memo of a pickle, with texts, numbers and tuples as they are and everything else left out."""

    def __init__(self, storages: Mapping[str, int]) -> None:
        self._storages = storages
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, data: bytes) -> bool:
        for step, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if step >= MAX_PICKLE_STEPS:
                raise ValueError(f"its pickle has more than {MAX_PICKLE_STEPS} steps")
            if opcode.name == "STOP":
                return True
            try:
                self._do(opcode.name, argument)
            except (IndexError, KeyError) as error:
                raise ValueError(f"its pickle takes from an empty stack at step {step}") from error
        return False

    def _do(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name == "PROTO":
            if argument != 2:
                raise ValueError(f"a pickle of protocol {argument}, where torch.save writes 2")
        elif name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_OTHER)
        elif name == "GLOBAL":
            stack.append(_known(argument.replace(" ", ".")))
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            self._memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(self._memo[argument])
        elif name == "MARK":
            stack.append(_MARK)
        elif name == "EMPTY_TUPLE":
            stack.append(())
        elif name in _TUPLES:
            self._take(_TUPLES[name])
        elif name == "TUPLE":
            self._push_tuple(self._to_mark())
        elif name in ("SETITEM", "SETITEMS"):
            items = [stack.pop(-2), stack.pop()] if name == "SETITEM" else self._to_mark()
            _check_keys(items[::2])
        elif name in ("APPEND", "APPENDS"):
            self._to_mark() if name == "APPENDS" else stack.pop()
        elif name == "BINPERSID":
            self._check_storage(stack.pop())
            stack.append(_OTHER)
        elif name in ("REDUCE", "NEWOBJ"):
            arguments, called = stack.pop(), stack.pop()
            if called in _CONTAINERS and not _is_harmless(arguments):
                raise ValueError(f"its pickle fills {called} while making it")
            stack.append(_OTHER)
        elif name == "BUILD":
            stack.pop()
        else:
            raise ValueError(f"its pickle uses {name}, which no checkpoint needs")

    def _take(self, count: int) -> None:
        if len(self._stack) < count or any(item is _MARK for item in self._stack[-count:]):
            raise IndexError
        items = self._stack[-count:]
        del self._stack[-count:]
        self._push_tuple(items)

    def _push_tuple(self, items: list[Any]) -> None:
        # Of tuples in tuples nothing is kept: only a flat one can name a storage, or be no arguments.
        self._stack.append(tuple(_OTHER if isinstance(item, tuple) else item for item in items))

    def _to_mark(self) -> list[Any]:
        for index in range(len(self._stack) - 1, -1, -1):
            if self._stack[index] is _MARK:
                items = self._stack[index + 1 :]
                del self._stack[index:]
                return items
        raise IndexError

    def _check_storage(self, name: Any) -> None:
        if not isinstance(name, tuple) or len(name) != 5 or name[0] != "storage":
            raise ValueError("its pickle names something else than storages beside it")
        kind, key, count = name[1], name[2], name[4]
        item_bytes = _ITEM_BYTES.get(kind.rpartition(".")[2]) if isinstance(kind, _Global) else None
        if item_bytes is None:
            raise ValueError(f"its pickle names a storage of the kind {str(kind)[:80]}")
        if not isinstance(key, str) or key not in self._storages:
            raise ValueError(f"its pickle names the storage {str(key)[:80]}, which its archive lacks")
        if not isinstance(count, int) or count * item_bytes != self._storages[key]:
            raise ValueError(
                f"its pickle says that the storage {key[:80]} holds {str(count)[:20]} numbers, of which its archive "
                f"has {self._storages[key]} bytes"
            )


def _known(name: str) -> _Global:
    """A global's name; tensors that are no plain arrays of numbers are refused by it."""
    kind = _REBUILT.match(name)
    if kind:
        raise ValueError(f"it holds something else than dense tensors of plain numbers: {kind[1][:40]}")
    return _Global(name)


def _is_harmless(arguments: Any) -> bool:
    """Whether a container is made empty, or from bytes or a class: no size, nothing to hash."""
    return isinstance(arguments, tuple) and all(isinstance(item, (_Global, bytes)) for item in arguments)


def _check_keys(keys: list[Any]) -> None:
    if not all(isinstance(key, _SCALARS) for key in keys):
        raise ValueError("its pickle has keys that are no texts and no numbers")
