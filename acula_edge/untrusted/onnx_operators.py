"""Operators of ONNX that a model from outside may use: arithmetic on tensors, as exported encoders have it.

Left out on purpose: control flow and functions (graphs in graphs), sequences, maps, optionals and texts, random
numbers, image decoding, and every operator of a domain that ONNX Runtime learns from a library of its own.
"""

from __future__ import annotations

STANDARD_DOMAINS = ("", "ai.onnx")
CONTRIBUTED_DOMAIN = "com.microsoft"

# One value from each one, or one from several by broadcasting.
UNARY = frozenset({
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Cast", "CastLike", "Ceil", "Celu",
    "Clip", "Cos", "Cosh", "Dropout", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Hardmax",
    "Identity", "IsInf", "IsNaN", "LeakyRelu", "Log", "LogSoftmax", "Mish", "Neg", "Not", "Reciprocal", "Relu",
    "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softmax", "Softplus", "Softsign", "Sqrt", "Swish",
    "Tan", "Tanh", "ThresholdedRelu", "Trilu", "CumSum", "DequantizeLinear", "QuantizeLinear",
})  # fmt: skip
BROADCAST = frozenset({
    "Add", "And", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitShift", "Div", "Equal", "Greater", "GreaterOrEqual",
    "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod", "Mul", "Or", "PRelu", "Pow", "Sub", "Sum", "Where", "Xor",
})  # fmt: skip
# No more elements than the first input has.
SHRINKING = frozenset({
    "ArgMax", "ArgMin", "Compress", "DepthToSpace", "Flatten", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool",
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "ReduceSumSquare", "Reshape", "ReverseSequence", "Slice", "SpaceToDepth", "Split", "Squeeze",
    "Transpose", "Unsqueeze", "BatchNormalization", "GroupNormalization", "InstanceNormalization",
    "LayerNormalization", "LpNormalization", "LRN", "MeanVarianceNormalization", "RMSNormalization",
})  # fmt: skip
OTHERS = frozenset({
    "Attention", "AveragePool", "BlackmanWindow", "Concat", "Constant", "ConstantOfShape", "Conv", "ConvInteger",
    "ConvTranspose", "DFT", "Det", "DynamicQuantizeLinear", "Einsum", "Expand", "EyeLike", "GRU", "Gather",
    "GatherElements", "GatherND", "Gemm", "HammingWindow", "HannWindow", "LSTM", "LpPool", "MatMul",
    "MatMulInteger", "MaxPool", "MelWeightMatrix", "NonZero", "OneHot", "Pad", "QLinearConv", "QLinearMatMul",
    "RNN", "Range", "Resize", "RotaryEmbedding", "STFT", "ScatterElements", "ScatterND", "Shape", "Size", "Tile",
    "TopK", "Unique",
})  # fmt: skip
CONTRIBUTED = frozenset({
    "Attention", "BiasGelu", "BiasSoftmax", "ConvTransposeWithDynamicPads", "DequantizeLinear",
    "DynamicQuantizeLSTM", "DynamicQuantizeMatMul", "EmbedLayerNormalization", "FastGelu", "FusedConv", "FusedGemm",
    "FusedMatMul", "Gelu", "MatMulInteger16", "MatMulIntegerToFloat", "MatMulNBits", "MultiHeadAttention",
    "NhwcMaxPool", "QAttention", "QGemm", "QLinearAdd", "QLinearAveragePool", "QLinearConcat", "QLinearConv",
    "QLinearGlobalAveragePool", "QLinearLeakyRelu", "QLinearMul", "QLinearReduceMean", "QLinearSigmoid",
    "QLinearSoftmax", "QLinearWhere", "QuantizeLinear", "QuickGelu", "RotaryEmbedding",
    "SimplifiedLayerNormalization", "SkipLayerNormalization", "SkipSimplifiedLayerNormalization", "TransposeMatMul",
})  # fmt: skip
STANDARD = UNARY | BROADCAST | SHRINKING | OTHERS


def is_allowed(domain: str, operator: str) -> bool:
    """Whether a node may be of this operator."""
    if domain in STANDARD_DOMAINS:
        # ONNX Runtime's optimizer and older exporters write this one without its domain.
        return operator in STANDARD or operator == "SimplifiedLayerNormalization"
    return domain == CONTRIBUTED_DOMAIN and operator in CONTRIBUTED
