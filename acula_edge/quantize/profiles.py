"""What an INT8 artifact is for, and what that asks of its graph. One artifact per profile (DESIGN section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from acula_edge.registry import Registry

WEIGHTED_OPERATORS = ("Conv", "Gemm", "MatMul")

# Operators that ONNX Runtime computes on integers between two quantized layers. AveragePool is not among them: its
# output would have to share its input's scale, which is far too coarse for a mean.
CARRIER_OPERATORS = (
    "Add", "Clip", "Concat", "Flatten", "GlobalAveragePool", "MaxPool", "Relu", "Reshape", "Squeeze", "Transpose",
    "Unsqueeze",
)  # fmt: skip


@dataclass(frozen=True)
class Profile:
    """The form of a QDQ graph.

    Attributes:
        name: what recipes and ``--profile`` call it.
        purpose: one line for lists.
        activation_type: of quantized activations.
        symmetric_activations: zero point 0 everywhere (TensorRT takes no other).
        quantize_bias: INT32 biases behind a DequantizeLinear (ONNX Runtime fuses only these; TensorRT refuses them).
        pairs_fit_16_bits: scale weights so that sums of two products never overflow 16 bits
            (:mod:`acula_edge.quantize.overflow`).
        quantized_weights: weights stored as INT8; otherwise as float behind a Q/DQ pair, as TensorRT wants them.
        carriers: operators besides the weighted ones that may be computed on integers.
        quantize_outputs: weighted operators whose output is quantized as well.
        trusted_opset: newest ONNX opset that every runtime of this profile takes with INT8.
    """

    name: str
    purpose: str
    activation_type: Literal["uint8", "int8"]
    symmetric_activations: bool = False
    quantize_bias: bool = True
    pairs_fit_16_bits: bool = False
    quantized_weights: bool = True
    carriers: tuple[str, ...] = CARRIER_OPERATORS
    quantize_outputs: tuple[str, ...] = ("Conv",)
    trusted_opset: int = 18


profiles: Registry[Profile] = Registry("profile")

# On x86 ONNX Runtime 1.32 turns INT8 activations into UINT8 when a session is made, but gives up where a tensor has
# two readers: residual additions and every second convolution then run in float. UINT8 from the start fuses whole.
# x86 without VNNI adds pairs of UINT8 x INT8 products in 16 bits. The kernels that do not overflow take a third longer,
# and only sessions that ask for them get them; with weights that cannot overflow, one file gives the same numbers on
# every x86, in every program.
profiles.register(
    "cpu_x86",
    Profile(
        "cpu_x86",
        "ONNX Runtime on x86-64: UINT8 activations, INT8 weights per channel that never overflow 16 bits",
        "uint8",
        pairs_fit_16_bits=True,
    ),
)
profiles.register(
    "cpu_arm",
    Profile("cpu_arm", "ONNX Runtime on 64-bit Arm: INT8 activations, INT8 weights per channel", "int8"),
)
profiles.register(
    "tensorrt",
    Profile(
        "tensorrt",
        "TensorRT 10 and 11: symmetric INT8, Q/DQ pairs on weights, float biases",
        "int8",
        symmetric_activations=True,
        quantize_bias=False,
        quantized_weights=False,
        carriers=(),
        quantize_outputs=(),
    ),
)
