"""What an ablation file may say, checked strictly. No torch here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from sertk.config.check import check_data
from sertk.config.extends import read_toml
from sertk.config.files import load_combination, load_experiment
from sertk.config.options import read_options
from sertk.config.schema import Positive, Section
from sertk.errors import ConfigError, Fault

if TYPE_CHECKING:
    from sertk.data.manifest import Manifest

Expected = Literal["lower", "higher", "either"]
FULL = "full"
"""The folder of the cells of the full system."""


class Arm(Section):
    """One change of the full system, by `--set` texts. expected: where the paper sees the score of the changed one.

    without_stage: this stage is left out, and the one before it goes on for as many steps.
    match_parameters: the fusion's `width` is chosen so that it has as many parameters as the full system's.
    paper: its score in the paper.
    """

    name: str
    set: list[str] = []
    without_stage: str | None = None
    match_parameters: bool = False
    expected: Expected = "lower"
    paper: float | None = None


class System(Section):
    """One way to combine members: a combination file, and one that combines what the first one made.

    paper: its scores in the paper, by the number of members, or `all`.
    """

    name: str
    combine: str
    set: list[str] = []
    then: str | None = None
    then_set: list[str] = []
    expected: Expected = "lower"
    paper: dict[str, float] = {}


class Ensembles(Section):
    """Which members to combine, in which ways. top: beside all, so many of the best by dev score. full: a system."""

    members: list[str] = Field(min_length=2)
    top: list[Positive] = []
    full: str
    system: list[System] = Field(min_length=1)

    @model_validator(mode="after")
    def _full_is_there(self) -> Ensembles:
        names = [system.name for system in self.system]
        if self.full not in names or len(set(names)) < len(names):
            raise ValueError(f"full = {self.full!r} and different names are needed, the systems are {names}")
        return self


class Ablations(Section):
    """An ablation file. Paths in it are relative to it.

    members: experiment files that every arm changes. seeds: how many of each. set: changes of all, the full system
    included. equal_steps: every arm has as many optimizer steps as the full system, and none stops early. metrics:
    the first is the one that differences are of. fit, test: splits to fit ensembles on, and to score on.
    full, paper: name of the full system and its score in the paper.
    """

    full: str = "full system"
    paper: float | None = None
    members: list[str] = []
    seeds: Positive = 5
    set: list[str] = []
    equal_steps: bool = True
    metrics: list[str] = Field(default=["balanced_macro_f1", "macro_f1", "accuracy"], min_length=1)
    fit: str = "held_out"
    test: str = "development"
    draws: Positive = 1000
    arm: list[Arm] = []
    ensemble: Ensembles | None = None

    @model_validator(mode="after")
    def _something_to_do(self) -> Ablations:
        if not self.members and self.ensemble is None:
            raise ValueError("name members and arms, or an ensemble, or both")
        names = [slug(arm.name) for arm in self.arm]
        if len({FULL, *names}) <= len(names):
            raise ValueError(
                f"arms need different names, none of them {FULL!r}, got {[arm.name for arm in self.arm]}"
            )
        return self


def load_ablations(path: Path) -> Ablations:
    """Read an ablation file. Raises ConfigError with all faults."""
    data = read_toml(path)
    faults = check_data(Ablations, data)
    if faults:
        raise ConfigError(str(path), faults)
    return read_options(Ablations, data)


def check(path: Path, corpus: Manifest | None = None) -> Ablations | None:
    """Check an ablation file for `sertk check`; None for a file of another kind. Raises ConfigError."""
    return check_ablations(path, corpus) if is_ablation_file(path) else None


def check_ablations(path: Path, corpus: Manifest | None = None) -> Ablations:
    """Read an ablation file and every configuration that it asks for, and try their components.

    corpus: what the configurations ask for is looked for in it. Raises ConfigError with all faults; a fault of a
    configuration is at the arm or the system that asks for it.
    """
    from sertk.preflight.find import load_sound

    asked = load_ablations(path)
    faults: list[Fault] = []

    def read(place: str, load: Callable[[Path, Sequence[str]], Section], name: str, sets: Sequence[str]) -> None:
        try:
            load_sound(load, path.parent / name, sets, corpus=corpus)
        except ConfigError as error:
            faults.extend(Fault(f"{place} ({name})", f"{fault.place}: {fault.message}") for fault in error.faults)

    for name in dict.fromkeys([*asked.members, *(asked.ensemble.members if asked.ensemble else [])]):
        read("members", load_experiment, name, asked.set)
    for arm in asked.arm if not faults else []:  # else every arm would say the same again
        for name in asked.members:
            read(f"arm.{arm.name}", load_experiment, name, [*asked.set, *arm.set])
    for system in asked.ensemble.system if asked.ensemble else []:
        read(f"ensemble.system.{system.name}", load_combination, system.combine, system.set)
        if system.then:
            read(f"ensemble.system.{system.name}", load_combination, system.then, system.then_set)
    if faults:
        raise ConfigError(str(path), faults)
    return asked


def is_ablation_file(path: Path) -> bool:
    """Whether a TOML file asks for ablations. Raises ConfigError for a file that cannot be read."""
    return bool({"arm", "ensemble"} & set(read_toml(path)))


def slug(name: str) -> str:
    """A name as a folder: letters, digits and dashes."""
    return "-".join("".join(letter if letter.isalnum() else " " for letter in name.lower()).split())
