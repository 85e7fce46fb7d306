"""How the scores of a stream become a decision: settings that a recipe makes, a bundle carries, the runtime follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from acula_edge.bounds import Bounded

SMOOTHING_SCHEMA = "acula-edge/smoothing/1"


@dataclass(frozen=True)
class SmoothingSettings(Bounded):
    """Exponential smoothing of scores, and hysteresis around each task's threshold.

    Scores are smoothed as log odds (binary) or log probabilities (multiclass), values of a regression as they are.

    Attributes:
        time_constant_s: after a step in the scores, 63 % of it has come through after this long; 0 smooths nothing.
        margin_log_odds: a binary task turns positive this far above its threshold and negative this far below it, in
            log odds (0.2 is 0.05 of probability at one half). A multiclass task takes another label once that is this
            much more probable, in natural logarithms.
        forget_s: after so long without a measurable window there is no decision any more.
    """

    at_least: ClassVar[Mapping[str, float]] = {"time_constant_s": 0, "margin_log_odds": 0}
    above: ClassVar[Mapping[str, float]] = {"forget_s": 0}

    time_constant_s: float = 10.0
    margin_log_odds: float = 0.2
    forget_s: float = 30.0


def describe_smoothing(settings: SmoothingSettings) -> dict[str, Any]:
    """The entry ``smoothing`` of ``bundle.json``."""
    return {"schema": SMOOTHING_SCHEMA, **asdict(settings)}
