"""What every verb has in common: an example in its help, ``--verbose``, suggestions for misspelt names."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from acula_edge.cli.display import DISPLAY
from acula_edge.errors import did_you_mean
from acula_edge.progress import show_progress

_VERBOSE = "acula_edge.verbose"
_HELP_WIDTH = 200


def is_verbose(ctx: click.Context) -> bool:
    """Whether ``--verbose`` was given, before the verb or after it."""
    return bool(ctx.meta.get(_VERBOSE, False))


def verbose_option() -> click.Option:
    """The option ``--verbose``."""

    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            ctx.meta[_VERBOSE] = True

    return click.Option(
        ["-v", "--verbose"],
        is_flag=True,
        expose_value=False,
        callback=remember,
        help="Show where an error came from, and what the libraries say.",
    )


def _settle_libraries(verbose: bool) -> None:
    """Quiet the libraries unless they are asked to speak; before they are imported, and a user's setting stays."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if verbose:
        logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
        return
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


class _WithExamples(click.Command):
    def __init__(self, *args: Any, examples: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not examples:
            raise ValueError(f"{self.name} needs an example")
        self.examples = list(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Example" if len(self.examples) == 1 else "Examples"):
            for example in self.examples:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


class Verb(_WithExamples):
    """A command whose help ends with examples, at least one, which can be typed as they are."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(verbose_option())

    def invoke(self, ctx: click.Context) -> Any:
        _settle_libraries(is_verbose(ctx))
        show_progress(DISPLAY.track, DISPLAY.say)
        return super().invoke(ctx)


class _Suggesting(click.Group):
    """A group that answers a misspelt name with the likely one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        known = self.list_commands(ctx)
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            hint = did_you_mean(name, known, otherwise=f"there are: {', '.join(known)}")
            raise click.UsageError(f"there is no command {name!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)


class VerbFamily(_WithExamples, _Suggesting):
    """A verb with verbs of its own, such as ``acula-edge data check``."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(n, c.get_short_help_str(_HELP_WIDTH)) for n, c in self.commands.items()])


class VerbGroup(_Suggesting):
    """The program: verbs in sections, each in the module of its name under ``acula_edge.cli``.

    Args:
        sections: names of the verbs under the heading that the help gives them.
    """

    def __init__(self, *args: Any, sections: Mapping[str, Sequence[str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sections = sections
        self.params.append(verbose_option())

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for names in self.sections.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"acula_edge.cli.{cmd_name.replace('-', '_')}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(len(name) for name in self.list_commands(ctx))
        for heading, names in self.sections.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(heading):
                formatter.write_dl(
                    [(name.ljust(width), item.get_short_help_str(_HELP_WIDTH)) for name, item in commands if item]
                )


def verb(name: str, *examples: str) -> Callable[[Callable[..., Any]], Verb]:
    """Decorator that makes a function a verb with examples."""
    return click.command(name, cls=Verb, examples=examples)


def verb_family(name: str, *examples: str) -> Callable[[Callable[..., Any]], VerbFamily]:
    """Decorator that makes a function a verb with verbs of its own."""
    return click.group(name, cls=VerbFamily, examples=examples)
