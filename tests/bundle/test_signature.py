"""Signatures: made with a key, checked with another, and never left on what changed since."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from acula_edge.bundle import signature
from acula_edge.bundle.checks import verify_bundle
from acula_edge.bundle.sealed import write_sealed_json
from acula_edge.bundle.signature import sign_bundle
from acula_edge.bundle.writer import seal
from acula_edge.cli.main import cli
from acula_edge.errors import ArtifactError, InputError, MissingCapability
from acula_edge.files import write_json
from acula_edge.runtime import load_bundle
from tests.bundle.conftest import VERIFY
from tests.tiny_bundle import reseal


def write_key(path: Path) -> Path:
    """A private key at `path`, and its public one beside it, with ``.pub``."""
    key = Ed25519PrivateKey.generate()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    path.with_suffix(".pub").write_bytes(public)
    return path


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return write_key(tmp_path / "key.pem")


@pytest.fixture
def public(key: Path) -> Path:
    return key.with_suffix(".pub")


def test_a_signed_bundle_loads_for_whoever_trusts_the_key(bundle: Path, key: Path, public: Path) -> None:
    fingerprint = sign_bundle(bundle, key)
    load_bundle(bundle, public_key=public)
    (check,) = [check for check in verify_bundle(bundle, public)["checks"] if check["name"] == "signature"]
    assert check["passed"] and fingerprint in check["detail"] and "named" in check["detail"]
    (check,) = [check for check in verify_bundle(bundle)["checks"] if check["name"] == "signature"]
    assert "nobody vouches" in check["detail"]


def test_another_key_or_no_signature_is_refused(bundle: Path, key: Path, public: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="not signed"):
        load_bundle(bundle, public_key=public)
    sign_bundle(bundle, write_key(tmp_path / "other.pem"))
    with pytest.raises(ArtifactError, match="of another key"):
        load_bundle(bundle, public_key=public)


def test_a_signature_of_something_else_is_always_refused(bundle: Path, key: Path) -> None:
    sign_bundle(bundle, key)
    kept = (bundle / "bundle.sig").read_bytes()
    reseal(bundle, name="another")
    assert not (bundle / "bundle.sig").exists()
    (bundle / "bundle.sig").write_bytes(kept)
    with pytest.raises(ArtifactError, match=r"bundle\.sig is not the signature of this bundle"):
        load_bundle(bundle)
    assert not verify_bundle(bundle)["passed"]


def test_sealing_anew_removes_the_signature_and_sealing_the_same_keeps_it(bundle: Path, key: Path) -> None:
    sign_bundle(bundle, key)
    seal(bundle)
    assert (bundle / "bundle.sig").exists()
    write_json(bundle / "verify.json", VERIFY)
    seal(bundle)
    assert not (bundle / "bundle.sig").exists()


def test_without_cryptography_only_damage_is_found(
    bundle: Path, key: Path, public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_bundle(bundle, key)
    monkeypatch.setattr(signature, "can_check_signatures", lambda: False)
    load_bundle(bundle)
    (check,) = [check for check in verify_bundle(bundle)["checks"] if check["name"] == "signature"]
    assert check["passed"] is None and "not checked" in check["detail"]
    with pytest.raises(MissingCapability, match=r"acula-edge\[sign\]"):
        load_bundle(bundle, public_key=public)
    with pytest.raises(MissingCapability):
        sign_bundle(bundle, key)


def test_a_signature_file_of_another_form_is_refused(bundle: Path, key: Path) -> None:
    sign_bundle(bundle, key)
    facts = json.loads((bundle / "bundle.sig").read_text())
    write_sealed_json(bundle / "bundle.sig", {**facts, "algorithm": "none"})
    with pytest.raises(ArtifactError, match="no signature of a bundle"):
        load_bundle(bundle)


@pytest.mark.parametrize("content", [b"", b"not a key", None])
def test_what_is_no_key_is_refused(bundle: Path, tmp_path: Path, public: Path, content: bytes | None) -> None:
    path = tmp_path / "bad.pem"
    path.write_bytes(public.read_bytes() if content is None else content)
    with pytest.raises(InputError, match="no Ed25519 private key"):
        sign_bundle(bundle, path)


def test_keys_of_openssl_are_taken(bundle: Path, tmp_path: Path) -> None:
    assert shutil.which("openssl")
    private, public = tmp_path / "k.pem", tmp_path / "p.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    done = CliRunner().invoke(cli, ["bundle", "sign", str(bundle), "--key", str(private)])
    assert done.exit_code == 0 and "signed by SHA256:" in done.output
    done = CliRunner().invoke(cli, ["bundle", "verify", str(bundle), "--public-key", str(public), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["passed"]
    (bundle / "bundle.sig").unlink()
    done = CliRunner().invoke(cli, ["bundle", "verify", str(bundle), "--public-key", str(public)])
    assert done.exit_code == 2 and "not signed" in done.output
