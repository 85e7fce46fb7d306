"""`acula-edge bundle verify`: every claim that a bundle makes about itself, checked against its files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from acula_edge.bundle.folder import damaged_files, file_names, read_bundle
from acula_edge.bundle.json_files import read_facts, read_facts_if_there
from acula_edge.bundle.layout import (
    ACCEPTANCE_FILE,
    BENCHMARK_FILE,
    BUNDLE_FILE,
    CARD_FILE,
    MODEL_FILES,
    QUANTIZE_FILE,
    SBOM_FILE,
    SIGNATURE_FILE,
    VERIFY_FILE,
)
from acula_edge.bundle.sbom import SPEC_VERSION, model_hashes
from acula_edge.bundle.schema import FILES, Acceptance, Bundle
from acula_edge.bundle.signature import check_signature
from acula_edge.errors import AculaEdgeError, MissingCapability
from acula_edge.files import read_json, sha256_json
from acula_edge.limits import MAX_CARD_BYTES
from acula_edge.untrusted.texts import read_text
from acula_edge.untrusted.yaml_text import parse_yaml

SCHEMA = "acula-edge/bundle-check/1"

_PROVENANCE = ("python", "platform", "packages", "recipe_sha256", "weights_sha256", "encoder_sha256", "datasets")
_SHA256 = re.compile("[0-9a-f]{64}")
_MEASURED_LATER = (VERIFY_FILE, BENCHMARK_FILE, QUANTIZE_FILE)


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
    damaged = damaged_files(folder, info.files)
    known = {BUNDLE_FILE, SIGNATURE_FILE, *info.files}
    unknown = sorted({*file_names(folder), *(path.name for path in folder.iterdir() if path.is_dir())} - known)
    checks = [
        _check("files", not damaged, "; ".join(damaged) or f"{len(info.files)} files are as they were written"),
        _check("nothing else", not unknown, f"not listed: {', '.join(unknown)}" if unknown else "no other files"),
        _check(f"{BUNDLE_FILE} itself", True, str(info.sha256)),
        *_schemas(folder, info),
        _provenance(info),
        _guarded("bill of materials", folder, info, SBOM_FILE, _sbom),
        _guarded("criteria", folder, info, ACCEPTANCE_FILE, _criteria),
        _guarded("model card", folder, info, CARD_FILE, _card),
        _signature(folder, public_key),
    ]
    passed = all(check["passed"] is not False for check in checks)
    return {
        "schema": SCHEMA,
        "bundle": info.name,
        "verdict": "passed" if passed else "failed",
        "passed": passed,
        "accepted": _accepted(folder),
        "checks": checks,
    }


def _schemas(folder: Path, info: Bundle) -> Iterator[dict[str, Any]]:
    missing = [name for name in ("profile", "student", "encoder") if getattr(info, name) is None]
    missing = [] if missing == ["student"] else missing  # the encoder itself was exported
    yield _check(f"schema of {BUNDLE_FILE}", not missing, f"lacks {', '.join(missing)}" if missing else info.schema)
    for name, kind in FILES.items():
        if name == BUNDLE_FILE:
            continue
        if name not in info.files:
            if name in _MEASURED_LATER:
                yield _check(f"schema of {name}", None, "not in this bundle")
            continue
        try:
            read_facts(folder / name, kind)
        except AculaEdgeError as error:
            yield _check(
                f"schema of {name}", False, error.problem + ("" if error.given is None else f": {error.given}")
            )
            continue
        yield _check(f"schema of {name}", True, kind.SCHEMA)


def _provenance(info: Bundle) -> dict[str, Any]:
    found = info.provenance
    wrong = [name for name in _PROVENANCE if not getattr(found, name)]
    wrong += [
        name for name in _PROVENANCE if name.endswith("_sha256") and not _SHA256.fullmatch(str(getattr(found, name)))
    ]
    if wrong:
        return _check("provenance", False, f"lacks {', '.join(sorted({*wrong}))}")
    commit = found.commit or "no checkout"
    dirty = " (with changes that were not committed)" if commit.endswith("-dirty") else ""
    return _check("provenance", True, f"{len(found.datasets or {})} data sets, code {commit}{dirty}")


def _sbom(folder: Path, info: Bundle) -> tuple[bool, str]:
    sbom = read_json(folder / SBOM_FILE)
    if sbom.get("bomFormat") != "CycloneDX" or sbom.get("specVersion") != SPEC_VERSION:
        return False, f"no CycloneDX {SPEC_VERSION} document"
    models = model_hashes(sbom)
    wrong = [name for name, digest in models.items() if info.files.get(name) != digest]
    # Graphs that build-engine converts on the device came later.
    wrong += [name for name in MODEL_FILES.values() if name in info.files and name not in models]
    if wrong:
        return False, f"names another hash than {BUNDLE_FILE}, or none, for {', '.join(wrong)}"
    return True, f"CycloneDX {SPEC_VERSION}: {len(models)} models, {len(sbom['components']) - len(models)} packages"


def _criteria(folder: Path, info: Bundle) -> tuple[bool, str]:
    facts = read_facts(folder / ACCEPTANCE_FILE, Acceptance)
    if sha256_json(facts.criteria) != facts.criteria_sha256:
        return False, "the criteria are not those that were hashed"
    if facts.changed:
        return False, f"changed after they were fixed: {', '.join(change.name for change in facts.changed)}"
    accepted = {True: "met", False: "not met", None: "not decided"}[facts.accepted]
    return True, f"fixed {facts.fixed} ({facts.fixed_at}); {accepted}"


def _card(folder: Path, info: Bundle) -> tuple[bool, str]:
    text = read_text(folder / CARD_FILE, MAX_CARD_BYTES)
    parts = text.split("---\n", 2)
    front = parse_yaml(parts[1]) if len(parts) == 3 and not parts[0] else None
    if not isinstance(front, dict) or not {"license", "library_name", "pipeline_tag", "tags"} <= front.keys():
        return False, "it does not begin with Hugging Face's front matter"
    if info.disclaimer not in text:
        return False, "it does not say that this is no medical device"
    return True, f"{len(front.get('model-index', [{'results': []}])[0]['results'])} results"


def _guarded(name: str, folder: Path, info: Bundle, file: str, judge: Any) -> dict[str, Any]:
    """The verdict of `judge`; a file that is absent or cannot be read fails."""
    if file not in info.files:
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


def _accepted(folder: Path) -> bool | None:
    try:
        acceptance = read_facts_if_there(folder / ACCEPTANCE_FILE, Acceptance)
    except AculaEdgeError:
        return None
    return None if acceptance is None else acceptance.accepted
