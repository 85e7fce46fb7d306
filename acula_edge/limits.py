"""How much of what comes from outside is taken, at most: every limit that guards memory, time or the disk.

What exceeds one is refused with an error that names the file, what it holds and the limit. SECURITY.md lists them for
users; the tests hold that list and this file to each other. Nothing here is imported beyond the standard library.
"""

from __future__ import annotations

# Recordings ----------------------------------------------------------------------------------------------------------

MAX_SAMPLES = 1 << 29
"""Longest recording read, samples per channel: 2 GiB as float32 (37 hours at 4 kHz, 3 hours at 48 kHz)."""

# Texts: recipes, manifests, JSON -------------------------------------------------------------------------------------

# Model files: checkpoints, safetensors, ONNX -------------------------------------------------------------------------

# Bundles -------------------------------------------------------------------------------------------------------------
