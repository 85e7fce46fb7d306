"""acula-edge: audio encoders aligned with medical language, distilled, quantized and proven on the edge.

    import acula_edge as ae

    run = ae.train("recipes/auscultation.yaml", data={"circor": "/data/circor"})
    bundle = ae.export(run, int8=True)
    print(ae.load_bundle(bundle).score(pcm, sample_rate_hz=4000))

Importing this loads nothing heavy: a name below is looked up in its module when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from acula_edge.library_defaults import set_library_defaults

__version__ = "0.1.0"

set_library_defaults()  # no library that reads them is loaded yet

if TYPE_CHECKING:
    from acula_edge.encoders import load_encoder as load_encoder
    from acula_edge.frontend.reference import log_mel_at as log_mel  # noqa: F401
    from acula_edge.pipeline import benchmark as benchmark
    from acula_edge.pipeline import demo as demo
    from acula_edge.pipeline import distill as distill
    from acula_edge.pipeline import export as export
    from acula_edge.pipeline import report as report
    from acula_edge.pipeline import train as train
    from acula_edge.pipeline import verify as verify
    from acula_edge.recipe import load_recipe as load_recipe
    from acula_edge.run import Run as Run
    from acula_edge.runtime import load_bundle as load_bundle

_HOME = {
    "Run": "acula_edge.run:Run",
    "benchmark": "acula_edge.pipeline:benchmark",
    "demo": "acula_edge.pipeline:demo",
    "distill": "acula_edge.pipeline:distill",
    "export": "acula_edge.pipeline:export",
    "load_bundle": "acula_edge.runtime:load_bundle",
    "load_encoder": "acula_edge.encoders:load_encoder",
    "load_recipe": "acula_edge.recipe:load_recipe",
    "log_mel": "acula_edge.frontend.reference:log_mel_at",
    "report": "acula_edge.pipeline:report",
    "train": "acula_edge.pipeline:train",
    "verify": "acula_edge.pipeline:verify",
}

__all__ = sorted([*_HOME, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOME[name].partition(":")
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
