"""The entry point: the group of verbs, and what becomes of an error."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from acula_edge import __version__
from acula_edge.cli.command import VerbGroup, is_verbose
from acula_edge.cli.display import DISPLAY, tell
from acula_edge.cli.known_errors import as_user_error
from acula_edge.command_line import command_line
from acula_edge.errors import GroupError, OutOfMemory, StorageError
from acula_edge.interruption import Stopped, exit_code, received, shielded, stoppable
from acula_edge.processes import is_main

SECTIONS = {
    "Start here": ("doctor", "demo"),
    "Recordings and recipes": ("recipes", "data"),
    "Make a model": ("train", "distill", "export"),
    "Prove it": ("verify", "benchmark", "audit", "report"),
    "On the device": ("selftest", "run", "bundle", "build-engine"),
}

EXIT_BUG = 1
_ARGUMENTS = "acula_edge.arguments"


class Program(VerbGroup):
    """The group of verbs, which turns errors into messages and exit codes."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        line = command_line("acula-edge", *args)
        try:
            return super().make_context(info_name, args, parent, **extra)
        except KeyboardInterrupt as stop:  # before anything has begun
            if is_main():
                _say("interrupted", f"  to do:   run it again: {line}")
            raise SystemExit(exit_code(stop)) from stop

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_ARGUMENTS] = tuple(args)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] == "reports":  # the verb of old; "report" is another
            args = ["data", "reports", *args[2 if args[1:2] == ["write"] else 1 :]]
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt as stop:
            _end_interrupted(ctx, stop)
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise
            number = received()
            if number is not None:  # a library made another error of it, or another process has left first
                _end_interrupted(ctx, Stopped(number))
            DISPLAY.stop()
            known = as_user_error(error)
            if known is None:
                traceback.print_exc()
                _say(
                    "this is a bug in acula-edge, not something that you did wrong",
                    "  to do:   report it with the lines above and the output of: acula-edge doctor --json",
                )
                ctx.exit(EXIT_BUG)
            if is_verbose(ctx):
                traceback.print_exc()
            resumable = isinstance(known, (StorageError, OutOfMemory, GroupError))
            _say("error", f"{known}\n{_how_to_go_on(ctx, 'then')}" if resumable else str(known))
            ctx.exit(known.exit_code)


def _end_interrupted(ctx: click.Context, stop: KeyboardInterrupt) -> NoReturn:
    """Clear up what the exception has not, and say how to go on."""
    from acula_edge.files import discard_unfinished
    from acula_edge.folder_lock import release_all

    with contextlib.suppress(KeyboardInterrupt), shielded():
        with contextlib.suppress(OSError):  # the terminal may be gone
            DISPLAY.stop()
        if stop.__traceback__ is not None:
            traceback.clear_frames(stop.__traceback__)
        discard_unfinished()
        release_all()
        if is_main():
            with contextlib.suppress(OSError):
                _say("interrupted", _how_to_go_on(ctx, "to do"))
    ctx.exit(exit_code(stop))


def _how_to_go_on(ctx: click.Context, label: str) -> str:
    line = ["acula-edge", *ctx.meta[_ARGUMENTS]]
    command = cli.get_command(ctx, ctx.invoked_subcommand or "")
    resumes = any("--resume" in parameter.opts for parameter in (command.params if command else ()))
    if resumes and "--resume" not in line:
        line.append("--resume")
    return f"  {f'{label}:':<9}{'go on where it stopped' if resumes else 'run it again'}: {command_line(*line)}"


def _say(headline: str, rest: str) -> None:
    separator = ": " if headline == "error" else "\n"
    tell(click.style(f"{headline}{separator}", fg="red", bold=True) + rest)


@click.group(
    cls=Program,
    sections=SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 done; 1 a bug in acula-edge; 2 bad input or usage; 3 the quality gate refused; "
    "4 something this machine lacks; 130, 143, 129 interrupted by Ctrl-C, SIGTERM, SIGHUP. "
    "Every verb has its own --help, with an example.",
)
@click.version_option(__version__, prog_name="acula-edge")
def cli() -> None:
    """Align audio encoders with medical language, distill and quantize them, and prove the INT8 model on the edge.

    Typed with no further word, `acula-edge train` and `acula-edge export --int8` make a bundle that runs without
    PyTorch, and a report that says whether it is as good as the float model.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code; the only place where signals are taken."""
    line = list(sys.argv[1:] if arguments is None else arguments)
    code: Any = 0
    _occupy_standard_streams()
    try:
        with stoppable():
            try:
                cli.main(args=line, prog_name="acula-edge")
            except SystemExit as end:
                code = end.code
            except OSError as error:  # of --help and the like, before a verb has begun
                known = as_user_error(error)
                if known is None:
                    raise
                _say("error", str(known))
                code = known.exit_code
            if received() is not None and code == EXIT_BUG:  # click's own "Aborted!"
                code = 128 + (received() or 0)
            if received() is not None and code:
                _leave(code)
    except KeyboardInterrupt as stop:
        code = exit_code(stop)
    sys.exit(code)


def _occupy_standard_streams() -> None:
    """Where a daemon, cron or ``<&-`` closed one, no file that is opened later may take its place.

    What a library prints would go into that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _leave(code: int) -> None:
    """End without waiting for threads that wait for the network."""
    if all(thread.daemon or thread is threading.main_thread() for thread in threading.enumerate()):
        return
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)
