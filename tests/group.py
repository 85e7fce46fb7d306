"""Runs a piece of code in several processes that know of each other as under ``torchrun``, without its watching."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run_together(code: str, processes: int = 2, timeout_s: float = 120) -> list[subprocess.CompletedProcess[str]]:
    """Run `code` in each of a group of processes on the CPU; what they printed and returned, by rank.

    Raises:
        subprocess.TimeoutExpired: one of them hangs.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    group = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
                "RANK": str(number),
                "LOCAL_RANK": str(number),
                "WORLD_SIZE": str(processes),
                "LOCAL_WORLD_SIZE": str(processes),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
                "OMP_NUM_THREADS": "1",
                "CUDA_VISIBLE_DEVICES": "",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    try:
        ended = []
        for process in group:
            out, err = process.communicate(timeout=timeout_s)
            ended.append(subprocess.CompletedProcess(process.args, process.returncode, out, err))
        return ended
    finally:
        for process in group:
            process.kill()
