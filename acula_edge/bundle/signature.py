"""An Ed25519 signature of a bundle: over ``bundle.json``, which holds the hashes of all other files.

Optional, and made and checked by the package ``cryptography`` (``pip install 'acula-edge[sign]'``). ``bundle.sig`` is
JSON: the signature and the raw public key in base64, and the key's fingerprint. A signature only says who made a bundle
where the reader names a key that it trusts; the key inside the file proves no more than that the two belong together.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib.util
from pathlib import Path
from typing import Any

from acula_edge.bundle.layout import BUNDLE_FILE, SIGNATURE_FILE
from acula_edge.bundle.sealed import read_sealed_json, write_sealed_json
from acula_edge.command_line import command_line
from acula_edge.errors import ArtifactError, InputError, MissingCapability

SIGNATURE_SCHEMA = "acula-edge/signature/1"
SIGNED_FILE = BUNDLE_FILE
ALGORITHM = "Ed25519"


def can_check_signatures() -> bool:
    """Whether the package ``cryptography`` is installed here."""
    return importlib.util.find_spec("cryptography") is not None


def sign_bundle(folder: str | Path, key: str | Path) -> str:
    """Write ``bundle.sig``.

    Args:
        key: an Ed25519 private key in PEM (PKCS#8, not encrypted), as ``openssl genpkey -algorithm ed25519`` writes it.

    Returns:
        The public key's fingerprint.

    Raises:
        InputError: no such key.
        MissingCapability: ``cryptography`` is not installed.
    """
    folder = Path(folder)
    private = _read_private_key(key)
    public = private.public_key().public_bytes_raw()
    write_sealed_json(
        folder / SIGNATURE_FILE,
        {
            "schema": SIGNATURE_SCHEMA,
            "algorithm": ALGORITHM,
            "signed": SIGNED_FILE,
            "public_key": base64.b64encode(public).decode(),
            "fingerprint": fingerprint(public),
            "signature": base64.b64encode(private.sign((folder / SIGNED_FILE).read_bytes())).decode(),
        },
    )
    return fingerprint(public)


def check_private_key(key: str | Path) -> None:
    """Refuse a key that cannot sign, before hours of work whose result it shall sign; raises as :func:`sign_bundle`."""
    _read_private_key(key)


def check_signature(folder: str | Path, public_key: str | Path | None = None) -> dict[str, Any] | None:
    """Check a bundle's signature as far as this machine can.

    Args:
        public_key: an Ed25519 public key in PEM that the bundle must be signed by.

    Returns:
        None where there is no signature and none was asked for; else ``fingerprint``, ``trusted`` (whether
        `public_key` made it; None where none was named) and ``checked``: without ``cryptography`` and without a key
        the file is only looked at for damage, and this is False.

    Raises:
        ArtifactError: the signature is damaged or wrong, or one by `public_key` was asked for and there is none.
        InputError: `public_key` is no such key.
        MissingCapability: a key was named and ``cryptography`` is not installed.
    """
    folder = Path(folder)
    path = folder / SIGNATURE_FILE
    wanted = None if public_key is None else read_public_key(public_key)
    if not path.is_file():
        if wanted is None:
            return None
        raise ArtifactError(
            f"the bundle {folder} is not signed (it has no {SIGNATURE_FILE})",
            given=f"a signature by {public_key} was asked for",
            remedy="get the signed bundle, or sign it where its key is: "
            + command_line("acula-edge", "bundle", "sign", folder, "--key", "KEY.pem"),
        )
    public, signature = _read(path)
    if can_check_signatures():
        _verify(path, public, signature, (folder / SIGNED_FILE).read_bytes())
    if wanted is not None and wanted != public:
        raise ArtifactError(
            f"{path} is the signature of another key", given=fingerprint(public), allowed=fingerprint(wanted)
        )
    return {
        "fingerprint": fingerprint(public),
        "checked": can_check_signatures(),
        "trusted": None if wanted is None else True,
    }


def read_public_key(path: str | Path) -> bytes:
    """The 32 bytes of an Ed25519 public key in PEM.

    Raises:
        InputError: no such key.
        MissingCapability: ``cryptography`` is not installed.
    """
    _need_cryptography("checking a bundle against a key")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        public = load_pem_public_key(Path(path).read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise _no_key(path, "public", error) from error
    if not isinstance(public, Ed25519PublicKey):
        raise _no_key(path, "public", type(public).__name__)
    return public.public_bytes_raw()


def fingerprint(public_key: bytes) -> str:
    """``SHA256:`` and the hexadecimal hash of the raw public key."""
    return f"SHA256:{hashlib.sha256(public_key).hexdigest()}"


def _read_private_key(path: str | Path) -> Any:
    _need_cryptography("signing a bundle")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private = load_pem_private_key(Path(path).read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise _no_key(path, "private", error) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise _no_key(path, "private", type(private).__name__)
    return private


def _read(path: Path) -> tuple[bytes, bytes]:
    """Public key and signature of a ``bundle.sig``."""
    facts = read_sealed_json(path, SIGNATURE_SCHEMA)
    try:
        public, signature = (base64.b64decode(facts[name], validate=True) for name in ("public_key", "signature"))
        fits = (facts["algorithm"], facts["signed"]) == (ALGORITHM, SIGNED_FILE)
        if len(public) == 32 and fits and facts["fingerprint"] == fingerprint(public):
            return public, signature
    except (KeyError, TypeError, ValueError, binascii.Error):
        pass
    raise ArtifactError(f"{path} is no signature of a bundle", allowed=f"{ALGORITHM} over {SIGNED_FILE}")


def _verify(path: Path, public: bytes, signature: bytes, signed: bytes) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, signed)
    except InvalidSignature as error:
        raise ArtifactError(
            f"{path} is not the signature of this bundle",
            given=f"{SIGNED_FILE} changed after it was signed, or the signature is of another bundle",
            remedy="copy the bundle again; whoever holds the key can sign it anew: "
            + command_line("acula-edge", "bundle", "sign", path.parent, "--key", "KEY.pem"),
        ) from error


def _no_key(path: str | Path, kind: str, given: object) -> InputError:
    make = ("genpkey", "-algorithm", "ed25519") if kind == "private" else ("pkey", "-in", "KEY.pem", "-pubout")
    remedy = command_line("openssl", *make, "-out", Path(path))
    return InputError(f"{path} is no Ed25519 {kind} key in PEM", given=given, remedy=remedy)


def _need_cryptography(what: str) -> None:
    if not can_check_signatures():
        raise MissingCapability(f"{what} needs the package cryptography", remedy="pip install 'acula-edge[sign]'")
