"""`acula-edge bundle verify`: every claim that a bundle makes about itself, checked against its files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from acula_edge.engines.bundle_files import BUNDLE_FILE, damaged_files, file_names, read_bundle
from acula_edge.engines.signature import SIGNATURE_FILE, check_signature
from acula_edge.errors import AculaEdgeError, MissingCapability
from acula_edge.evidence.acceptance import ACCEPTANCE_FILE, ACCEPTANCE_SCHEMA
from acula_edge.evidence.model_card import CARD_FILE
from acula_edge.evidence.sbom import SBOM_FILE, SPEC_VERSION, model_hashes
from acula_edge.files import read_json, sha256_json
from acula_edge.limits import MAX_CARD_BYTES
from acula_edge.untrusted.texts import read_text
from acula_edge.untrusted.yaml_text import parse_yaml

SCHEMA = "acula-edge/bundle-check/1"

# Files that others read: the name of their schema, and entries that must be there.
SCHEMAS = {
    "verify.json": ("acula-edge/verify/1", ("method", "tasks", "summary", "parity", "gate")),
    "benchmark.json": ("acula-edge/benchmark/1", ("environment", "measurements", "comparisons")),
    "quantize.json": ("acula-edge/quantize/1", ("profile", "calibration", "parity")),
    "audit.json": ("acula-edge/audit/1", ("passed", "findings")),
    ACCEPTANCE_FILE: (ACCEPTANCE_SCHEMA, ("criteria", "criteria_sha256", "fixed", "fixed_at", "results", "accepted")),
}
_BUNDLE_ENTRIES = ("name", "profile", "disclaimer", "input", "embedding_dim", "tasks", "files", "provenance")
_PROVENANCE = ("python", "platform", "packages", "recipe_sha256", "weights_sha256", "encoder_sha256", "datasets")
_SHA256 = re.compile("[0-9a-f]{64}")
_MEASURED_LATER = ("verify.json", "benchmark.json", "quantize.json")


def verify_bundle(folder: str | Path, public_key: str | Path | None = None) -> dict[str, Any]:
    """Check a bundle's evidence. What is in it is not run: that is the self-test's part.

    Args:
        public_key: Ed25519 public key in PEM that the bundle must be signed by.

    Returns:
        ``passed``, ``verdict``, ``accepted`` (of the criteria; None where not known) and ``checks``: list of
        ``name, passed, detail``; ``passed`` is None where there was nothing to check, or no means to.

    Raises:
        ArtifactError: the folder is no bundle, or ``bundle.json`` itself was altered.
        MissingCapability: a key was named and ``cryptography`` is not installed.
    """
    folder = Path(folder)
    info = read_bundle(folder, verify=False)
    damaged = damaged_files(folder, info["files"])
    known = {BUNDLE_FILE, SIGNATURE_FILE, *info["files"]}
    unknown = sorted({*file_names(folder), *(path.name for path in folder.iterdir() if path.is_dir())} - known)
    checks = [
        _check("files", not damaged, "; ".join(damaged) or f"{len(info['files'])} files are as they were written"),
        _check("nothing else", not unknown, f"not listed: {', '.join(unknown)}" if unknown else "no other files"),
        _sealed(info),
        *_schemas(folder, info),
        _provenance(info),
        _guarded("bill of materials", folder, info, SBOM_FILE, _sbom),
        _guarded("criteria", folder, info, ACCEPTANCE_FILE, _criteria),
        _guarded("model card", folder, info, CARD_FILE, _card),
        _signature(folder, public_key),
    ]
    passed = all(check["passed"] is not False for check in checks)
    acceptance = _read(folder / ACCEPTANCE_FILE)
    return {
        "schema": SCHEMA,
        "bundle": info["name"],
        "verdict": "passed" if passed else "failed",
        "passed": passed,
        "accepted": acceptance.get("accepted"),
        "checks": checks,
    }


def _sealed(info: Mapping[str, Any]) -> dict[str, Any]:
    if "sha256" in info:
        return _check(f"{BUNDLE_FILE} itself", True, info["sha256"])
    return _check(f"{BUNDLE_FILE} itself", None, "written by an earlier version, which gave it no hash of its own")


def _schemas(folder: Path, info: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    missing = [name for name in _BUNDLE_ENTRIES if name not in info]
    yield _check(f"schema of {BUNDLE_FILE}", not missing, f"lacks {', '.join(missing)}" if missing else info["schema"])
    for name, (schema, entries) in SCHEMAS.items():
        if name not in info["files"]:
            if name in _MEASURED_LATER:
                yield _check(f"schema of {name}", None, "not in this bundle")
            continue
        try:
            content = read_json(folder / name, schema=schema)
        except AculaEdgeError as error:
            yield _check(f"schema of {name}", False, error.problem)
            continue
        missing = [entry for entry in entries if entry not in content]
        yield _check(f"schema of {name}", not missing, f"lacks {', '.join(missing)}" if missing else schema)


def _provenance(info: Mapping[str, Any]) -> dict[str, Any]:
    found = info.get("provenance") or {}
    missing = [name for name in _PROVENANCE if not found.get(name)]
    wrong = [name for name in _PROVENANCE if name.endswith("_sha256") and not _SHA256.fullmatch(str(found.get(name)))]
    if missing or wrong:
        return _check("provenance", False, f"lacks {', '.join(sorted({*missing, *wrong}))}")
    commit = found.get("commit") or "no checkout"
    dirty = " (with changes that were not committed)" if str(commit).endswith("-dirty") else ""
    return _check("provenance", True, f"{len(found['datasets'])} data sets, code {commit}{dirty}")


def _sbom(folder: Path, info: Mapping[str, Any]) -> tuple[bool, str]:
    sbom = read_json(folder / SBOM_FILE)
    if sbom.get("bomFormat") != "CycloneDX" or sbom.get("specVersion") != SPEC_VERSION:
        return False, f"no CycloneDX {SPEC_VERSION} document"
    models = model_hashes(sbom)
    wrong = [name for name, digest in models.items() if info["files"].get(name) != digest]
    # Graphs that build-engine converts on the device came later.
    wrong += [name for name in ("model.onnx", "model.int8.onnx") if name in info["files"] and name not in models]
    if wrong:
        return False, f"names another hash than {BUNDLE_FILE}, or none, for {', '.join(wrong)}"
    return True, f"CycloneDX {SPEC_VERSION}: {len(models)} models, {len(sbom['components']) - len(models)} packages"


def _criteria(folder: Path, info: Mapping[str, Any]) -> tuple[bool, str]:
    facts = read_json(folder / ACCEPTANCE_FILE, schema=ACCEPTANCE_SCHEMA)
    if sha256_json(facts["criteria"]) != facts["criteria_sha256"]:
        return False, "the criteria are not those that were hashed"
    if facts["changed"]:
        return False, f"changed after they were fixed: {', '.join(change['name'] for change in facts['changed'])}"
    accepted = {True: "met", False: "not met", None: "not decided"}[facts["accepted"]]
    return True, f"fixed {facts['fixed']} ({facts['fixed_at']}); {accepted}"


def _card(folder: Path, info: Mapping[str, Any]) -> tuple[bool, str]:
    text = read_text(folder / CARD_FILE, MAX_CARD_BYTES)
    parts = text.split("---\n", 2)
    front = parse_yaml(parts[1]) if len(parts) == 3 and not parts[0] else None
    if not isinstance(front, dict) or not {"license", "library_name", "pipeline_tag", "tags"} <= front.keys():
        return False, "it does not begin with Hugging Face's front matter"
    if info["disclaimer"] not in text:
        return False, "it does not say that this is no medical device"
    return True, f"{len(front.get('model-index', [{'results': []}])[0]['results'])} results"


def _guarded(name: str, folder: Path, info: Mapping[str, Any], file: str, judge: Any) -> dict[str, Any]:
    """The verdict of `judge`; a file that is absent or cannot be read fails."""
    if file not in info["files"]:
        return _check(name, False, f"there is no {file}")
    try:
        return _check(name, *judge(folder, info))
    except (AculaEdgeError, OSError, KeyError, TypeError, ValueError) as error:
        return _check(name, False, f"{file} cannot be read: {error}".splitlines()[0])


def _signature(folder: Path, public_key: str | Path | None) -> dict[str, Any]:
    try:
        found = check_signature(folder, public_key)
    except MissingCapability:
        raise
    except AculaEdgeError as error:
        return _check("signature", False, error.problem + ("" if error.given is None else f": {error.given}"))
    if found is None:
        return _check("signature", None, "not signed")
    if not found["checked"]:
        return _check("signature", None, "not checked: the package cryptography is not installed here")
    trust = "by the key that was named" if found["trusted"] else "by a key that nobody vouches for here (--public-key)"
    return _check("signature", True, f"{trust}, {found['fingerprint']}")


def _check(name: str, passed: bool | None, detail: str) -> dict[str, Any]:
    return {"name": name, "passed": passed, "detail": detail}


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(read_json(path)) if path.is_file() else {}
    except (AculaEdgeError, TypeError, ValueError):
        return {}
