"""Bias correction: rounding shifts the mean of a layer's output, and a bias can take the shift back at no cost.

After Nagel et al. 2019 (Data-Free Quantization Through Weight Equalization and Bias Correction, arXiv 1906.04721,
section 4.2), in its empirical form (appendix D): means are measured on windows, before the activation function, layer
by layer, so that each layer sees the layers before it corrected.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from acula_edge.quantize.graph import attribute, consumers, initializers, producers, tensor_of
from acula_edge.quantize.ranges import observe

Array = NDArray[np.float32]
Vector = NDArray[np.float64]


def correct_biases(
    int8: onnx.ModelProto, network: onnx.ModelProto, nodes: Sequence[str], mels: Sequence[Array]
) -> onnx.ModelProto:
    """A copy of a QDQ graph whose layers have the float network's means per channel.

    Args:
        int8: made from `network`, node names unchanged.
        nodes: names of quantized layers in graph order; those without a constant bias are left alone.
        mels: a few spectrograms of training subjects. Shape: [1, F, M] each.
    """
    corrected = onnx.ModelProto()
    corrected.CopyFrom(int8)
    layers = {node.name: node for node in corrected.graph.node}
    float_layers = {node.name: node for node in network.graph.node}
    chosen = [name for name in nodes if _Bias.find(corrected, layers[name]) is not None]
    expected = _means(network, [float_layers[name] for name in chosen], mels)
    for name in chosen:
        found = _means(corrected, [layers[name]], mels)
        bias = _Bias.find(corrected, layers[name])
        assert bias is not None
        bias.add(expected[name] - found[name])
    return corrected


def _means(model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], mels: Sequence[Array]) -> dict[str, Vector]:
    """Mean of every output channel over windows and positions, by node."""
    sums = {node.output[0]: np.zeros(0) for node in nodes}
    axes = {node.output[0]: 1 if node.op_type == "Conv" else -1 for node in nodes}
    for shown in observe(model, mels, list(sums)):
        for name, array in shown.items():
            rows = np.moveaxis(array, axes[name], 0)
            mean = rows.reshape(len(rows), -1).mean(axis=1, dtype=np.float64)
            sums[name] = mean if not sums[name].size else sums[name] + mean
    return {node.name: sums[node.output[0]] / len(mels) for node in nodes}


class _Bias:
    """Where a layer's bias lies: a float constant, or INT32 behind a DequantizeLinear."""

    def __init__(self, model: onnx.ModelProto, reader: onnx.NodeProto, index: int, scale: Vector | None) -> None:
        self._model, self._reader, self._index, self._scale = model, reader, index, scale

    @staticmethod
    def find(model: onnx.ModelProto, node: onnx.NodeProto) -> _Bias | None:
        """The bias of a Conv or Gemm; None without one, or where a factor changes what is added."""
        if node.op_type not in ("Conv", "Gemm") or len(node.input) < 3 or not node.input[2]:
            return None
        if node.op_type == "Gemm" and attribute(node, "beta", 1.0) != 1.0:
            return None
        constants = initializers(model)
        if node.input[2] in constants:
            return _Bias(model, node, 2, None)
        maker = producers(model).get(node.input[2])
        if maker is None or maker.op_type != "DequantizeLinear" or maker.input[0] not in constants:
            return None
        return _Bias(model, maker, 0, numpy_helper.to_array(constants[maker.input[1]]).astype(np.float64))

    def add(self, shift: Vector) -> None:
        name = self._reader.input[self._index]
        tensor = initializers(self._model)[name]
        values = numpy_helper.to_array(tensor)
        if self._scale is None:
            changed = (values + shift).astype(values.dtype)
        else:
            limits = np.iinfo(np.int32)
            changed = np.clip(np.rint(values + shift / self._scale), limits.min, limits.max).astype(np.int32)
        if len(consumers(self._model)[name]) == 1:
            tensor.CopyFrom(tensor_of(changed, name))
            return
        own = f"{self._reader.name}/corrected"  # another layer has the same numbers, and keeps them
        self._model.graph.initializer.append(tensor_of(changed, own))
        self._reader.input[self._index] = own
