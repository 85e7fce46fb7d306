"""Mixed precision: which layers stay in float so that the quality target is met at the least latency.

Greedy: layers go to float one by one, those first that remove most noise per multiply-accumulate taken from the
integers, until the target is met; then every one that turns out not to be needed goes back. Multiply-accumulates stand
for latency: on one machine float costs about the same factor more for every layer, and a plan that follows from the
graph is the same everywhere. What really is slower on integers is :mod:`acula_edge.quantize.speed`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from acula_edge.bundle.schema import PrecisionStep
from acula_edge.quantize.judging import Loss
from acula_edge.quantize.sensitivity import Sensitivities

REASON = "mixed precision: INT8 misses the target with it"


@dataclass(frozen=True)
class Plan:
    """What stays in float.

    Attributes:
        left_float: names of layers.
        met: whether the target is met.
        trail: every step: what was in float then, and the loss.
    """

    left_float: tuple[str, ...]
    met: bool
    trail: list[PrecisionStep]


def plan_precision(sensitivities: Sensitivities, measure: Callable[[Sequence[str]], Loss], min_cosine: float) -> Plan:
    """Choose layers to leave in float.

    Args:
        sensitivities: of all quantized layers.
        measure: the loss with some layers left in float, on windows that judge.
        min_cosine: target for the mean cosine of embeddings.

    Returns:
        The plan; where the target is out of reach, the one that came closest.
    """
    trail: list[PrecisionStep] = []
    losses: dict[tuple[str, ...], Loss] = {}

    def attempt(left: Sequence[str]) -> Loss:
        key = tuple(left)
        if key not in losses:
            losses[key] = measure(key)
            loss = losses[key].describe()
            trail.append(PrecisionStep(loss.sqnr_db, loss.cosine_mean, loss.probe_loss, list(key)))
        return losses[key]

    left: list[str] = []
    met = attempt(left).cosine_mean >= min_cosine
    # One layer at least stays on integers: with none the float model is what is wanted.
    for name in _by_gain_per_cost(sensitivities)[: len(sensitivities.layers) - 1]:
        if met:
            break
        left.append(name)
        met = attempt(left).cosine_mean >= min_cosine
    if not met:
        best = max(losses, key=lambda key: losses[key].cosine_mean)
        return Plan(best, False, trail)
    for name in list(left[:-1]):
        fewer = [other for other in left if other != name]
        if attempt(fewer).cosine_mean >= min_cosine:
            left = fewer
    return Plan(tuple(left), True, trail)


def _by_gain_per_cost(sensitivities: Sensitivities) -> list[str]:
    """Layers by the noise that leaving them in float removes, per multiply-accumulate; the most rewarding first."""
    noise = sensitivities.whole.noise
    ranked = [
        ((noise - layer.spared.noise) / max(layer.macs, 1), layer.node)
        for layer in sensitivities.layers
        if layer.spared is not None
    ]
    return [node for _, node in sorted(ranked, key=lambda item: -item[0])]
