"""Every step's figures, for those who like to watch: TensorBoard files in the run's folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from acula_edge.errors import MissingCapability
from acula_edge.processes import is_main
from acula_edge.run import Run

LogStep = Callable[[int, dict[str, float]], None]


@contextmanager
def step_log(run: Run, stage: str, asked: bool) -> Iterator[LogStep | None]:
    """What the loop calls after every step: writes to ``RUN/tensorboard/STAGE``; None where it was not asked for.

    Raises:
        MissingCapability: TensorBoard is not installed.
    """
    if not asked or not is_main():
        yield None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingCapability("TensorBoard is not installed", remedy="pip install 'acula-edge[train]'") from error
    with SummaryWriter(run.tensorboard_dir / stage) as writer:

        def write(step: int, figures: dict[str, float]) -> None:
            for name, value in figures.items():
                writer.add_scalar(name, value, step)

        yield write
