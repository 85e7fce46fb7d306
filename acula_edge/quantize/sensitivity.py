"""What each layer costs: the loss when it alone runs on integers, and when it alone stays in float."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from acula_edge.bundle.schema import LayerSensitivity
from acula_edge.bundle.schema import Sensitivity as SensitivityFacts
from acula_edge.progress import track
from acula_edge.quantize.forms import Form
from acula_edge.quantize.insertion import insert_qdq
from acula_edge.quantize.judging import PROBE_LOSS, Judge, Loss
from acula_edge.quantize.placement import Placement, restrict, weighted_nodes
from acula_edge.quantize.profiles import Profile
from acula_edge.quantize.workload import measure_work


@dataclass(frozen=True)
class Sensitivity:
    """One layer.

    Attributes:
        node, operator: its name and type.
        macs: multiply-accumulates of one inference; 0 where shapes are not known.
        alone: the loss of a network in which only this layer is quantized, with what runs on integers beside it.
        spared: the loss of a network in which this layer stays in float and all the others do not; None for the only
            layer that there is.
    """

    node: str
    operator: str
    macs: int
    alone: Loss
    spared: Loss | None


@dataclass(frozen=True)
class Sensitivities:
    """All layers of one placement, in graph order.

    Attributes:
        whole: the loss with all of them quantized.
        n_windows: that these were measured on.
    """

    layers: list[Sensitivity]
    whole: Loss
    n_windows: int

    def describe(self) -> SensitivityFacts:
        """For ``quantize.json``."""
        layers = [
            LayerSensitivity(
                layer.node,
                layer.operator,
                layer.macs,
                layer.alone.describe(),
                None if layer.spared is None else layer.spared.describe(),
            )
            for layer in self.layers
        ]
        return SensitivityFacts(
            n_windows=self.n_windows, probe_loss=PROBE_LOSS, whole=self.whole.describe(), layers=layers
        )


def measure_sensitivity(form: Form, profile: Profile, placement: Placement, judge: Judge) -> Sensitivities:
    """Quantize every weighted layer alone, and all but it; two graphs per layer are made and run.

    Args:
        form: the float network and its ranges.
        placement: its quantized nodes are looked at.
        judge: on a few windows of the float network.
    """

    def loss(names: list[str]) -> Loss:
        return judge(insert_qdq(form.network, profile, restrict(form.network, profile, placement, names), form.ranges))

    names = weighted_nodes(form.network, placement)
    macs = {item.node: item.macs for item in measure_work(form.network)}
    operators = _operators(form.network)
    layers = []
    for name in track(names, "sensitivity of layers"):
        others = [other for other in names if other != name]
        spared = loss(others) if others else None
        layers.append(Sensitivity(name, operators[name], macs.get(name, 0), loss([name]), spared))
    return Sensitivities(layers, loss(names), len(judge.mels))


def _operators(model: onnx.ModelProto) -> dict[str, str]:
    return {node.name: node.op_type for node in model.graph.node}
