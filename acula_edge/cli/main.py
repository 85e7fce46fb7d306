"""The entry point: the group of verbs, and what becomes of an error."""

from __future__ import annotations

import errno
import shlex
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from acula_edge import __version__
from acula_edge.cli.command import VerbGroup, is_verbose
from acula_edge.cli.display import DISPLAY
from acula_edge.errors import AculaEdgeError, InputError, MissingCapability
from acula_edge.extras import missing_package

SECTIONS = {
    "Start here": ("doctor", "demo"),
    "Recordings and recipes": ("recipes", "data", "reports"),
    "Make a model": ("train", "distill", "export"),
    "Prove it": ("verify", "benchmark", "audit", "report"),
    "On the device": ("selftest", "run", "bundle", "build-engine"),
}

EXIT_BUG = 1
EXIT_INTERRUPTED = 130

_ARGUMENTS = "acula_edge.arguments"
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Program(VerbGroup):
    """The group of verbs, which turns errors into messages and exit codes."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_ARGUMENTS] = tuple(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            DISPLAY.stop()
            _say("interrupted", _how_to_go_on(ctx))
            ctx.exit(EXIT_INTERRUPTED)
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise
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
            _say("error", str(known))
            ctx.exit(known.exit_code)


def as_user_error(error: Exception) -> AculaEdgeError | None:
    """The error that a user can mend behind `error`; None when it is a bug."""
    if isinstance(error, AculaEdgeError):
        return error
    if isinstance(error, ModuleNotFoundError):
        return missing_package(error)
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return InputError(
            "the disk is full" if error.errno == errno.ENOSPC else "no more may be written to this disk",
            given=error.filename or error.strerror,
            remedy="free some space or choose another folder with --out, then run the same command again",
        )
    if type(error).__name__ == "OutOfMemoryError":
        return MissingCapability(
            "this machine's GPU has too little memory for this batch",
            remedy="make it smaller: --set align.batch_size=16 --set distill.batch_size=16",
        )
    return None


def _how_to_go_on(ctx: click.Context) -> str:
    line = ["acula-edge", *ctx.meta[_ARGUMENTS]]
    command = cli.get_command(ctx, ctx.invoked_subcommand or "")
    resumes = any("--resume" in parameter.opts for parameter in (command.params if command else ()))
    if resumes and "--resume" not in line:
        line.append("--resume")
    return f"  to do:   {'go on where it stopped' if resumes else 'run it again'}: {shlex.join(line)}"


def _say(headline: str, rest: str) -> None:
    if headline == "error":
        click.echo(click.style("error: ", fg="red", bold=True) + rest, err=True)
    else:
        click.echo(click.style(headline, fg="red", bold=True) + "\n" + rest, err=True)


@click.group(
    cls=Program,
    sections=SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 done; 1 a bug in acula-edge; 2 bad input or usage; 3 the quality gate refused; "
    "4 something this machine lacks; 130 interrupted. Every verb has its own --help, with an example.",
)
@click.version_option(__version__, prog_name="acula-edge")
def cli() -> None:
    """Align audio encoders with medical language, distill and quantize them, and prove the INT8 model on the edge.

    Typed with no further word, `acula-edge train` and `acula-edge export --int8` make a bundle that runs without
    PyTorch, and a report that says whether it is as good as the float model.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code."""
    line = list(sys.argv[1:] if arguments is None else arguments)
    cli.main(args=line, prog_name="acula-edge")
    sys.exit(0)
