"""The stages that a recipe's `run.sh` declares: comment lines `# stage 4: train - Train the members`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sertk.errors import RecipeError

DECLARATION = re.compile(
    r"^\s*#\s*stage\s+(?P<number>\d+)\s*:\s*(?P<name>[\w-]+)\s*(?:-\s*(?P<title>.*\S))?\s*$", re.M
)


@dataclass(frozen=True)
class RecipeStage:
    """One numbered stage. title: what it does, or empty."""

    number: int
    name: str
    title: str

    @property
    def log_name(self) -> str:
        """The file name of its log."""
        return f"stage-{self.number:02}-{self.name}.log"


def read_script(script: Path) -> str:
    """Read the text of a recipe's `run.sh`. Raises RecipeError where there is none to read."""
    try:
        return script.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{script}: the recipe's script cannot be read: {error}") from None


def read_stages(script: Path) -> list[RecipeStage]:
    """The stages of a `run.sh`, by number. Raises RecipeError for a missing script, none declared, or one twice."""
    text = read_script(script)
    stages = [
        RecipeStage(int(match["number"]), match["name"], match["title"] or "") for match in DECLARATION.finditer(text)
    ]
    if not stages:
        raise RecipeError(f"{script} declares no stages: write lines like `# stage 1: prepare - Read the corpus`.")
    numbers = [stage.number for stage in stages]
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    if twice:
        raise RecipeError(f"{script} declares stage {twice[0]} more than once.")
    return sorted(stages, key=lambda stage: stage.number)


def choose_stages(stages: list[RecipeStage], first: int | None, last: int | None) -> list[RecipeStage]:
    """Those between two numbers, both included. Raises RecipeError when there are none."""
    chosen = [
        stage
        for stage in stages
        if (first is None or stage.number >= first) and (last is None or stage.number <= last)
    ]
    if not chosen:
        known = ", ".join(f"{stage.number} {stage.name}" for stage in stages)
        span = f"from {first} on" if last is None else f"up to {last}" if first is None else f"from {first} to {last}"
        raise RecipeError(f"There is no stage {span}. The recipe has: {known}.")
    return chosen
