"""What is on the device: a bundle, streaming, signal quality, the self-test. NumPy and ONNX Runtime only.

soxr is imported once something has to be resampled.
"""

from acula_edge.runtime.bundle import Bundle, load_bundle
from acula_edge.runtime.golden import selftest
from acula_edge.runtime.packets import Packet
from acula_edge.runtime.streaming import StreamUpdate

__all__ = ["Bundle", "Packet", "StreamUpdate", "load_bundle", "selftest"]
