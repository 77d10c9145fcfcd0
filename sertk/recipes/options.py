"""The options that a recipe's `run.sh` declares: comment lines `# option --device NAME = auto: where to compute`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from sertk.errors import RecipeError, did_you_mean
from sertk.recipes.stages import read_script, read_stages

DECLARATION = re.compile(
    r"^#\s*option\s+--(?P<name>[a-z][a-z0-9-]*)(?:\s+(?P<value>[^\s=:]+))?(?:\s*=\s*(?P<default>[^\s:]+))?"
    r"\s*:\s*(?P<help>.*\S)\s*$",
    re.M,
)
LIKE_DECLARATION = re.compile(r"^#\s*option\b.*$", re.M)


@dataclass(frozen=True)
class RecipeOption:
    """One option of a recipe.

    Parameters
    ----------
    name
        As typed, without the dashes.
    value
        What the help calls its value; None for a flag.
    default
        The value when it is not given. `$NAME` is the variable NAME that `db.sh` sets; None means that the recipe
        cannot run without the option.
    help
        One sentence.
    """

    name: str
    value: str | None
    default: str | None
    help: str

    @property
    def variable(self) -> str:
        """The shell variable that holds it."""
        return self.name.replace("-", "_")

    @property
    def usage(self) -> str:
        """Its name and value, as the help shows them: `--device NAME`."""
        return f"--{self.name} {self.value}" if self.value else f"--{self.name}"


STANDARD = (
    RecipeOption("stage", "N", "", "the first stage"),
    RecipeOption("stop-stage", "M", "", "the last stage"),
    RecipeOption("exp", "DIR", "", "the folder of the results"),
    RecipeOption("force", None, "", "run again even if up to date"),
)
"""The options of every recipe, which none declares."""


def read_options(script: Path) -> list[RecipeOption]:
    """Read the options that a `run.sh` declares, without those that every recipe has.

    Raises
    ------
    RecipeError
        For a script that cannot be read, a line that only looks like a declaration, or an option declared twice.
    """
    text = read_script(script)
    for line in LIKE_DECLARATION.findall(text):
        if not DECLARATION.match(line):
            raise RecipeError(
                f"{script}: {line!r} declares no option: write `# option --device NAME = auto: where to compute`."
            )
    options = [
        RecipeOption(match["name"], match["value"], match["default"], match["help"])
        for match in DECLARATION.finditer(text)
    ]
    names = [option.name for option in (*STANDARD, *options)]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise RecipeError(f"{script}: the option --{twice} is declared more than once, or is one of every recipe.")
    return options


def parse_options(options: Sequence[RecipeOption], words: Sequence[str]) -> dict[str, str]:
    """Take typed words apart by the declared options and the standard ones: name to value, `--name` for a flag.

    Raises
    ------
    RecipeError
        For an unknown option, with the nearest name, or one without its value.
    """
    known = {option.name: option for option in (*STANDARD, *options)}
    values: dict[str, str] = {}
    rest = [*words]
    while rest:
        word, equals, value = rest.pop(0).partition("=")
        option = known.get(word.removeprefix("--")) if word.startswith("--") else None
        if option is None:
            names = [f"--{name}" for name in known]
            hint = did_you_mean(word, names)
            raise RecipeError(
                f"run.sh: unknown option {word}. {hint}Options: {' '.join(names)}. "
                f"`sertk run run.sh --options` describes them."
            )
        if option.value is None:
            if equals:
                raise RecipeError(f"run.sh: --{option.name} takes no value, got {value!r}")
            values[option.name] = f"--{option.name}"
            continue
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise RecipeError(f"run.sh: --{option.name} needs a value: {option.usage}, {option.help}")
            value = rest.pop(0)
        values[option.name] = value
    return values


def recipe_shell(script: Path, words: Sequence[str]) -> str:
    """Write the shell text that a `run.sh` evaluates first: its options as variables, and what all recipes share.

    A flag is an array, empty or with the flag itself, to be passed on.

    Raises
    ------
    RecipeError
        As `read_options` and `parse_options` do.
    """
    options = read_options(script)
    given = parse_options(options, words)
    stop = str(read_stages(script)[-1].number)
    lines = [_number(name, given.get(name, default)) for name, default in (("stage", "1"), ("stop-stage", stop))]
    lines.append(f"exp={shlex.quote(given.get('exp', ''))}")
    lines.append(files("sertk.recipes").joinpath("recipe.sh").read_text(encoding="utf-8"))
    for option in (*options, STANDARD[-1]):
        value = given.get(option.name)
        if option.value is None:
            lines.append(f"{option.variable}=({value or ''})")
            continue
        default = option.default or ""
        of_db = default[1:] if default.startswith("$") else ""
        fallback = f"${{{of_db}:-}}" if of_db else shlex.quote(default)
        lines.append(f"{option.variable}={fallback if value is None else shlex.quote(value)}")
        if option.default is None or of_db:
            where = f" (or set {of_db} in db.sh)" if of_db else ""
            lines.append(f"need {option.variable} {shlex.quote(f'Give {option.usage}{where}: {option.help}')}")
    return "\n".join([*lines, ""])


def _number(name: str, value: str) -> str:
    if not value.isdecimal():
        raise RecipeError(f"run.sh: --{name} must be a number of a stage, got {value!r}")
    return f"{name.replace('-', '_')}={value}"
