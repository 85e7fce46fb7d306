"""acula-edge: audio encoders aligned with medical language, distilled, quantized and proven on the edge."""

__version__ = "0.1.0"
