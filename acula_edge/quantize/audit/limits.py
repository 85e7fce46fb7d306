"""What TensorRT's parser refuses of operators that it otherwise takes.

From the column "Restrictions" of onnx-tensorrt's docs/operators.md (10.15), the parser's static checks
(builtin_op_static_checkers.cpp) and, for what a version lifted, docs/Changelog.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx
from onnx import TensorProto

from acula_edge.quantize.audit.view import GraphView
from acula_edge.quantize.graph import attribute
from acula_edge.quantize.tensorrt_operators import Version

TOP_K_LIMIT = 3840
_RESIZE_COORDINATES = (
    "half_pixel", "pytorch_half_pixel", "tf_half_pixel_for_nn", "asymmetric", "align_corners",
)  # fmt: skip
_NEAREST = ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
_CASTS = {
    TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.INT32, TensorProto.INT64,
    TensorProto.UINT8, TensorProto.BOOL,
}  # fmt: skip
_REDUCTIONS = (
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "ReduceSumSquare",
)  # fmt: skip
_INTEGERS = {TensorProto.INT32, TensorProto.INT64}


@dataclass(frozen=True)
class Limit:
    """One restriction.

    Attributes:
        name: short and stable.
        message: what is refused and what to do.
        broken: whether a node breaks it.
        since: the version that lifted it; None while it stands.
        refused: whether it is certain that the parser refuses.
    """

    name: str
    message: str
    broken: Callable[[GraphView, onnx.NodeProto], bool]
    since: Version | None = None
    refused: bool = True


def _text(node: onnx.NodeProto, name: str, default: str) -> str:
    value = attribute(node, name, default)
    return value.decode() if isinstance(value, bytes) else str(value)


def _top_k(view: GraphView, node: onnx.NodeProto) -> bool:
    count = view.constant(node, 1)
    return attribute(node, "sorted", 1) != 1 or (count is not None and int(count.max()) >= TOP_K_LIMIT)


def _resize_axes(view: GraphView, node: onnx.NodeProto) -> bool:
    axes, rank = attribute(node, "axes"), view.rank(node.input[0])
    return axes is not None and view.has(node, 2) and list(axes) != list(range(rank or 0))


def _training_dropout(view: GraphView, node: onnx.NodeProto) -> bool:
    training = view.constant(node, 2)
    return view.given_later(node, 2) or (training is not None and bool(training.any()))


def _operands(node: onnx.NodeProto) -> list[str]:
    return _text(node, "equation", "").split("->")[0].replace(" ", "").split(",")


def _einsum_extras(view: GraphView, node: onnx.NodeProto) -> bool:
    sizes: dict[str, int | None] = {}
    for operand, name in zip(_operands(node), node.input, strict=False):
        if "." in operand or len(set(operand)) < len(operand):
            return True
        for letter, size in zip(operand, view.shapes.get(name, []), strict=False):
            if sizes.setdefault(letter, size) != size:
                return True
    return False


_POOLING = (
    Limit(
        "pool-dilation",
        "dilations must be 1; use a strided slice or a dilated convolution",
        lambda _, node: any(step != 1 for step in attribute(node, "dilations", [])),
    ),
    Limit(
        "pool-rank",
        "2-D and 3-D pooling only; add an axis of size 1",
        lambda view, node: view.rank(node.input[0]) not in (None, 4, 5),
    ),
)
_NORM_ORDER = Limit("norm-order", "p must be 1 or 2", lambda _, node: attribute(node, "p", 2) not in (1, 2))
_REDUCTION = Limit("reduce-axes", "axes must be an initializer", lambda view, node: view.given_later(node, 1))
_AXES = Limit(
    "squeeze-axes", "axes must be constant; give them as initializer", lambda view, node: view.given_later(node, 1),
    (10, 7, 0),
)  # fmt: skip
_RECURRENT = Limit(
    "recurrent-layout", "layout must be 0; transpose around it", lambda _, node: attribute(node, "layout", 0) != 0
)
_KERNEL_SHAPE = Limit(
    "kernel-shape",
    "weights behind Q/DQ without kernel_shape, whose inference was repaired later; write the attribute kernel_shape",
    lambda view, node: node.input[1] not in view.constants and attribute(node, "kernel_shape") is None,
    (10, 4, 0),
    refused=False,
)

LIMITS: dict[str, tuple[Limit, ...]] = {
    "AveragePool": _POOLING,
    "BatchNormalization": (
        Limit(
            "training-mode",
            "training_mode is not supported; export in evaluation mode",
            lambda _, node: attribute(node, "training_mode", 0) != 0,
        ),
    ),
    "Cast": (
        Limit(
            "cast-type",
            "casts to FLOAT, FLOAT16, BFLOAT16, INT32, INT64, UINT8 and BOOL only",
            lambda _, node: attribute(node, "to") not in _CASTS,
        ),
    ),
    "Constant": (
        Limit(
            "constant-kind",
            "sparse_value, value_string and value_strings are not supported",
            lambda _, node: any(attribute(node, name) for name in ("sparse_value", "value_string", "value_strings")),
        ),
    ),
    "Conv": (_KERNEL_SHAPE,),
    "ConvTranspose": (_KERNEL_SHAPE,),
    "CumSum": (
        Limit("cumsum-axis", "axis must be constant", lambda view, node: view.given_later(node, 1), (10, 8, 0)),
    ),
    "Dropout": (
        Limit("dropout-training", "training_mode must be constant and false; export without it", _training_dropout),
    ),
    "Einsum": (
        Limit(
            "einsum-letters",
            "lower-case letters only in the equation",
            lambda _, node: any(letter.isupper() for letter in _text(node, "equation", "")),
        ),
        Limit(
            "einsum-extras",
            "no ellipsis, diagonal or broadcast; write MatMul and Transpose",
            _einsum_extras,
            (10, 12, 0),
        ),
    ),
    "GRU": (_RECURRENT,),
    "GridSample": (Limit("grid-rank", "4-D input only", lambda view, node: view.rank(node.input[0]) not in (None, 4)),),
    "GroupNormalization": (
        Limit("group-norm-21", "the form of opset 21; export with 18", lambda view, _: view.opset >= 21, (10, 9, 0)),
    ),
    "LSTM": (
        _RECURRENT,
        Limit(
            "lstm-forget",
            "input_forget must be 0",
            lambda _, node: attribute(node, "input_forget", 0) != 0,
        ),
    ),
    "LayerNormalization": (
        Limit(
            "layer-norm-outputs",
            "only the first output is supported; drop the mean and the deviation",
            lambda _, node: any(node.output[1:]),
        ),
    ),
    "LpNormalization": (_NORM_ORDER,),
    "LpPool": (*_POOLING, _NORM_ORDER),
    "MaxPool": (
        *_POOLING,
        Limit("pool-indices", "the output Indices is not supported", lambda _, node: any(node.output[1:])),
    ),
    "OneHot": (Limit("one-hot-depth", "depth must be constant", lambda view, node: view.given_later(node, 1)),),
    "Pad": (
        Limit("pad-axes", "no input axes; give pads for every axis", lambda view, node: view.has(node, 3), (10, 4, 0)),
        Limit(
            "pad-mode",
            "modes constant, edge, reflect and wrap only",
            lambda _, node: _text(node, "mode", "constant") not in ("constant", "edge", "reflect", "wrap"),
        ),
    ),
    "Pow": (
        Limit(
            "pow-exponent",
            "no integer exponent; cast it to the base's type",
            lambda view, node: view.types.get(node.input[1]) in _INTEGERS,
            (10, 8, 0),
        ),
        Limit(
            "pow-base",
            "no integer base; cast it to FLOAT",
            lambda view, node: view.types.get(node.input[0]) in _INTEGERS,
            (10, 12, 0),
        ),
    ),
    "RNN": (_RECURRENT,),
    "Resize": (
        Limit(
            "resize-mode",
            "modes nearest and linear only; at fixed size cubic is a constant MatMul",
            lambda _, node: _text(node, "mode", "nearest") not in ("nearest", "linear"),
        ),
        Limit(
            "resize-coordinates",
            f"coordinate_transformation_mode must be one of {', '.join(_RESIZE_COORDINATES)}",
            lambda _, node: _text(node, "coordinate_transformation_mode", "half_pixel") not in _RESIZE_COORDINATES,
        ),
        Limit(
            "resize-nearest",
            f"nearest_mode must be one of {', '.join(_NEAREST)}",
            lambda _, node: _text(node, "nearest_mode", "round_prefer_floor") not in _NEAREST,
        ),
        Limit(
            "resize-tf",
            "tf_half_pixel_for_nn goes with nearest_mode round_prefer_floor only",
            lambda _, node: (
                _text(node, "coordinate_transformation_mode", "half_pixel") == "tf_half_pixel_for_nn"
                and _text(node, "nearest_mode", "round_prefer_floor") != "round_prefer_floor"
            ),
        ),
        Limit(
            "resize-aspect",
            "keep_aspect_ratio_policy must be stretch; give sizes that keep the ratio",
            lambda _, node: _text(node, "keep_aspect_ratio_policy", "stretch") != "stretch",
        ),
        Limit(
            "resize-antialias",
            "antialiasing is not supported; blur before, or resize by a constant MatMul",
            lambda _, node: attribute(node, "antialias", 0) != 0,
        ),
        Limit("resize-axes", "with scales, axes must be all of them in order; drop the attribute", _resize_axes),
    ),
    "STFT": (
        Limit(
            "stft-inputs",
            "frame_step and window must be initializers",
            lambda view, node: view.given_later(node, 1) or view.given_later(node, 2),
        ),
    ),
    "ScatterND": (
        Limit(
            "scatter-reduction",
            "reduction must be none",
            lambda _, node: _text(node, "reduction", "none") != "none",
        ),
    ),
    "Squeeze": (_AXES,),
    "TopK": (Limit("top-k", f"sorted must be 1 and K less than {TOP_K_LIMIT}", _top_k),),
    "Unsqueeze": (_AXES,),
    **dict.fromkeys(_REDUCTIONS, (_REDUCTION,)),
}
