"""Disturb a verb, look at what lies there, type it again, and compare with what it makes when nobody disturbs it."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.disturbances import Disturbance, Draw, must_clear_up, wrong_ending
from tests.faults.processes import Ended, run
from tests.faults.verbs import BUNDLE, VERBS, Verb, begin, fingerprints, hidden, leftovers, torn_files


@dataclass
class Tally:
    """What became of the disturbances of one kind of one verb.

    Attributes:
        undisturbed_s, operations: of the verb when nobody disturbs it.
        tried: processes that did not come to their end because of it.
        by_clock, by_operation: of them, at a random moment, and at a random operation on files.
        survived: trials that ended as if nothing had happened.
        lost: what is wrong with the others, in words.
    """

    kind: str
    verb: str
    undisturbed_s: float = 0.0
    operations: int = 0
    tried: int = 0
    by_clock: int = 0
    by_operation: int = 0
    survived: int = 0
    lost: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Broken(Exception):
    """The verb does not even work undisturbed."""


def disturb_verbs(
    names: Sequence[str], trials: Mapping[str, int], seed: int, work: Path
) -> Iterator[tuple[Tally, int, int]]:
    """Disturb each verb; yields the tally after each trial, with its number and how many there are.

    Args:
        trials: of each verb, by the kind of disturbance.
        work: folder for all of it; trials happen in one place below it, since runs know where their recordings lie.
    """
    here, before = work / "here", work / "before"
    begin(here)
    last = max(number for number, verb in enumerate(VERBS) if verb.name in names)
    for verb in VERBS[: last + 1]:
        _copy(here, before)
        ended = run(verb.words, here)
        if ended.code != 0:
            raise Broken(f"acula-edge {' '.join(verb.words)} ended with {ended.code}:\n{ended.said}")
        if verb.name not in names:
            continue
        after = work / f"after-{verb.name.replace(' ', '-')}"
        _copy(here, after)
        expected = fingerprints(verb, here)
        largest = max(path.stat().st_size for path in here.rglob("*") if path.is_file())
        for kind, count in trials.items():
            tally = Tally(kind, verb.name, ended.seconds, ended.operations)
            source = random.Random(f"{seed} {verb.name} {kind}")
            draw = Draw(source, ended.seconds, ended.operations, largest)
            for trial in range(count):
                _copy(before, here)
                _try(kind, verb, here, expected, tally, draw)
                yield tally, trial + 1, count
        _copy(after, here)
        shutil.rmtree(after)


def _try(kind: str, verb: Verb, here: Path, expected: dict[str, str], tally: Tally, draw: Draw) -> None:
    words, story = verb.words, []
    for _ in range(2 if draw.random.random() < 0.3 else 1):
        what = draw.next(kind)
        ended = run(words, here, what)
        story.append(str(what))
        if ended.code == 0:
            break
        tally.tried += 1
        tally.by_clock += what.after_s is not None
        tally.by_operation += what.at is not None
        wrong = wrong_ending(what, ended.code, ended.said)
        wrong = f"{wrong}: {ended.said[-1500:]}" if wrong else _wrong_afterwards(verb, here, what, ended)
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


def _wrong_afterwards(verb: Verb, here: Path, what: Disturbance, ended: Ended) -> str:
    torn = torn_files(here)
    if torn:
        return f"torn: {', '.join(torn)}"
    left = hidden(here)
    if left and must_clear_up(what, ended.code, ended.said):
        return f"left lying: {', '.join(left)}"
    if (here / BUNDLE / "bundle.json").is_file() and verb.name == "export":
        tested = run(("selftest", BUNDLE), here)
        if tested.code != 0:
            return f"a bundle that does not pass its self-test: {tested.said[-800:]}"
    return ""


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
