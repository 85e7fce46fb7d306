"""The frozen language model that reads clinical reports; its embeddings are computed once and cached."""

from acula_edge.language.cache import embed_reports
from acula_edge.language.teacher import TextEncoder, locate_model

__all__ = ["TextEncoder", "embed_reports", "locate_model"]
