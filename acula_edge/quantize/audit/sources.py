"""Documents that the rules come from."""

from __future__ import annotations

_TENSORRT = "https://docs.nvidia.com/deeplearning/tensorrt/latest"
_PARSER = "https://github.com/onnx/onnx-tensorrt/blob"

EXPLICIT = f"{_TENSORRT}/inference-library/quantized-types-explicit-quantization.html"
PLACEMENT = f"{_TENSORRT}/inference-library/work-quantized-types.html (Q/DQ Layer-Placement Recommendations)"
LIMITATIONS = f"{_TENSORRT}/inference-library/work-quantized-types.html (Q/DQ Limitations)"
LAYOUTS = f"{_TENSORRT}/reference/data-format-desc.html"
OPERATORS = f"{_PARSER}/main/docs/operators.md"
CHANGELOG = f"{_PARSER}/main/docs/Changelog.md"
PARSER = f"{_PARSER}/main/onnxOpImporters.cpp (QuantDequantLinearHelper)"
STORED_WEIGHTS = EXPLICIT + " (Quantized Weights); https://github.com/microsoft/onnxruntime/issues/11535"
INT32_BIAS = "https://github.com/microsoft/onnxruntime/issues/14229"
PAD_SPLIT = "https://github.com/NVIDIA/TensorRT/issues/2592"
RESIDUAL = "https://github.com/NVIDIA/TensorRT/issues/1992; " + PLACEMENT
RESIDUAL_SPLIT = "https://github.com/NVIDIA/TensorRT/issues/3270; " + PLACEMENT
GROUPS = "https://github.com/NVIDIA/TensorRT/issues/4529"
ONNX = "https://onnx.ai/onnx/operators/"
ONNX_QUANTIZE = f"{ONNX}onnx__QuantizeLinear.html"
ORT_QUANTIZATION = "https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html"
ORT_COMPATIBILITY = "https://onnxruntime.ai/docs/reference/compatibility.html"
ORT_OPSET_21 = "https://github.com/microsoft/onnxruntime/issues/25526"
MEASURED = "measured here with ONNX Runtime 1.32 (DESIGN, section 4)"
OWN = "this project's own contract for bundles"
