"""What was done to the INT8 graph for quality and speed: outliers, biases, layers in float; sensitivity; the guard."""

from __future__ import annotations

import math

from msgspec import UnsetType

from acula_edge.bundle.schema import (
    BiasCorrection,
    LayerSensitivity,
    Loss,
    MixedPrecision,
    Quantize,
    Sensitivity,
    Speed,
)
from acula_edge.reporting.charts import NARROW, WIDE
from acula_edge.reporting.charts.bars import Bar, Segment, draw_bars
from acula_edge.reporting.document import Block, Chart, Heading, Notice, Text
from acula_edge.reporting.numbers import count, fixed, interval, listing, times

_MOST_BARS = 20


def bias_words(correction: BiasCorrection) -> str:
    """``SQNR 29.5 → 30.2 dB on 58 windows of other persons``; empty where it was not tried."""
    decibels = correction.sqnr_db
    if not decibels:
        return ""
    windows = correction.n_windows.judge if correction.n_windows else None
    kept = "" if correction.kept else "left out, it did not help: "
    change = f"SQNR {fixed(decibels.before, 1)} → {fixed(decibels.after, 1, 'dB')}"
    return f"{kept}{change} on {count(windows, 'window')} of {correction.judged_by or 'calibration'}"


def smoothing_words(quantize: Quantize) -> str:
    """What moving outliers of a transformer's activations into its weights came to; empty without such layers."""
    smoothing = quantize.smoothing
    tried = smoothing.sqnr_db
    if not tried:
        return ""
    exponent = smoothing.exponent
    if exponent is None:
        return "none, which was best"
    before = smoothing.plain_sqnr_db
    chosen = exponent if isinstance(exponent, str) else f"{exponent:g}"
    return f"exponent {chosen}: SQNR {fixed(before, 1)} → {fixed(tried.get(str(exponent)), 1, 'dB')}"


def precision_words(mixed: MixedPrecision | None) -> str:
    """Whether layers went to float for quality; empty where nobody asked."""
    if mixed is None:
        return ""
    target = fixed(mixed.min_cosine, 4)
    if not mixed.needed:
        return f"not needed: mean cosine {fixed(mixed.cosine_mean, 4)}, {target} wanted"
    layers = count(len(mixed.left_float or ()), "layer")
    after = max((step.cosine_mean for step in mixed.trail or ()), default=None)
    outcome = "" if mixed.met else f", which is still below the {target} wanted"
    change = f"mean cosine {fixed(mixed.cosine_mean, 4)} → {fixed(after, 4)}"
    return f"{layers} left in float: {change}{outcome}"


def speed_blocks(speed: Speed | None) -> list[Block]:
    """INT8 against float on the machine that exported it, and what follows."""
    if speed is None:
        return []
    reason = speed.reason
    blocks: list[Block] = [Heading("Speed guard")]
    if speed.recommended == "float":
        blocks.append(Notice(f"Recommended: the float model. Measured at export, {reason}."))
    elif speed.measured:
        blocks.append(Text(f"Measured at export, front end apart: {reason}."))
    else:
        blocks.append(Text(f"INT8 against float was {reason}."))
    for turn, step in enumerate(speed.trail):
        plan = "As planned" if turn == 0 else f"With {count(len(step.left_float), 'layer')} left in float"
        words = f"{plan}: {times(step.speedup)} as fast {interval(step.speedup_ci95, 2)}"
        words += f", {count(step.integer_layers, 'layer')} on integers, {count(step.conversions)} conversions"
        for layers, meaning in (
            (step.fell_back, "fell back to float"),
            (step.islands, "cost more to convert than they save"),
        ):
            if layers:
                words += f"; {meaning}: {listing(layers)}"
        blocks.append(Text(f"{words}."))
    return blocks


def sensitivity_blocks(sensitivity: Sensitivity | None, name: str) -> list[Block]:
    """Bars of the noise that each layer brings when it alone is quantized."""
    if sensitivity is None:
        return []
    layers = sensitivity.layers or []
    if not layers:
        reason = sensitivity.reason
        return [Heading("Sensitivity of layers"), Text(f"Not measured: {reason}.")] if reason else []
    worst = sorted(layers, key=lambda layer: -_noise(layer.alone))[:_MOST_BARS]
    shown = [layer for layer in layers if layer in worst]
    bars = [
        Bar(
            label=str(layer.node).removeprefix("encoder/"),
            note=_spared(layer),
            segments=[Segment("noise", _noise(layer.alone), "int8 encoder")],
            whole=None,
            text=fixed(_noise(layer.alone), 2, "%"),
        )
        for layer in shown
    ]
    whole = _noise(sensitivity.whole)
    most = worst[0].node
    title = "Sensitivity of layers"
    description = (
        f"Noise in the embedding, in percent of its length, when one layer alone is quantized; most from {most}. "
        f"All layers together: {fixed(whole, 2, '%')}. On {count(sensitivity.n_windows or None, 'calibration window')}"
        + (f"; the {_MOST_BARS} most sensitive of {count(len(layers))} layers." if len(layers) > len(shown) else ".")
    )
    axis = "noise of the embedding, % of its length, this layer alone in INT8"
    wide, narrow = (
        draw_bars(f"{name}-sensitivity", title, description, bars, axis, width, unit="%") for width in (WIDE, NARROW)
    )
    return [Heading(title), Text(description), Chart(title, description, wide, narrow)]


def _noise(loss: Loss | UnsetType | None) -> float:
    """Percent; an SQNR that is None stands for no noise at all."""
    decibels = loss.sqnr_db if loss else None
    return 0.0 if decibels is None else 100 * math.pow(10, -decibels / 20)


def _spared(layer: LayerSensitivity) -> str:
    spared = layer.spared
    return f"all but this one: {fixed(_noise(spared), 2, '%')}" if spared else ""
