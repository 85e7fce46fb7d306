"""What is on the device: a bundle, streaming, signal quality, the self-test. NumPy, soxr and ONNX Runtime only."""

from acula_edge.runtime.bundle import Bundle, StreamUpdate, load_bundle
from acula_edge.runtime.golden import selftest

__all__ = ["Bundle", "StreamUpdate", "load_bundle", "selftest"]
