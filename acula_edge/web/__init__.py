"""A page in the browser: a bundle, onnxruntime-web and plain JavaScript in one static folder. No torch."""

from acula_edge.web.onnxruntime_web import OrtWeb, find_onnxruntime_web
from acula_edge.web.site import write_page

__all__ = ["OrtWeb", "find_onnxruntime_web", "write_page"]
