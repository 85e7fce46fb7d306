"""Several processes: what each knows, who goes first, and what becomes of the others when one fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from acula_edge import processes, progress
from tests.group import run_together


def test_alone_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert (processes.rank(), processes.world_size(), processes.is_main()) == (0, 1, True)
    processes.wait_for_all()
    assert processes.broadcast_object("value") == "value" and processes.gather_objects("value") == ["value"]
    for context in (processes.main_first, processes.together):
        with context():
            pass
        with pytest.raises(ZeroDivisionError), context():
            raise ZeroDivisionError
    assert processes._state is None


def test_a_group_of_one_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    processes.wait_for_all()
    assert processes.world_size() == 1 and processes._state is None


def test_alone_nothing_heavy_is_imported() -> None:
    code = (
        "import sys\nfrom acula_edge import processes\nprocesses.start(); processes.wait_for_all()\n"
        "with processes.main_first(): pass\n"
        "assert not {'torch', 'accelerate', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).resolve().parents[1])


def test_only_the_main_process_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(progress, "_notify", told.append)
    monkeypatch.setattr(progress, "_tracker", lambda items, description, total: told.append(description) or iter(items))
    monkeypatch.setenv("WORLD_SIZE", "2")
    for number in (1, 0):
        monkeypatch.setenv("RANK", str(number))
        assert list(progress.track([1, 2], f"bar of {number}")) == [1, 2]
        progress.notify("line of %d", number)
    assert told == ["bar of 0", "line of 0"]


def test_a_group_meets_and_the_main_process_goes_first(tmp_path: Path) -> None:
    code = f"""
import time
from pathlib import Path
from acula_edge import processes
mark = Path({str(tmp_path)!r}) / "made"
with processes.main_first():
    if processes.is_main():
        time.sleep(1)
        mark.touch()
    print(mark.exists())
print(processes.rank(), processes.world_size(), processes.is_main())
print(processes.broadcast_object({{"from": processes.rank()}}), processes.gather_objects(processes.rank() * 10))
processes.wait_for_all()
"""
    for number, ended in enumerate(run_together(code)):
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.splitlines() == ["True", f"{number} 2 {number == 0}", "{'from': 0} [0, 10]"]


@pytest.mark.parametrize("ending", ["", "raise SystemExit(3)", "raise ZeroDivisionError"])
def test_the_group_is_dissolved_before_the_interpreter_ends(ending: str) -> None:
    code = f"""
import atexit
def tell():  # registered first, so called last
    import torch.distributed
    print("meeting", torch.distributed.is_initialized())
atexit.register(tell)
from acula_edge import processes
processes.wait_for_all()
{ending}
"""
    expected = 3 if "SystemExit" in ending else 1 if ending else 0
    for ended in run_together(code):
        assert (ended.returncode, ended.stdout) == (expected, "meeting False\n"), ended.stderr


def test_nobody_goes_on_where_one_has_failed() -> None:
    code = """
from acula_edge.errors import InputError
from acula_edge.processes import rank, together
with together():
    pass
with together():
    if rank() == 1:
        raise InputError("the disk is full")
print("went on")
"""
    first, second = run_together(code)
    assert first.returncode and "process 0 stops because number 1 failed" in first.stderr
    assert second.returncode and "InputError: the disk is full" in second.stderr
    assert (first.stdout, second.stdout) == ("", "")


def test_nobody_waits_for_a_main_process_that_failed() -> None:
    code = """
from acula_edge.errors import InputError
from acula_edge.processes import main_first
with main_first():
    print("ran")
    raise InputError("the disk is full", given="/data")
"""
    first, second = run_together(code)
    assert first.returncode and second.returncode
    assert "InputError: the disk is full" in first.stderr
    assert "process 1 stops because the main one failed" in second.stderr and "the disk is full" in second.stderr
    assert (first.stdout, second.stdout) == ("ran\n", "")
