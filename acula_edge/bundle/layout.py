"""What the files of a bundle are called (DESIGN section 3.2). No other module spells these names."""

from __future__ import annotations

BUNDLE_FILE = "bundle.json"
SIGNATURE_FILE = "bundle.sig"

FRONTEND_FILE = "frontend.onnx"
ENCODER_FILE = "encoder.onnx"
ENCODER_INT8_FILE = "encoder.int8.onnx"
MODEL_FILE = "model.onnx"
MODEL_INT8_FILE = "model.int8.onnx"

MODEL_FILES = {"int8": MODEL_INT8_FILE, "float": MODEL_FILE}
"""Waveform to embedding and scores, by precision; the one that is run unasked comes first."""
ENCODER_FILES = {"int8": ENCODER_INT8_FILE, "float": ENCODER_FILE}
"""Spectrogram to embedding and scores, by precision."""
ROWS = {"int8": "int8", "float": "float_student"}
"""The row of ``verify.json`` that evaluates the models of a precision."""
ROW_OF_FILE = {files[precision]: row for precision, row in ROWS.items() for files in (MODEL_FILES, ENCODER_FILES)}

SELFTEST_FILE = "selftest.npz"
FRONTEND_SELFTEST_FILE = "selftest-frontends.npz"
SELFTEST_SCRIPT = "selftest.py"
PROMPTS_FILE = "zero_shot.npz"

QUANTIZE_FILE = "quantize.json"
AUDIT_FILE = "audit.json"
VERIFY_FILE = "verify.json"
VERIFY_SCORES_FILE = "verify_scores.npz"
PROMPT_SCORES_FILE = "zero_shot_scores.npz"
BENCHMARK_FILE = "benchmark.json"
BENCHMARK_SAMPLES_FILE = "benchmark_samples.npz"
ACCEPTANCE_FILE = "acceptance.json"
CARD_FILE = "README.md"
SBOM_FILE = "sbom.cdx.json"
