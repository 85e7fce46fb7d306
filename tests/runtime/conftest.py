"""One tiny bundle for all tests that only read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from acula_edge.runtime import Bundle, load_bundle
from tests.tiny_bundle import write_tiny_bundle


@pytest.fixture(scope="session")
def bundle_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny-cpu_x86")


@pytest.fixture(scope="session")
def bundle(bundle_dir: Path) -> Bundle:
    return load_bundle(bundle_dir)
