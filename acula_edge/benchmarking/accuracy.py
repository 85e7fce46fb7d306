"""How good is what is fast? Every speed-up carries the accuracy of the same two files."""

from __future__ import annotations

from typing import Any


def accuracy_of(verification: dict[str, Any] | None, reference: str | None, candidate: str | None) -> dict[str, Any]:
    """Per task the values of two rows of ``verify.json``.

    Returns:
        ``tasks``: list of ``id, metric, n_subjects, reference, candidate`` (each ``value, ci95``, or None), and
        ``reason`` why there is none, else None.
    """
    if verification is None:
        return {"tasks": [], "reason": "not verified: there is no verify.json beside the model"}
    if reference is None or candidate is None:
        return {"tasks": [], "reason": "verify.json evaluates only one of the two"}
    tasks = [
        {
            "id": task["id"],
            "metric": task["metric"],
            "n_subjects": task["n_subjects"],
            "reference": _value(task.get(reference)),
            "candidate": _value(task.get(candidate)),
        }
        for task in verification["tasks"]
    ]
    return {"tasks": tasks, "reason": None if tasks else "verify.json holds no task"}


def accuracy_of_model(verification: dict[str, Any] | None, model: str | None) -> dict[str, Any]:
    """Per task the value of one row of ``verify.json``.

    Returns:
        ``tasks``: list of ``id, metric, n_subjects, value, ci95``, and ``reason`` why there is none, else None.
    """
    if verification is None:
        return {"tasks": [], "reason": "not verified: there is no verify.json beside the model"}
    if model is None:
        return {"tasks": [], "reason": "verify.json does not evaluate it"}
    tasks = [
        {"id": task["id"], "metric": task["metric"], "n_subjects": task["n_subjects"], **value}
        for task in verification["tasks"]
        if (value := _value(task.get(model))) is not None
    ]
    return {"tasks": tasks, "reason": None if tasks else "verify.json holds no task of it"}


def _value(row: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if row is None else {"value": row["value"], "ci95": row["ci95"]}
