"""The one place that knows of several processes, as ``accelerate launch`` and ``torchrun`` start them.

A launcher tells every process its number in ``RANK`` and how many there are in ``WORLD_SIZE``. Without them nothing
here imports torch or costs anything, and every function behaves as in a group of one. With them the processes meet
through accelerate's ``PartialState``: NCCL where there are CUDA GPUs, one per process, else Gloo.

Without GPUs start them with ``torchrun``: ``accelerate launch`` starts several there through MPI only, whose variables
are not read.

A process that is killed cannot tell the others. Both launchers then end the whole group; so must whatever else starts
one (``srun --kill-on-bad-exit``). Exceptions inside :func:`main_first` and :func:`together` reach the others here.
"""

from __future__ import annotations

import atexit
import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from acula_edge.errors import AculaEdgeError

if TYPE_CHECKING:
    from accelerate import PartialState

T = TypeVar("T")

# NCCL's own ten minutes are less than the main process may need to decode a corpus while the others wait.
PATIENCE = timedelta(hours=6)

_state: PartialState | None = None


def rank() -> int:
    """Number of this process, from 0."""
    return int(os.environ.get("RANK", "0")) if world_size() > 1 else 0


def world_size() -> int:
    """How many processes work together; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def is_main() -> bool:
    """Whether this is the process that writes files and speaks to the user."""
    return rank() == 0


def start(*, cpu: bool = False) -> None:
    """Meet the other processes; from then on ``"cuda"`` means this process's own GPU. Does nothing in a single one.

    Every function here that needs the group calls it, so only who wants the CPU on a machine with GPUs must do so, in
    all processes and before anything else does.

    Args:
        cpu: use Gloo and no GPU although there is one.
    """
    global _state
    if _state is not None or world_size() == 1:
        return
    import torch
    from accelerate import PartialState
    from accelerate.utils import parse_flag_from_env

    cpu = cpu or not torch.cuda.is_available() or parse_flag_from_env("ACCELERATE_USE_CPU")
    _state = PartialState(cpu=cpu, timeout=PATIENCE)
    if _state.backend == "gloo":
        # Gloo's worker threads must be joined while the interpreter is whole: left to its end they race with it, and
        # now and then a process whose work is done aborts. NCCL has no such threads and may wait for dead peers here.
        atexit.register(_state.destroy_process_group)


def wait_for_all() -> None:
    """Return once every process has come here."""
    start()
    if _state is not None:
        _state.wait_for_everyone()


def broadcast_object(value: T) -> T:
    """The main process's `value`, in every process; the others' own counts for nothing."""
    start()
    if _state is None:
        return value
    from accelerate.utils import broadcast_object_list

    values = [value]
    broadcast_object_list(values)
    return values[0]


def gather_objects(value: T) -> list[T]:
    """Every process's `value`, by their numbers, in every process."""
    start()
    if _state is None:
        return [value]
    from accelerate.utils import gather_object

    gathered: list[Any] = gather_object([value])
    return gathered


@contextlib.contextmanager
def main_first() -> Iterator[None]:
    """The main process runs the body, then all others do, which find what it left on disk. Does not nest.

    Raises:
        AculaEdgeError: in the others, where the main process's body failed; theirs does not run.
    """
    if world_size() == 1:
        yield
    elif is_main():
        try:
            yield
        except Exception as error:
            # The others may be gone already; what went wrong here is what the user must see.
            with contextlib.suppress(RuntimeError):
                broadcast_object(str(error) or type(error).__name__)
            raise
        broadcast_object("")
    else:
        problem = broadcast_object("")
        if problem:
            raise AculaEdgeError(f"process {rank()} stops because the main one failed", given=problem.splitlines()[0])
        yield


@contextlib.contextmanager
def together() -> Iterator[None]:
    """All processes run the body and wait for each other; none goes on where one has failed.

    Raises:
        AculaEdgeError: in those whose body succeeded while another's failed.
    """
    if world_size() == 1:
        yield
        return
    try:
        yield
    except Exception as error:
        with contextlib.suppress(RuntimeError):
            gather_objects(str(error) or type(error).__name__)
        raise
    problems = {number: problem for number, problem in enumerate(gather_objects("")) if problem}
    if problems:
        failed, problem = min(problems.items())
        raise AculaEdgeError(f"process {rank()} stops because number {failed} failed", given=problem.splitlines()[0])
