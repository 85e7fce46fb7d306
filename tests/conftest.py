"""Fixtures that every room's tests share, and what holds for all of them: no network, no more threads than cores."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before torch is imported: two test processes with two threads each would wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

_GUARD = Path(__file__).parent / "supply_chain" / "no_network" / "sitecustomize.py"
_attempts = Path(tempfile.mkdtemp(prefix="acula-edge-tests-")) / "network.log"


def pytest_configure() -> None:
    """No test, and no Python process that one starts, reaches another machine."""
    spec = importlib.util.spec_from_file_location("no_network", _GUARD)
    assert spec is not None and spec.loader is not None
    guard = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(guard)
    _attempts.touch()
    os.environ[guard.LOG] = str(_attempts)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_GUARD.parent), os.environ.get("PYTHONPATH")]))
    guard.forbid_network()


def pytest_unconfigure() -> None:
    _attempts.unlink(missing_ok=True)
    _attempts.parent.rmdir()


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one room share what is costly to make, so one process takes them all."""
    for item in items:
        rooms = item.path.relative_to(Path(__file__).parent).parts[:-1]
        item.add_marker(pytest.mark.xdist_group("/".join(rooms) or item.path.name))


@pytest.fixture
def network_attempts() -> Path:
    """File with a line for each attempt to reach another machine; what a test leaves in it makes the test fail."""
    return _attempts


@pytest.fixture(autouse=True)
def no_network(network_attempts: Path) -> Iterator[None]:
    """Fails a test during which something wanted to reach another machine, even if it made nothing of the refusal."""
    before = network_attempts.stat().st_size
    yield
    if network_attempts.stat().st_size > before:
        with network_attempts.open() as log:
            log.seek(before)
            pytest.fail(f"the network was asked for:\n{log.read()}")


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder with the real recordings and parity numbers; tests that need it carry the mark ``real_data``."""
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("ACULA_EDGE_SHARED", default))
    if not (folder / "data").is_dir():
        pytest.skip(f"no real recordings at {folder} (set ACULA_EDGE_SHARED)")
    return folder
