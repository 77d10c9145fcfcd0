"""`sertk check`: all faults of configuration files, what they resolve to, and where two of them differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sertk.cli.output import fail, say, table
from sertk.errors import ConfigError

if TYPE_CHECKING:
    from sertk.config.schema import Section
    from sertk.data.manifest import Manifest


def command(
    files: list[Path] = typer.Argument(
        help="Experiment, combination, encoder or ablation files (TOML), and the bases they extend.",
        metavar="FILE...",
    ),
    manifest: Path | None = typer.Option(
        None, help="Also check that this manifest has the splits, attributes and classes that the files name."
    ),
    splits: list[str] = typer.Option([], "--split", help="A split that the manifest must have; may be repeated."),
    resolved: bool = typer.Option(
        False, "--resolved", help="Print each file with its base and all defaults filled in."
    ),
    sets: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help="Change a value: stage.balanced.epochs=5."),
    diff: bool = typer.Option(
        False, "--diff", help="Print how two files, or two folders of files, differ with all defaults filled in."
    ),
    quiet: bool = typer.Option(False, "--quiet", help="Print only faults."),
) -> None:
    """Check configuration files, build their components without data, and name all faults at once."""
    if diff:
        _show_differences(files, sets)
        return
    if splits and manifest is None:
        raise typer.BadParameter("needs --manifest", param_hint="--split")
    corpus, failed = None, False
    if manifest is not None:
        from sertk.inputs import read_valid
        from sertk.preflight.find import split_faults

        corpus = read_valid(manifest)
        faults = split_faults(corpus, splits)
        if faults:
            failed = True
            fail(str(ConfigError(str(manifest), faults)))
    lines = []
    for path in files:
        try:
            lines.append(_checked(path, files, sets, corpus, resolved=resolved))
        except ConfigError as error:  # the other files have their say too
            failed = True
            fail(str(error))
    if failed:
        raise typer.Exit(1)
    for line in [] if quiet else lines:
        say(line)


def _checked(
    path: Path, files: Sequence[Path], sets: Sequence[str], corpus: Manifest | None, *, resolved: bool
) -> str:
    """What to say of a file without a fault. Raises ConfigError with all faults of another."""
    from sertk.config.extends import extenders
    from sertk.config.files import base_faults, load_any, resolved_toml
    from sertk.preflight.find import load_sound
    from sertk.registry import checkers

    extending = [] if resolved else extenders(path, files)
    if extending:
        faults = base_faults(path, extending[0])
        if faults:
            raise ConfigError(str(path), faults)
        return f"ok  {path}  (a base of {len(extending)})"
    added = (checkers.get(name)(path, corpus) for name in checkers.names())
    model: Section | None = next((found for found in added if found is not None), None)
    if model is None:
        model = load_sound(load_any, path, sets, corpus=corpus)
    return f"# {path}\n{resolved_toml(model)}" if resolved else f"ok  {path}"


def _show_differences(files: Sequence[Path], sets: Sequence[str]) -> None:
    from sertk.config.files import differences, load_any
    from sertk.config.trees import tree_differences

    if len(files) != 2:
        raise typer.BadParameter(f"needs two files, got {len(files)}", param_hint="--diff")
    first, second = files
    if first.is_dir() and second.is_dir():
        rows = [
            (_some(one.files), one.place, one.first or "-", one.second or "-")
            for one in tree_differences(first, second)
        ]
        table(("files", "place", str(first), str(second)), rows)
        return
    found = differences(load_any(first, sets), load_any(second, sets))
    table(("place", str(first), str(second)), [(place, one or "-", other or "-") for place, one, other in found])


def _some(files: tuple[str, ...]) -> str:
    return ", ".join(files) if len(files) < 4 else f"{files[0]} ... {files[-1]} ({len(files)} files)"
