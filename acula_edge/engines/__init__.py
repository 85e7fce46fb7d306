"""What runs a model on a machine: ONNX Runtime sessions, TensorRT engines, and the files of a bundle."""
