"""The command line: one file per verb; nothing heavy is imported before a verb needs it.

A verb is one line of VERBS and a module that has either `command`, a function that Typer reads, `app`, a
`typer.Typer` of several commands, or `build`, which gives one for the words of the command line. Plugins add verbs by
the entry point group `sertk_verbs`, and commands of a verb by names with a dot (`data.toy`). Only the module of what
was typed is imported.
"""

from __future__ import annotations

import errno
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from importlib import import_module
from types import ModuleType
from typing import Any

import typer

from sertk import __version__
from sertk.errors import NameConflictError, SertkError, SertkWarning, UsageError
from sertk.registry import PROVIDERS, Component, verbs

VERBS: dict[str, tuple[str, str]] = {
    "run": ("sertk.cli.run", "Run a recipe, stage by stage."),
    "recipe-shell": ("sertk.cli.recipe_shell", "Print what a recipe's run.sh evaluates first."),
    "data": ("sertk.cli.data", "Create, read, split, clean and inspect corpora."),
    "transcribe": ("sertk.cli.transcribe", "Add words to the utterances of a manifest."),
    "extract": ("sertk.cli.extract", "Run encoders or trained models over a corpus and store the features."),
    "train": ("sertk.cli.train", "Train the models of experiment files."),
    "combine": ("sertk.cli.combine", "Combine systems into one: votes, meta-classifiers, soups."),
    "predict": ("sertk.cli.predict", "Predict recordings, or a split of a corpus."),
    "timeline": ("sertk.cli.timeline", "Give emotion over time in recordings of any length, or live."),
    "models": ("sertk.cli.models", "List the models that are ready to predict with."),
    "crossval": ("sertk.cli.crossval", "Train, combine, predict and score, fold by fold."),
    "check": ("sertk.cli.check", "Check configuration files and report all faults at once."),
    "score": ("sertk.cli.score", "Score predictions, with confidence intervals."),
    "report": ("sertk.cli.report", "Write an HTML page about an experiment: scores, plots, recordings."),
    "why": ("sertk.cli.why", "Show what a result was made from, what differs now and what would run again."),
    "new": ("sertk.cli.new", "Create a plugin or a recipe."),
    "doctor": ("sertk.cli.doctor", "Show what is installed, what is ready and how to fix the rest."),
    "list": ("sertk.cli.list", "List the installed components."),
    "show": ("sertk.cli.show", "Show a component: its owner, source file, options and description."),
}
"""Verb to its module and its line in `sertk --help`, in the order of the help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and give the exit status: 0, 1 for an error, 2 for misuse, 130 when interrupted.

    `--debug`, anywhere before a `--`, lets errors through with their traceback.
    """
    words = [*(sys.argv[1:] if arguments is None else arguments)]  # `list` is a module of this package
    own = words[: words.index("--")] if "--" in words else words
    debug = "--debug" in own
    words = [word for word in own if word != "--debug"] + words[len(own) :]
    try:
        with _shown_warnings():
            command = typer.main.get_command(build_app(words))
            _take_literally(command)
            command(words, prog_name="sertk")
    except SystemExit as leaving:  # how Typer ends, with or without an error
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except KeyboardInterrupt:
        return 130
    except SertkError as error:
        if debug:
            raise
        _fail(str(error))
        return 2 if isinstance(error, UsageError) else 1
    except OSError as error:
        if debug:
            raise
        _fail(_of_the_disk(error))
    except Exception as error:
        if debug:
            raise
        _fail(f"unexpected {type(error).__name__}: {error}\n  Run it again with --debug to see where this came from.")
    return 1


@contextmanager
def _shown_warnings() -> Iterator[None]:
    """Print what functions of sertk warn of as lines; other warnings go where they went."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", SertkWarning)
        other = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if not issubclass(category, SertkWarning):
                other(message, category, *where, **more)
                return
            from sertk.cli.output import warn

            warn(str(message))

        warnings.showwarning = show
        yield


def build_app(words: Sequence[str]) -> typer.Typer:
    """The application for one command line: the verb in `words` with all it has, the others as lines of the help."""
    app = typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
    )
    app.callback()(_global_options)
    typed, inner, *_ = [*(word for word in words if not word.startswith("-")), None, None]
    added, inside = _added_verbs()
    for verb, line in {**{verb: line for verb, (_, line) in VERBS.items()}, **added}.items():
        if verb != typed:
            app.command(verb, help=line)(_not_loaded)
            continue
        module = None if verb in added else import_module(VERBS[verb][0])
        command = verbs.get(verb) if module is None else _command_of(module, words)
        if isinstance(command, typer.Typer):
            app.add_typer(_with_commands(command, verb, inside.get(verb, {}), inner), name=verb, help=line)
        else:
            app.command(verb, **getattr(module, "SETTINGS", {}))(command)
    for name in (typed, f"{typed}.{inner}"):
        if name in PROVIDERS["verb"] and name not in verbs:
            verbs.get(name)  # raises, naming what provides it
    return app


def _with_commands(group: typer.Typer, verb: str, added: Mapping[str, str], typed: str | None) -> typer.Typer:
    """A verb of several commands with those that plugins add; only the one that was typed is loaded."""
    group = copy(group)
    own = group.registered_commands
    group.registered_commands = [*own]
    taken = {one.name or one.callback.__name__.replace("_", "-") for one in own if one.callback}
    for name, line in added.items():
        if name in taken:
            raise _conflict(verbs.components()[f"{verb}.{name}"])
        command = verbs.get(f"{verb}.{name}") if name == typed else _not_loaded
        group.command(name, help=None if name == typed else line)(command)
    return group


def _take_literally(command: Any) -> None:
    """Let brackets in texts of the help be brackets, such as those of `sertk[ray]`: Typer takes them for markup."""
    from rich.markup import escape

    for part in (command, *command.params):
        for name in ("help", "short_help"):
            if getattr(part, name, None):
                setattr(part, name, escape(getattr(part, name)))
    for inner in getattr(command, "commands", {}).values():
        _take_literally(inner)


def _command_of(module: ModuleType, words: Sequence[str]) -> Any:
    if hasattr(module, "build"):
        return module.build(words)
    return module.app if hasattr(module, "app") else module.command


def _added_verbs() -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """The verbs of plugins with their lines in the help, and by verb the commands that they add to it.

    Raises NameConflictError for the name of a verb that sertk has itself.
    """
    added: dict[str, str] = {}
    inside: dict[str, dict[str, str]] = defaultdict(dict)
    for name, component in verbs.components().items():
        if name in VERBS:
            raise _conflict(component)
        verb, dot, command = name.partition(".")
        if dot:
            inside[verb][command] = component.summary()
        else:
            added[name] = component.summary()
    return added, inside


def _conflict(component: Component) -> NameConflictError:
    return NameConflictError(
        f"{component.owner} ({component.value}) adds the verb {component.name!r}, which sertk has itself: uninstall "
        f"it, or hide it by SERTK_PLUGINS"
    )


def _say_version(asked: bool) -> None:
    if asked:
        from sertk.cli.output import say

        say(f"sertk {__version__}")
        raise typer.Exit


def _global_options(
    version: bool = typer.Option(False, "--version", is_eager=True, callback=_say_version, help="Print the version."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Speech emotion recognition: train, combine, score and use models built from components."""


def _not_loaded() -> None:
    """Stand in for a verb that was not typed."""


def _of_the_disk(error: OSError) -> str:
    where = "" if error.filename is None else f"{error.filename}: "
    what = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{where}cannot be written: {what}. Free some space; the same command continues from what is there."
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"{where}{what}. Give another folder, or check that this one can be read and written."
    return f"{where}{what}"


def _fail(message: str) -> None:
    from sertk.cli.output import fail

    fail(message)
