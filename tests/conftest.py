"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder with the real recordings and parity numbers; tests that need it carry the mark ``real_data``."""
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("ACULA_EDGE_SHARED", default))
    if not (folder / "data").is_dir():
        pytest.skip(f"no real recordings at {folder} (set ACULA_EDGE_SHARED)")
    return folder
