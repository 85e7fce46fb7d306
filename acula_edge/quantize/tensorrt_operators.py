"""ONNX operators that TensorRT parses, and since which version.

From onnx-tensorrt's table of operators (docs/operators.md of 8.5 and 10.15) and its change log (docs/Changelog.md) up
to 10.15. No release up to 11 is known to have dropped one.
"""

from __future__ import annotations

import re

from acula_edge.errors import InputError

Version = tuple[int, int, int]

# What 10.3 parses (JetPack 6.1 and 6.2, the oldest that this project serves).
_TABLE = """
Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast CastLike Ceil Celu
Clip Concat Constant ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DeformConv DepthToSpace DequantizeLinear Div
Dropout Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gemm
GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization HardSigmoid
HardSwish Hardmax Identity If InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less
LessOrEqual Log LogSoftmax Loop LpNormalization LpPool MatMul Max MaxPool Mean MeanVarianceNormalization Min Mod
Mul Neg NonMaxSuppression NonZero Not OneHot Or PRelu Pad Pow QuantizeLinear RNN RandomNormal RandomNormalLike
RandomUniform RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax
ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence RoiAlign Round Scan
ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign
SpaceToDepth Split Sqrt Squeeze Sub Sum Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Upsample
Where Xor
"""
SUPPORTED = frozenset(_TABLE.split())

# By the column "Supported Types" of 10.15; the table of 10.3 was not at hand.
_FLOAT_TABLE = """
Acos Acosh Asin Asinh Atan Atanh AveragePool BatchNormalization Ceil Celu Clip Conv ConvTranspose Cos Cosh CumSum
DeformConv Einsum Elu Erf Exp Floor Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool GridSample GroupNormalization
HardSigmoid HardSwish Hardmax InstanceNormalization IsInf LRN LSTM LayerNormalization LeakyRelu Log LogSoftmax
LpNormalization LpPool MatMul MaxPool MeanVarianceNormalization NonZero PRelu Reciprocal Resize RoiAlign Round Selu
Sigmoid Sin Sinh Softmax Softplus Softsign Sqrt Tan Tanh ThresholdedRelu
"""
FLOAT_ONLY = frozenset(_FLOAT_TABLE.split())
"""Operators that compute on floating point only."""

_BOOL_TABLE = """
And Cast CastLike Concat Constant ConstantOfShape Dropout Expand EyeLike Flatten Gather GatherElements GatherND
Identity If Loop Not OneHot Or Reshape ReverseSequence Scan Shape Size Slice Split Squeeze Tile Transpose Trilu
Unsqueeze Where Xor
"""
BOOL_TOO = frozenset(_BOOL_TABLE.split())
"""Operators that take BOOL as data."""

ARRIVED: dict[str, Version] = {
    "BlackmanWindow": (10, 4, 0),
    "HammingWindow": (10, 4, 0),
    "HannWindow": (10, 4, 0),
    "STFT": (10, 5, 0),
    "Attention": (10, 14, 0),
    "RMSNormalization": (10, 15, 0),
    "RotaryEmbedding": (10, 15, 0),
    "TensorScatter": (10, 15, 0),
    # In the table of 10.15, not in that of 9; the change log does not say when they came.
    "Gelu": (10, 15, 0),
    "Mish": (10, 15, 0),
}
"""Operators that a later TensorRT 10 learned, and which."""


def parse_version(text: str) -> Version:
    """Version from ``10.3`` or ``10.13.2``.

    Raises:
        InputError: neither.
    """
    parts = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text.strip())
    if parts is None:
        raise InputError("this is no version of TensorRT", given=text, allowed="for example 10.3 or 10.13.2")
    return int(parts[1]), int(parts[2]), int(parts[3] or 0)


def short(version: Version) -> str:
    """``10.5``"""
    return f"{version[0]}.{version[1]}"
