"""Write the static folder: the page's own files, the runtime, and what it needs of a bundle."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from importlib import resources
from importlib.abc import Traversable
from pathlib import Path
from typing import Any

from acula_edge import __version__
from acula_edge.audio.quality_limits import QualityLimits, describe_quality
from acula_edge.bundle.folder import read_bundle
from acula_edge.bundle.layout import (
    BUNDLE_FILE,
    ENCODER_FILES,
    FRONTEND_FILE,
    FRONTEND_SELFTEST_FILE,
    PROMPTS_FILE,
    SELFTEST_FILE,
)
from acula_edge.bundle.schema import Bundle, NativeFrontEnd
from acula_edge.errors import ArtifactError, InputError
from acula_edge.files import atomic_folder, sha256_file, write_json
from acula_edge.web.onnxruntime_web import OrtWeb

SITE_FILE = "site.json"
SITE_SCHEMA = "acula-edge/web/1"


def write_page(
    bundle: str | Path, out: str | Path, runtime: OrtWeb, samples: Sequence[str | Path] = ()
) -> dict[str, Any]:
    """Write a page that scores sound in the browser with a bundle.

    The folder needs nothing from any network. ``site.json`` holds the SHA-256 of every file in it; the page compares
    each file of the bundle and of the runtime with it, and those of the bundle also with ``bundle.json``, before use.

    Args:
        bundle: its folder; every file in it is checked first.
        out: the folder to write; a page that was written there before is replaced.
        runtime: the files of onnxruntime-web.
        samples: recordings to offer on the page as examples.

    Returns:
        The content of ``site.json``.

    Raises:
        ArtifactError: the bundle is damaged, or lacks what the page needs (named).
        InputError: `out` holds something else, or a sample cannot be taken.
    """
    bundle, out = Path(bundle), Path(out)
    info = read_bundle(bundle)
    names = _bundle_files(bundle, info)
    _check_free(out, bundle)
    examples = _named_samples(samples)
    with atomic_folder(out) as folder:
        _copy_tree(resources.files("acula_edge.web") / "page", folder)
        _copy({name: bundle / name for name in (BUNDLE_FILE, *names)}, folder / "bundle")
        _copy(runtime.files, folder / "ort")
        _copy(examples, folder / "samples")
        site = {
            "schema": SITE_SCHEMA,
            "created_by": {"name": "acula-edge", "version": __version__},
            "bundle": info.name,
            "onnxruntime_web": {"version": runtime.version, "tested": runtime.tested},
            "samples": list(examples),
            "quality": info.quality or describe_quality(QualityLimits()),
            "files": _hashes(folder),
        }
        write_json(folder / SITE_FILE, site)
    return site


def _bundle_files(bundle: Path, info: Bundle) -> list[str]:
    """What the page reads of a bundle."""
    natives = [entry.file for entry in info.frontends if isinstance(entry, NativeFrontEnd)]
    wanted = [FRONTEND_FILE, *natives, SELFTEST_FILE]
    missing = [name for name in wanted if name not in info.files]
    encoders = [name for name in ENCODER_FILES.values() if name in info.files]
    if missing or not encoders or info.mel is None or info.frontend is None:
        what = [*missing, *([] if encoders else [" or ".join(ENCODER_FILES.values())])]
        raise ArtifactError(
            f"the bundle {bundle} lacks what a page needs",
            given=f"no {', '.join(what)}" if what else "no description of its spectrogram",
            remedy="export the bundle again with this version",
        )
    further = (PROMPTS_FILE, FRONTEND_SELFTEST_FILE)
    return [*wanted, *encoders, *(name for name in further if name in info.files)]


def _check_free(out: Path, bundle: Path) -> None:
    if out.resolve() in (bundle.resolve(), *bundle.resolve().parents):
        raise InputError("the page would replace the bundle that it is made of", given=out, remedy="choose --out")
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not (out / SITE_FILE).is_file()):
        raise InputError(
            f"{out} is no page that acula-edge wrote, and is not replaced",
            remedy="choose another folder with --out, or remove it",
        )


def _named_samples(samples: Sequence[str | Path]) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for path in map(Path, samples):
        if not path.is_file():
            raise InputError(f"there is no recording {path}")
        if path.name in named:
            raise InputError("two examples have the same name", given=f"{named[path.name]}, {path}")
        named[path.name] = path
    return named


def _copy(files: dict[str, Path], folder: Path) -> None:
    for name, source in files.items():
        folder.mkdir(exist_ok=True)
        shutil.copyfile(source, folder / name)


def _copy_tree(source: Traversable, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for item in source.iterdir():
        if item.is_dir():
            _copy_tree(item, folder / item.name)
        else:
            (folder / item.name).write_bytes(item.read_bytes())


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}
