"""`sertk check`: all faults of configuration files, what they resolve to, and where two of them differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sertk.cli.models_option import MODELS
from sertk.cli.output import fail, say, show
from sertk.tables import listing

if TYPE_CHECKING:
    from sertk.preflight.files import CheckedFile


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
    models: Path | None = MODELS,
) -> None:
    """Check configuration files, build their components without data, and name all faults at once."""
    if diff:
        _show_differences(files, sets)
        return
    if splits and manifest is None:
        raise typer.BadParameter("needs --manifest", param_hint="--split")
    from sertk.preflight.files import check_files

    sound, failed = [], False
    for each in check_files(files, manifest=manifest, splits=splits, sets=sets, bases=not resolved):
        if each.error is not None:
            failed = True
            fail(str(each.error))
        elif each.path != manifest:
            sound.append(each)
    if failed:
        raise typer.Exit(1)
    for each in [] if quiet else sound:
        _show(each, resolved=resolved)


def _show(file: CheckedFile, *, resolved: bool) -> None:
    from sertk.config.files import resolved_toml

    if resolved and file.section is not None:
        say(f"# {file.path}\n{resolved_toml(file.section)}")
    else:
        say(f"ok  {file.path}" + (f"  (a base of {file.extended_by})" if file.extended_by else ""))


def _show_differences(files: Sequence[Path], sets: Sequence[str]) -> None:
    from sertk.config.trees import all_differences

    if len(files) != 2:
        raise typer.BadParameter(f"needs two files, got {len(files)}", param_hint="--diff")
    first, second = files
    found = all_differences(first, second, sets)
    folders = first.is_dir() and second.is_dir()
    columns = ("files",) * folders + ("place", str(first), str(second))
    rows = [(_some(one.files), one.place, one.first or "-", one.second or "-") for one in found]
    show(listing(columns, rows if folders else [row[1:] for row in rows]))


def _some(files: tuple[str, ...]) -> str:
    return ", ".join(files) if len(files) < 4 else f"{files[0]} ... {files[-1]} ({len(files)} files)"
