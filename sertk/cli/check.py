"""`sertk check`: all faults of configuration files, what they resolve to, and where two of them differ."""

from __future__ import annotations

from pathlib import Path

import typer

from sertk.cli.output import fail, say, table
from sertk.errors import ConfigError


def command(
    files: list[Path] = typer.Argument(
        help="Experiment, combination, encoder or ablation files (TOML).", metavar="FILE..."
    ),
    resolved: bool = typer.Option(
        False, "--resolved", help="Print the whole, with `extends` and defaults filled in."
    ),
    sets: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help="Change a value: stage.balanced.epochs=5."),
    diff: bool = typer.Option(
        False, "--diff", help="Print where two files, or two folders of files, differ once resolved."
    ),
) -> None:
    """Check configuration files and name all their faults at once."""
    from sertk.ablation.config import check_ablations, is_ablation_file
    from sertk.config.files import differences, load_any, resolved_toml

    if diff and len(files) != 2:
        raise typer.BadParameter(f"needs two files, got {len(files)}", param_hint="--diff")
    if diff and all(path.is_dir() for path in files):
        _show_trees(*files)
        return
    checked = []
    for path in files:
        try:
            checked.append(check_ablations(path) if is_ablation_file(path) else load_any(path, sets))
        except ConfigError as error:  # the other files have their say too
            fail(str(error))
    if len(checked) < len(files):
        raise typer.Exit(1)
    if diff:
        first, second = (str(path) for path in files)
        rows = [(place, one or "-", other or "-") for place, one, other in differences(*checked)]
        table(("place", first, second), rows)
        return
    for path, model in zip(files, checked, strict=True):
        say(f"# {path}\n{resolved_toml(model)}" if resolved else f"ok  {path}")


def _show_trees(first: Path, second: Path) -> None:
    from sertk.config.trees import tree_differences

    rows = [
        (_some(one.files), one.place, one.first or "-", one.second or "-") for one in tree_differences(first, second)
    ]
    table(("files", "place", str(first), str(second)), rows)


def _some(files: tuple[str, ...]) -> str:
    return ", ".join(files) if len(files) < 4 else f"{files[0]} ... {files[-1]} ({len(files)} files)"
