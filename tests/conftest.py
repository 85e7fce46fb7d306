"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Before torch is imported: two test processes with two threads each would wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one room share what is costly to make, so one process takes them all."""
    for item in items:
        rooms = item.path.relative_to(Path(__file__).parent).parts[:-1]
        item.add_marker(pytest.mark.xdist_group("/".join(rooms) or item.path.name))


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder with the real recordings and parity numbers; tests that need it carry the mark ``real_data``."""
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("ACULA_EDGE_SHARED", default))
    if not (folder / "data").is_dir():
        pytest.skip(f"no real recordings at {folder} (set ACULA_EDGE_SHARED)")
    return folder
