"""The frozen language model that reads clinical reports; its embeddings are computed once and cached."""

from acula_edge.language.cache import embed_recordings, embed_reports
from acula_edge.language.loading import check_language_model, locate_model
from acula_edge.language.teacher import TextEncoder

__all__ = ["TextEncoder", "check_language_model", "embed_recordings", "embed_reports", "locate_model"]
