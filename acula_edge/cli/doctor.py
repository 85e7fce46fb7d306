"""acula-edge doctor"""

from __future__ import annotations

from typing import Any

from acula_edge.cli.command import verb
from acula_edge.cli.options import json_option


@verb("doctor", "acula-edge doctor", "acula-edge doctor --json > machine.json")
@json_option
def command(as_json: bool) -> None:
    """What this machine can do, verb by verb, what is missing, and everything that is registered."""
    from acula_edge.cli.console import print_facts, print_json, print_line, print_table
    from acula_edge.doctor import examine

    found = examine(registered=True)
    if as_json:
        print_json(found)
        return
    print_facts(_machine(found), title="This machine")
    print_line()
    verdicts = found["verbs"]
    print_table(
        ["verb", "can", "why", "to do"],
        [[name, verdict["can"], verdict["why"], verdict["to_do"] or ""] for name, verdict in verdicts.items()],
    )
    print_line()
    print_facts(
        {
            **found["registered"],
            **{kind: f"to list them: {remedy}" for kind, remedy in found["registered_missing"].items()},
        },
        title="Registered",
    )


def _machine(found: dict[str, Any]) -> dict[str, object]:
    environment = found["environment"]
    cpu = environment["cpu"]
    torch, tensorrt = found["torch"], found["tensorrt"]
    memory_mb = environment["memory_mb"]
    return {
        "acula-edge": found["version"],
        "system": f"{environment['distribution'] or environment['system']}, Python {environment['python']}",
        "processor": f"{cpu['model']}, {environment['usable_cores']} usable cores",
        "INT8 dot product": "yes" if cpu["int8_dot_product"] else "no: INT8 may be no faster than float here",
        "instructions": cpu["flags"],
        "memory": f"{memory_mb / 1000:.1f} GB" if memory_mb else None,
        "free disk": f"{found['disk_free_mb'] / 1000:.1f} GB",
        "GPU": [gpu["name"] for gpu in environment["gpu"]] or "none",
        "ONNX Runtime": environment["onnxruntime_providers"],
        "PyTorch": f"{torch['version']}, built for CUDA {torch['cuda']}" if torch else "not installed",
        "TensorRT": tensorrt["version"] or ("trtexec only" if tensorrt["trtexec"] else "not installed"),
        "installed extras": [name for name, extra in found["extras"].items() if extra["installed"]] or "none",
    }
