"""Kill a verb, look at what lies there, type it again, and compare with what it makes when nobody kills it."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.processes import Ended, run
from tests.faults.verbs import BUNDLE, VERBS, Verb, begin, fingerprints, leftovers, torn_files

SIGKILLED = -9


@dataclass
class Tally:
    """What became of the kills of one verb.

    Attributes:
        undisturbed_s, operations: of the verb when nobody kills it.
        kills: processes that were killed while they worked.
        by_clock, by_operation: of them, at a random moment, and before a random operation on files.
        survived: trials that ended as if nothing had happened.
        lost: what is wrong with the others, in words.
    """

    verb: str
    undisturbed_s: float = 0.0
    operations: int = 0
    kills: int = 0
    by_clock: int = 0
    by_operation: int = 0
    survived: int = 0
    lost: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Broken(Exception):
    """The verb does not even work undisturbed."""


def kill_verbs(names: Sequence[str], trials: int, seed: int, work: Path) -> Iterator[tuple[Tally, int]]:
    """Kill each verb in `trials` trials; yields the tally after each, with the number of the trial.

    Args:
        work: folder for all of it; trials happen in one place below it, since runs know where their recordings lie.
    """
    here, before = work / "here", work / "before"
    begin(here)
    last = max(number for number, verb in enumerate(VERBS) if verb.name in names)
    for verb in VERBS[: last + 1]:
        _copy(here, before)
        tally = Tally(verb.name)
        ended = run(verb.words, here)
        if ended.code != 0:
            raise Broken(f"acula-edge {' '.join(verb.words)} ended with {ended.code}:\n{ended.said}")
        tally.undisturbed_s, tally.operations = ended.seconds, ended.operations or 0
        after = work / f"after-{verb.name.replace(' ', '-')}"
        if verb.name in names:
            _copy(here, after)
            expected = fingerprints(verb, here)
            draw = random.Random(f"{seed} {verb.name}")
            for trial in range(trials):
                _copy(before, here)
                _try(verb, here, expected, tally, draw)
                yield tally, trial + 1
            _copy(after, here)
            shutil.rmtree(after)


def _try(verb: Verb, here: Path, expected: dict[str, str], tally: Tally, draw: random.Random) -> None:
    words, story = verb.words, []
    for _ in range(2 if draw.random() < 0.3 else 1):
        ended, where = _kill(words, here, tally, draw)
        if ended.code == 0:
            break
        story.append(where)
        if ended.code != SIGKILLED:
            tally.lost.append(f"{'; '.join(story)}: ended with {ended.code} before it was killed: {ended.said[-800:]}")
            return
        wrong = _wrong_after_a_kill(verb, here)
        if wrong:
            tally.lost.append(f"{'; '.join(story)}: {wrong}")
            return
        words = verb.again
    ended = run(verb.again, here)
    found = fingerprints(verb, here)
    different = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    left = leftovers(here)
    if ended.code != 0:
        tally.lost.append(f"{'; '.join(story)}: typed again it ended with {ended.code}: {ended.said[-800:]}")
    elif different:
        tally.lost.append(f"{'; '.join(story)}: not the same: {', '.join(different)}")
    elif left:
        tally.lost.append(f"{'; '.join(story)}: left lying: {', '.join(left)}")
    else:
        tally.survived += 1


def _kill(words: Sequence[str], here: Path, tally: Tally, draw: random.Random) -> tuple[Ended, str]:
    if draw.random() < 0.5:
        moment = draw.uniform(0, tally.undisturbed_s)
        ended = run(words, here, kill_after_s=moment)
        where = f"killed after {moment:.2f} s"
        tally.by_clock += ended.code == SIGKILLED
    else:
        operation = draw.randrange(max(1, tally.operations))
        ended = run(words, here, kill_at=operation)
        where = f"killed before operation {operation} of {tally.operations}"
        tally.by_operation += ended.code == SIGKILLED
    tally.kills += ended.code == SIGKILLED
    return ended, where


def _wrong_after_a_kill(verb: Verb, here: Path) -> str:
    torn = torn_files(here)
    if torn:
        return f"torn: {', '.join(torn)}"
    if (here / BUNDLE / "bundle.json").is_file() and verb.name == "export":
        ended = run(("selftest", BUNDLE), here)
        if ended.code != 0:
            return f"a bundle that does not pass its self-test: {ended.said[-800:]}"
    return ""


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
