"""Which items make up a batch, who embeds which of them, and reading ahead.

Batches are a pure function of (seed, epoch, number), and every item of a batch has a random generator of its own: a
run that was killed goes on with the batches, crops and augmentations that it would have seen, and so do two processes
that share what one had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from acula_edge.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class Assignment:
    """A batch as one process sees it.

    Attributes:
        items: [B] item numbers of the whole batch, over all processes.
        share: which of them this process embeds.
        generators: one per item of the share; what they give does not depend on how the batch is shared.
        seed: of whatever concerns the batch as a whole; the same in every process.
    """

    items: np.ndarray
    share: slice
    generators: list[np.random.Generator]
    seed: int

    @property
    def own(self) -> np.ndarray:
        """Item numbers of this process's share."""
        return self.items[self.share]


def batch_order(
    items: int,
    batch_size: int,
    seed: int,
    epoch: int,
    processes: int = 1,
    corpora: np.ndarray | None = None,
    exponent: float = 1.0,
) -> list[np.ndarray]:
    """Whole batches of item numbers for one epoch; a corpus smaller than a batch is one batch.

    Args:
        corpora: [items] number of each item's corpus; None where there is one.
        exponent: a corpus of n items is drawn with weight n to this power. Within an epoch every item of a corpus has
            its turn before any comes again.

    Raises:
        InputError: the batch cannot be shared evenly among the processes.
    """
    if batch_size % processes:
        raise InputError(
            "a batch must be shared evenly among the processes",
            given=f"batch_size {batch_size}, {processes} processes",
            remedy=f"--set align.batch_size={-(-batch_size // processes) * processes}",
        )
    size = min(batch_size, items) // processes * processes
    if not size:
        raise InputError(
            "there are fewer training items than processes", given=f"{items} items", allowed=f"at least {processes}"
        )
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(items)
    if corpora is not None and exponent != 1.0:
        order = _in_turn(order, corpora, exponent, generator)
    return [order[start : start + size] for start in range(0, items - size + 1, size)]


def _in_turn(order: np.ndarray, corpora: np.ndarray, exponent: float, generator: np.random.Generator) -> np.ndarray:
    """As many items as in `order`, each of a corpus drawn by weight, and within the corpus in the order given."""
    names, counts = np.unique(corpora, return_counts=True)
    weights = counts.astype(np.float64) ** exponent
    drawn = generator.choice(len(names), len(order), p=weights / weights.sum())
    result = np.empty_like(order)
    for number, name in enumerate(names):
        places = np.flatnonzero(drawn == number)
        result[places] = np.resize(order[corpora[order] == name], len(places))
    return result


def assign(items: np.ndarray, seeds: tuple[int, int, int], rank: int, processes: int) -> Assignment:
    """The share of one process in a batch.

    Args:
        seeds: of the run, number of the epoch, number of the batch.
    """
    width = len(items) // processes
    share = slice(rank * width, (rank + 1) * width)
    generators = [np.random.default_rng([*seeds, position]) for position in range(share.start, share.stop)]
    return Assignment(items, share, generators, int(np.random.SeedSequence(seeds).generate_state(1)[0]))


def read_ahead(load: Callable[[Assignment], T], assignments: Iterable[Assignment]) -> Iterator[tuple[Assignment, T]]:
    """Load the next batch while the current one is computed."""
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as pool:
        waiting = None
        for assignment in assignments:
            following = assignment, pool.submit(load, assignment)
            if waiting is not None:
                yield waiting[0], waiting[1].result()
            waiting = following
        if waiting is not None:
            yield waiting[0], waiting[1].result()
