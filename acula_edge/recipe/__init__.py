"""Recipes: dataclasses with sensible defaults, YAML overlays, and ``--set a.b=c`` on top.

A recipe is validated once, here; a key that does not exist or a value of the wrong type is an error that names
the key, the file and the likely spelling. A run keeps the resolved recipe, so it says by itself how it was made.
"""

from acula_edge.recipe.device import RuntimeConfig
from acula_edge.recipe.learning import AlignConfig, DistillConfig, EncoderConfig
from acula_edge.recipe.proof import BenchmarkConfig, GateConfig, QuantizeConfig, VerifyConfig, ZeroShotConfig
from acula_edge.recipe.recipe import (
    Recipe,
    dump_recipe,
    frontend_of,
    load_recipe,
    override_recipe,
    recipe_from_dict,
)
from acula_edge.recipe.reports import HttpWriterConfig, LocalWriterConfig, ReportsConfig
from acula_edge.recipe.sources import DataConfig, GuardConfig, LanguageConfig, Source, SplitConfig

__all__ = [
    "AlignConfig", "BenchmarkConfig", "DataConfig", "DistillConfig", "EncoderConfig", "GateConfig", "GuardConfig",
    "HttpWriterConfig", "LanguageConfig", "LocalWriterConfig", "QuantizeConfig", "Recipe", "ReportsConfig",
    "RuntimeConfig", "Source", "SplitConfig", "VerifyConfig", "ZeroShotConfig", "dump_recipe", "frontend_of",
    "load_recipe", "override_recipe", "recipe_from_dict",
]  # fmt: skip
