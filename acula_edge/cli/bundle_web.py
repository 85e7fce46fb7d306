"""acula-edge bundle web"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from acula_edge.cli.command import VerbFamily, verb
from acula_edge.cli.options import json_option

if TYPE_CHECKING:
    from acula_edge.web import OrtWeb


@verb(
    "web",
    "acula-edge bundle web runs/latest/export/base-cpu_x86 --out page --serve",
    "acula-edge bundle web base-cpu_x86 --out page --sample heart.wav --onnxruntime-web onnxruntime-web-1.30.0.tgz",
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder to write. [default: BUNDLE-web]")
@click.option(
    "--sample",
    "samples",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="AUDIO",
    help="A recording to offer on the page as an example; it is copied into the folder. Repeatable.",
)
@click.option(
    "--onnxruntime-web",
    type=click.Path(path_type=Path, exists=True),
    metavar="DIR|TGZ",
    help="A copy of the npm package onnxruntime-web, its dist folder, or npm pack's tarball. Without it: "
    "node_modules here, the cache, npm.",
)
@click.option("--serve", is_flag=True, help="Then serve the page on 127.0.0.1 until interrupted.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="With --serve; 0 is any free one."
)
@json_option
def command(
    bundle: Path,
    out: Path | None,
    samples: tuple[Path, ...],
    onnxruntime_web: Path | None,
    serve: bool,
    port: int,
    as_json: bool,
) -> None:
    """Write a page that scores sound in the browser: a static folder, no network needed.

    A person drops a recording on it or uses the microphone, and sees waveform, spectrogram, scores with their quality
    gate, and timing. Nothing leaves the computer. Any static server will do (python -m http.server --bind 127.0.0.1);
    opened as a file (file://) browsers run no modules, and the page says so. Other machines reach files and microphone
    over https only.
    """
    from acula_edge.bundle.folder import read_bundle
    from acula_edge.cli.console import note, print_json
    from acula_edge.web import find_onnxruntime_web, write_page

    read_bundle(bundle, verify=False)  # before anything is fetched for it
    out = out or Path(f"{bundle.resolve().name}-web")
    runtime = find_onnxruntime_web(onnxruntime_web)
    if not runtime.tested:
        note(
            f"onnxruntime-web {runtime.version} is another than acula-edge is tested with; the page's self-test decides"
        )
    site = write_page(bundle, out, runtime, samples)
    if as_json:
        print_json({"folder": str(out), **site})
    else:
        _describe(out, site, runtime, serve)
    if serve:
        _serve(out, port)


class WebAsOption(VerbFamily):
    """The family ``bundle``, in which ``bundle --web BUNDLE`` is ``bundle web BUNDLE``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(click.Option(["--web"], metavar="BUNDLE", help="The same as: bundle web BUNDLE."))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for index, word in enumerate(args):
            option, separator, value = word.partition("=")
            if option == "--web":
                args = ["web", *args[:index], *([value] if separator else []), *args[index + 1 :]]
                break
        return super().parse_args(ctx, args)


def _describe(out: Path, site: dict[str, Any], runtime: OrtWeb, serve: bool) -> None:
    from acula_edge.cli.console import print_line

    size_mb = sum((out / name).stat().st_size for name in site["files"]) / 1e6
    print_line(f"{out}: a page for {site['bundle']}, {len(site['files'])} files, {size_mb:.1f} MB")
    print_line(f"onnxruntime-web {runtime.version} from {runtime.source}")
    if not serve:
        print_line(f"open it with: python3 -m http.server --bind 127.0.0.1 --directory {out} 8000")


def _serve(out: Path, port: int) -> None:
    from acula_edge.cli.console import note
    from acula_edge.errors import InputError
    from acula_edge.web.server import open_server

    try:
        server = open_server(out, port)
    except OSError as error:
        raise InputError(
            f"port {port} cannot be used", given=error.strerror, remedy="choose another with --port"
        ) from error
    with server:
        note(f"http://127.0.0.1:{server.server_port}/ until Control-C")
        server.serve_forever()
