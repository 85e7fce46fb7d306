"""Ways to change an input: blindly, within JSON values, and by words that a format gives a meaning."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from random import Random
from typing import Any

NUMBERS = (0, 1, -1, 2, 3, 7, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32,
           2**53, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**31), -(2**63))  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, *NUMBERS, 10**30, 0.5, -0.0, 1e-320, 1e308, float("nan"), float("inf"), float("-inf"), "", " ",
    "0", "nan", "\x00", "\ud800", "é", "..", "../up", "/etc/passwd", "a" * 300, "{}", [], {}, [[]], [None], {"": None},
    [0] * 40, {"a": {"a": {"a": {}}}},
)  # fmt: skip


def mutate(data: bytes, random: Random, max_bytes: int) -> bytes:
    """Change one to four places of `data`, as libFuzzer does without knowledge of what is in it."""
    out = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randint(0, len(out))
        choice = random.randrange(7)
        if choice == 0 and out:
            out[at % len(out)] ^= 1 << random.randrange(8)
        elif choice == 1 and out:
            out[at % len(out)] = random.randrange(256)
        elif choice == 2:
            out[at:at] = random.randbytes(random.randint(1, 8))
        elif choice == 3:
            del out[at : at + random.randint(1, 16)]
        elif choice == 4 and out:
            start = random.randrange(len(out))
            out[at:at] = out[start : start + random.randint(1, 64)]
        elif choice == 5:
            size = random.choice((1, 2, 4, 8))
            number = (random.choice(NUMBERS) % 256**size).to_bytes(size, random.choice(("little", "big")))
            out[at : at + size] = number
        else:
            out[at:] = b""
    return bytes(out[:max_bytes])


def mutate_words(text: bytes, random: Random, words: Sequence[bytes], max_bytes: int) -> bytes:
    """Put words in, or lines elsewhere."""
    out = bytearray(text)
    for _ in range(random.randint(1, 3)):
        at = random.randint(0, len(out))
        if random.random() < 0.7:
            out[at : at + random.choice((0, 0, 1, 4))] = random.choice(words)
        else:
            lines = bytes(out).splitlines(keepends=True) or [b""]
            line = random.choice(lines)
            lines.insert(random.randint(0, len(lines)), line)
            if random.random() < 0.5:
                lines.remove(line)
            out = bytearray(b"".join(lines))
    return bytes(out[:max_bytes])


def mutate_value(value: Any, random: Random, words: Sequence[str] = ()) -> Any:
    """A JSON value with one to three places changed: another value, an entry more, twice, renamed or gone."""
    value = json.loads(json.dumps(value))
    for _ in range(random.randint(1, 3)):
        places = list(_places(value))
        if not places:
            return copy.deepcopy(random.choice(VALUES))
        holder, key = random.choice(places)
        choice = random.random()
        if choice < 0.6:
            holder[key] = _other(holder[key], random, words)
        elif choice < 0.75:
            del holder[key]
        elif isinstance(holder, dict):
            name = random.choice([*words, *map(str, VALUES[:6]), str(key) + "x", "__class__", "../x"])
            holder[name] = copy.deepcopy(holder[key]) if choice < 0.9 else holder.pop(key)
        else:
            holder.insert(random.randint(0, len(holder)), copy.deepcopy(holder[key]))
    return value


def _places(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        if not isinstance(holder, (dict, list)):
            continue
        for key in list(holder) if isinstance(holder, dict) else range(len(holder)):
            found.append((holder, key))
            waiting.append(holder[key])
    return found


def _other(value: Any, random: Random, words: Sequence[str]) -> Any:
    choice = random.random()
    if choice < 0.4:
        return copy.deepcopy(random.choice(VALUES))
    if choice < 0.6 and words:
        return random.choice(words)
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return random.choice((value + 1, value - 1, -value, value * 2, value // 3, value * 1000, str(value), [value]))
    if isinstance(value, str) and value:
        at = random.randrange(len(value))
        return random.choice(
            (value[:at], value * 2, value[:at] + "\x00" + value[at:], value.upper(), [value], value[at:])
        )
    return [value] if random.random() < 0.5 else {"value": value}


def dump(value: Any) -> bytes:
    """JSON, with what JSON does not allow (NaN, lone surrogates) where the value has it."""
    return json.dumps(value).encode("utf-8", "surrogatepass")
