"""From a trained encoder to files that a device runs: ONNX float, ONNX INT8 (QDQ), audit, bundle."""
